// make demo: a mesh in front of your eyes, each step verified. Ends 0 only if every step held.
import type { Cluster } from "../world/cluster.ts";
import { leftovers } from "../world/leaks.ts";
import { until } from "../world/until.ts";
import { L4_POLICY, L7_POLICY, ROUTE } from "./policies.ts";
import { createStage, StepFailed } from "./stage.ts";
import { countVersions, curlFrom, installShopAndMesh, startWorld, wire } from "./world.ts";

const stage = createStage((text) => void process.stdout.write(text));
const started = performance.now();
const BETWEEN_NODES = "tcp and net 10.244.0.0/16 and not port 15012 and not port 6443";

const inClear = (cluster: Cluster) => async (): Promise<void> => {
  const captured = (await cluster.pods("shop")).filter((p) => p.metadata.annotations?.["ambient.istio.io/redirection"] !== undefined);
  stage.check(captured.length === 0, "the mesh is installed; no pod of the shop is in it");
  const { command, text } = await wire(cluster, "tcp port 9080", 40);
  stage.command(command);
  const request = text.split("\n").find((l) => /GET \/ HTTP/.test(l));
  const answer = text.split("\n").find((l) => /^reviews v\d on node2/.test(l));
  stage.output([request?.slice(request.indexOf("GET")), answer].filter((l) => l !== undefined).join("\n"));
  stage.check(request !== undefined && answer !== undefined, "web's request and reviews' answer can be read on the wire");
};

const captured = (cluster: Cluster) => async (): Promise<void> => {
  const identity = async (): Promise<string> =>
    (await cluster.pods("shop"))
      .map((p) => `${p.metadata.uid} ${p.status?.containerStatuses?.[0]?.restartCount}`)
      .sort()
      .join();
  const before = await identity();
  stage.command("kubectl label namespace shop istio.io/dataplane-mode=ambient");
  await cluster.kubectl("label", "namespace", "shop", "istio.io/dataplane-mode=ambient");
  await until("every pod captured", async () =>
    (await cluster.pods("shop")).every((p) => p.metadata.annotations?.["ambient.istio.io/redirection"] === "enabled") ? true : undefined,
  );
  stage.check((await identity()) === before, "all five pods are captured, none was restarted");
  const web = await cluster.podOf("shop", "web");
  const ztunnel = (await cluster.pods("istio-system", "app=ztunnel")).find((p) => p.spec?.nodeName === web.spec?.nodeName);
  const logLine = await until("a tunnelled connection in ztunnel's log", async () => {
    const log = await cluster.kubectl("-n", "istio-system", "logs", ztunnel?.metadata.name ?? "", "--tail=50");
    return log
      .split("\n")
      .find(
        (l) =>
          l.includes("connection complete") && l.includes("dst.hbone_addr") && l.includes('"outbound"') && /src\.workload="?web/.test(l),
      );
  });
  const { command, text } = await wire(cluster, BETWEEN_NODES, 40);
  stage.command(command);
  stage.check(/\.15008:|\.15008 >/.test(text), "the same requests now pass between the nodes on port 15008 (HBONE)");
  stage.check(!/GET \/ HTTP|reviews v\d on/.test(text), "nothing of them can be read: TLS 1.3 only");
  stage.command(`kubectl -n istio-system logs ${ztunnel?.metadata.name}`);
  const field = (name: string): string => new RegExp(`${name.replace(".", "\\.")}="?([^"\\s]+)`).exec(logLine)?.[1] ?? "";
  stage.output(`src.identity ${field("src.identity")}\ndst.identity ${field("dst.identity")}`);
  stage.check(field("src.identity") === "spiffe://cluster.local/ns/shop/sa/web", "the caller proved to be web");
  stage.check(field("dst.identity") === "spiffe://cluster.local/ns/shop/sa/reviews", "the callee proved to be reviews");
};

const l4Policy = (cluster: Cluster) => async (): Promise<void> => {
  stage.command(`kubectl apply -f - <<EOF\n${L4_POLICY.trimEnd()}\nEOF`);
  await cluster.apply(L4_POLICY);
  stage.command("kubectl -n shop exec deploy/batch -- curl -sS http://reviews:9080/");
  const refused = await until("batch refused", async () => {
    const r = await curlFrom(cluster, "batch", ["http://reviews:9080/"]);
    return r.code !== 0 ? r : undefined;
  });
  stage.output(refused.stderr.split("\n").find((l) => l.startsWith("curl:")) ?? refused.stderr);
  stage.check(!/reviews v/.test(refused.stdout), "batch, another service account, is refused");
  stage.command("kubectl -n shop exec deploy/web -- curl -sS http://reviews:9080/");
  const allowed = await curlFrom(cluster, "web", ["http://reviews:9080/"]);
  stage.output(allowed.stdout);
  stage.check(/reviews v\d/.test(allowed.stdout), "web is still answered", allowed.stderr);
};

