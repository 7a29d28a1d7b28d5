// `ambit up` to those who did not write it: @kubernetes/client-node, a machine with other things on it, a machine that lacks something.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import {
  AppsV1Api,
  CoreV1Api,
  KubeConfig,
  KubernetesObjectApi,
  makeInformer,
  PatchStrategy,
  setHeaderOptions,
  type V1ConfigMap,
  Watch,
} from "@kubernetes/client-node";
import { type Cluster, dataDirOf, startCluster } from "../world/cluster.ts";
import { leftovers } from "../world/leaks.ts";
import { CLI_MAIN, NODE, UP_MAIN } from "../world/paths.ts";
import { must, run } from "../world/program.ts";
import { until, within } from "../world/until.ts";

let cluster: Cluster | undefined;
const c = (): Cluster => {
  if (cluster === undefined) throw new Error("the cluster did not start");
  return cluster;
};
const kube = (): KubeConfig => {
  const config = new KubeConfig();
  config.loadFromFile(c().kubeconfig);
  return config;
};
const FOREIGN = "ambit-like-but-not-ours";

describe("the embedded cluster", { concurrency: 1 }, () => {
  before(
    async () => {
      await run(["ip", "netns", "del", FOREIGN]);
      await must(["ip", "netns", "add", FOREIGN]);
      await must(["ip", "netns", "exec", FOREIGN, "nft", "add", "table", "inet", "istio-ambient-nat"]);
      cluster = await startCluster({ name: "test-standalone", nodes: 1 });
    },
    { timeout: 120_000 },
  );
  after(
    async () => {
      await cluster?.stop();
      await must(["ip", "netns", "del", FOREIGN]);
    },
    { timeout: 90_000 },
  );

  test("client-node unmodified: typed API, generic API, patch, delete", async () => {
    const core = kube().makeApiClient(CoreV1Api);
    const created = await core.createNamespacedConfigMap({ namespace: "default", body: { metadata: { name: "typed" }, data: { a: "1" } } });
    assert.ok(created.metadata?.uid);
    const patched = await core.patchNamespacedConfigMap(
      { name: "typed", namespace: "default", body: [{ op: "add", path: "/data/b", value: "2" }] },
      setHeaderOptions("Content-Type", PatchStrategy.JsonPatch),
    );
    assert.deepEqual(patched.data, { a: "1", b: "2" });
    const objects = KubernetesObjectApi.makeApiClient(kube());
    const read = await objects.read({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "typed", namespace: "default" } });
    assert.equal(read.metadata?.uid, created.metadata?.uid);
    await core.deleteNamespacedConfigMap({ name: "typed", namespace: "default" });
    await assert.rejects(core.readNamespacedConfigMap({ name: "typed", namespace: "default" }), /404/);
    const deployments = await kube().makeApiClient(AppsV1Api).listDeploymentForAllNamespaces();
    assert.deepEqual(deployments.items, []);
  });

  test("client-node unmodified: watch and informer see what kubectl does", async () => {
    const core = kube().makeApiClient(CoreV1Api);
    const seen: string[] = [];
    const informer = makeInformer<V1ConfigMap>(kube(), "/api/v1/namespaces/default/configmaps", () =>
      core.listNamespacedConfigMap({ namespace: "default" }),
    );
    informer.on("add", (o) => seen.push(`add ${o.metadata?.name}`));
    informer.on("update", (o) => seen.push(`update ${o.metadata?.name}`));
    informer.on("delete", (o) => seen.push(`delete ${o.metadata?.name}`));
    await informer.start();
    const watched: string[] = [];
    const request = await new Watch(kube()).watch(
      "/api/v1/namespaces/default/configmaps",
      { labelSelector: "seen=yes" },
      (type, object: V1ConfigMap) => watched.push(`${type} ${object.metadata?.name}`),
      () => undefined,
    );
    await c().kubectl("create", "configmap", "informed", "--from-literal=k=v");
    await c().kubectl("label", "configmap", "informed", "seen=yes");
    await c().kubectl("delete", "configmap", "informed");
    await until("the three events", () =>
      ["add informed", "update informed", "delete informed"].every((e) => seen.includes(e)) ? true : undefined,
    );
    await until("the selected ones", () => (watched.includes("ADDED informed") && watched.includes("DELETED informed") ? true : undefined));
    request.abort();
    await informer.stop();
  });

  test("kubectl wait, rollout, logs, get -w, on real pods", { timeout: 120_000 }, async () => {
    const k = c().kubectl;
    const watching = c().kubectlRan(["get", "pods", "-w", "--watch-only", "--request-timeout=20s", "-o", "name"]);
    await k("create", "deployment", "idle", "--image=ambit/app-idle:dev", "--replicas=2");
    await k("wait", "--for=condition=Available", "deployment/idle", "--timeout=60s");
    await until("its log", async () => (/^idle$/m.test(await k("logs", "deployment/idle")) ? true : undefined));
    await k("rollout", "restart", "deployment/idle");
    assert.match(await k("rollout", "status", "deployment/idle", "--timeout=60s"), /successfully rolled out/);
    await k("rollout", "undo", "deployment/idle");
    await k("rollout", "status", "deployment/idle", "--timeout=60s");
    await k("scale", "deployment/idle", "--replicas=1");
    await until("one pod", async () => ((await c().pods("default", "app=idle")).length === 1 ? true : undefined), 30_000);
    await k("delete", "deployment", "idle", "--wait=true");
    await k("wait", "--for=delete", "pod", "-l", "app=idle", "--timeout=60s");
    assert.match((await watching).stdout, /pod\/idle-/);
  });

  test("hostPath: made when asked for, refused in one sentence when it is not what it should be", { timeout: 60_000 }, async () => {
    const dir = mkdtempSync(join(tmpdir(), "ambit-host-"));
    try {
      writeFileSync(join(dir, "greeting"), "from the host\n");
      const pod = (name: string, path: string, type: string): string => `apiVersion: v1
kind: Pod
metadata: { name: ${name} }
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  volumes: [{ name: v, hostPath: { path: "${path}", type: ${type} } }]
  containers: [{ name: c, image: none, command: [sh, -c, "cat /mnt/v/greeting"], volumeMounts: [{ name: v, mountPath: /mnt/v }] }]
`;
      await c().apply(pod("reads", dir, "Directory"));
      await until("its log", async () => ((await c().kubectlRan(["logs", "reads"])).stdout.includes("from the host") ? true : undefined));
      await c().apply(pod("wrong", join(dir, "greeting"), "Directory"));
      await until("the event", async () => ((await c().kubectl("get", "events")).includes("is not a directory") ? true : undefined));
      await c().kubectl("delete", "pod", "reads", "wrong");
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  test("a bad manifest is refused in a sentence that names the field", async () => {
    const refused = await c().kubectlRan(
      ["apply", "--validate=false", "-f", "-"],
      "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: bad }\nspec: { replicas: many, selector: { matchLabels: { a: b } }, template: { metadata: { labels: { a: b } }, spec: { containers: [{ name: c, image: i }] } } }\n",
    );
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /spec\.replicas/);
  });

  test("a second `ambit up` on the same data is refused, and the first goes on", async () => {
    const second = await run([NODE, CLI_MAIN, "up", "--nodes", "1", "--data", c().dataDir, "--port", "0"]);
    assert.equal(second.code, 1);
    assert.match(second.stderr, /^ambit up: another `ambit up` \(process \d+\) is running with the data directory/m);
    assert.match(await c().kubectl("get", "nodes", "-o", "name"), /node\/node1/);
  });

  test("without nft: one sentence and exit 1", async () => {
    const data = dataDirOf("test-no-nft");
    mkdirSync(data, { recursive: true });
    // In a mount namespace of its own nft is not a program any more.
    const hide = 'mount --bind /dev/null "$(command -v nft)"';
    const refused = await run(["unshare", "-m", "sh", "-c", `${hide} && exec ${NODE} ${UP_MAIN} --nodes 1 --data ${data} --port 0`]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /^ambit up: .*nft/);
    assert.equal(refused.stderr.trim().split("\n").length, 1, refused.stderr);
  });

  test("what is not ours survives; what is ours does not", async () => {
    await c().stop();
    assert.deepEqual(await leftovers(c().id, c().dataDir), []);
    const table = await within("the foreign table", must(["ip", "netns", "exec", FOREIGN, "nft", "list", "tables"]));
    assert.match(table, /istio-ambient-nat/);
  });
});