const waypoint = (cluster: Cluster) => async (): Promise<void> => {
  stage.command("ambit -n shop waypoint apply --wait");
  stage.output(await cluster.ambit("-n", "shop", "waypoint", "apply", "--wait"));
  stage.command("kubectl -n shop label service reviews istio.io/use-waypoint=waypoint");
  await cluster.kubectl("-n", "shop", "label", "service", "reviews", "istio.io/use-waypoint=waypoint");
  stage.command(`kubectl apply -f - <<EOF\n${ROUTE.trimEnd()}\nEOF`);
  await cluster.apply(ROUTE);
  await until("the header route in force", async () => {
    const answers = await curlFrom(cluster, "web", ["-H", "x-user: tester", "http://reviews:9080/[1-10]"]);
    return countVersions(answers.stdout).v3 === 10 ? true : undefined;
  });
  stage.command("kubectl -n shop exec deploy/web -- curl -sS 'http://reviews:9080/[1-500]' | sort | uniq -c");
  const many = countVersions((await curlFrom(cluster, "web", ["http://reviews:9080/[1-500]"])).stdout);
  stage.output(
    Object.entries(many)
      .sort()
      .map(([v, n]) => `${n} reviews ${v}`)
      .join("\n"),
  );
  // 500 draws at 10 %: 50 expected, standard deviation 6.7; five of them either way is one failure in a million runs.
  const second = many.v2 ?? 0;
  stage.check((many.v1 ?? 0) + second === 500 && second >= 17 && second <= 83, "500 requests: about 90 % to v1, 10 % to v2");
  stage.command("kubectl -n shop exec deploy/web -- curl -sS -H 'x-user: tester' http://reviews:9080/");
  const tester = (await curlFrom(cluster, "web", ["-H", "x-user: tester", "http://reviews:9080/"])).stdout;
  stage.output(tester);
  stage.check(tester.includes("reviews v3"), "with the header x-user: tester, v3 answers");
};

const l7Policy = (cluster: Cluster) => async (): Promise<void> => {
  stage.command(`kubectl apply -f - <<EOF\n${L7_POLICY.trimEnd()}\nEOF`);
  await cluster.apply(L7_POLICY);
  const status = async (method: string): Promise<string> =>
    (await curlFrom(cluster, "web", ["-o", "/dev/null", "-w", "%{http_code}", "-X", method, "http://reviews:9080/"])).stdout.trim();
  await until("DELETE refused", async () => ((await status("DELETE")) === "403" ? true : undefined));
  stage.command("kubectl -n shop exec deploy/web -- curl -sS -X GET http://reviews:9080/");
  const get = await status("GET");
  stage.check(get === "200", "GET is answered 200", `it was answered ${get}`);
  stage.command("kubectl -n shop exec deploy/web -- curl -sS -X DELETE http://reviews:9080/");
  const denied = await curlFrom(cluster, "web", ["-X", "DELETE", "http://reviews:9080/"]);
  stage.output(denied.stdout);
  stage.check(denied.stdout.includes("RBAC: access denied"), "DELETE is answered 403");
};

const explained = (cluster: Cluster) => async (): Promise<void> => {
  stage.command("ambit -n shop explain web reviews:9080 --method DELETE");
  const text = await cluster.ambit("-n", "shop", "explain", "web", "reviews:9080", "--method", "DELETE");
  stage.output(text);
  stage.check(/denied by: shop\/reviews-keep \(rule 0\)/.test(text), "it names the policy and the rule that refuse the call");
};

const controllerKilled = (cluster: Cluster) => async (): Promise<void> => {
  const before = (await cluster.pods("istio-system", "app=istiod")).map((p) => p.metadata.uid);
  stage.command("kubectl -n istio-system delete pod -l app=istiod --force --grace-period=0");
  await cluster.kubectl("-n", "istio-system", "delete", "pod", "-l", "app=istiod", "--force", "--grace-period=0");
  const answers = await curlFrom(cluster, "web", ["http://reviews:9080/[1-100]"]);
  const total = Object.values(countVersions(answers.stdout)).reduce((a, b) => a + b, 0);
  const after = await cluster.pods("istio-system", "app=istiod");
  const isBack = after.some((p) => p.status?.conditions?.some((c) => c.type === "Ready" && c.status === "True") === true);
  stage.check(!isBack && !after.some((p) => before.includes(p.metadata.uid)), "the controller was killed and is not back yet");
  stage.check(total === 100, "100 of 100 new requests are answered without it", `${total} were: ${answers.stderr}`);
  stage.command("kubectl -n istio-system rollout status deployment/istiod");
  stage.output(await cluster.kubectl("-n", "istio-system", "rollout", "status", "deployment/istiod", "--timeout=60s"));
};

const play = async (cluster: Cluster): Promise<void> => {
  await installShopAndMesh(cluster, stage);
  await stage.step("Before the mesh: traffic in clear", inClear(cluster));
  await stage.step("The namespace joins the mesh: one label, no restart", captured(cluster));
  await stage.step("L4 policy: who may call", l4Policy(cluster));
  await stage.step("A waypoint: routes by weight and by header", waypoint(cluster));
  await stage.step("L7 policy: what they may do", l7Policy(cluster));
  await stage.step("Why was that refused?", explained(cluster));
  await stage.step("The controller dies: traffic goes on", controllerKilled(cluster));
};

const interruption = new Promise<never>((_, reject) => {
  for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => reject(new StepFailed(`ended by ${name}`)));
});
let cluster: Cluster | undefined;
const perform = async (): Promise<void> => {
  cluster = await startWorld(stage);
  await play(cluster);
};
try {
  stage.title("Ambit: an ambient mesh on this machine (Ctrl-C ends it and removes everything)\n");
  await Promise.race([perform(), interruption]);
} catch (e) {
  process.exitCode = 1;
  if (!(e instanceof StepFailed)) process.stdout.write(`\nambit demo: ${e instanceof Error ? e.message : String(e)}\n`);
} finally {
  await cluster?.stop();
  const left = cluster === undefined ? [] : await leftovers(cluster.id, cluster.dataDir);
  if (left.length > 0) {
    process.exitCode = 1;
    process.stdout.write(`\nleft behind:\n${left.join("\n")}\n`);
  }
}
const seconds = Math.round((performance.now() - started) / 1000);
process.stdout.write(
  process.exitCode === 1
    ? `\nThe demo did not hold (${seconds} s).${cluster === undefined ? "" : ` Logs: ${cluster.dataDir}/logs`}\n`
    : `\nEvery step held; nothing was left behind (${seconds} s).\n`,
);
process.exit();
