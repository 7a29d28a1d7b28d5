// Do the controllers bring real objects to their wanted state, as kubectl sees it?

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createKubeClient, type KubeClient, loadKubeConfig } from "@ambit/shared/kube/client.ts";
import type { ReplicaSet } from "@ambit/shared/kube/objects/apps.ts";
import type { ConfigMap, Endpoints, Namespace } from "@ambit/shared/kube/objects/core.ts";
import type { EndpointSlice } from "@ambit/shared/kube/objects/discovery.ts";
import type { KubeObject } from "@ambit/shared/kube/objects/meta.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import { pathOf, RESOURCES, type Resource } from "@ambit/shared/kube/resources.ts";
import { watchOnce } from "@ambit/shared/kube/watch.ts";
import { realWorld } from "@ambit/shared/runtime/run.ts";
import { type ApiServer, build } from "../../apiserver/app.ts";
import { runControllers } from "../app.ts";
import { standInNodes } from "./stand-in.ts";

// The real API server and the real kubectl; only the nodes are stood in for.
const dir = mkdtempSync(join(tmpdir(), "t-controllers-"));
const stop = new AbortController();
const said: string[] = [];
const log = (event: string, fields: object): void => void said.push(`${event} ${JSON.stringify(fields)}`);
let api: ApiServer;
let client: KubeClient;
let running: Promise<void>;

before(async () => {
  const world = realWorld();
  api = await build(
    { dataDir: dir, address: "127.0.0.1", port: 0, fabric: undefined, nodes: 0, history: 5000, bookmarkMs: 30_000 },
    { world, log: () => undefined },
  );
  client = createKubeClient(loadKubeConfig({ kubeconfig: api.kubeconfig }), world);
  const controllers = createKubeClient(loadKubeConfig({ kubeconfig: join(dir, "controllers.kubeconfig") }), world);
  running = runControllers({ client: controllers, rootCa: api.caPem, world, log }, stop.signal).finally(() => controllers.close());
  await standInNodes(["n1", "n2"], { client, world, log }, stop.signal);
});
after(async () => {
  stop.abort(new Error("tests over"));
  await running;
  await client.close();
  await api[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true });
});

/** Runs the real kubectl with a deadline; its output, or an error with what it said. */
const kubectl = (args: string, input = ""): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn("kubectl", args.split(" "), {
      env: { PATH: process.env.PATH, HOME: dir, KUBECONFIG: api.kubeconfig },
      timeout: 30_000,
    });
    let out = "";
    let err = "";
    child.stdout.on("data", (c: Buffer) => {
      out += c.toString();
    });
    child.stderr.on("data", (c: Buffer) => {
      err += c.toString();
    });
    child.on("error", reject);
    child.on("close", (code) =>
      code === 0 ? resolve(out) : reject(new Error(`kubectl ${args}: ${err}${out}\n${said.slice(-20).join("\n")}`)),
    );
    child.stdin.end(input);
  });

/** Resolves at the first moment the listed objects satisfy `done`; watches, does not poll. */
const until = async <T extends KubeObject>(
  resource: Resource,
  namespace: string | undefined,
  done: (objects: readonly T[]) => boolean,
): Promise<readonly T[]> => {
  const signal = AbortSignal.timeout(20_000);
  const where = namespace === undefined ? {} : { namespace };
  for (;;) {
    const { items, resourceVersion } = await client.list<T>(resource, where, signal);
    if (done(items)) return items;
    try {
      for await (const _ of watchOnce(client.raw.connection, { path: pathOf(resource, where), query: { resourceVersion } }, signal)) break;
    } catch (error) {
      throw new Error(
        `${resource.resource} never came to it: ${JSON.stringify(items.map((o) => o.metadata)).slice(0, 2000)}\n${said.slice(-20).join("\n")}`,
        { cause: error },
      );
    }
  }
};

const apply = (...objects: object[]): Promise<string> =>
  kubectl("apply -f -", JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }));
const web = (image: string, more: object = {}) => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web", namespace: "roll" },
  spec: {
    replicas: 3,
    selector: { matchLabels: { app: "web" } },
    template: {
      metadata: { labels: { app: "web" } },
      spec: { terminationGracePeriodSeconds: 1, containers: [{ name: "c", image, ports: [{ name: "http", containerPort: 8080 }] }] },
    },
    ...more,
  },
});
const service = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "web", namespace: "roll" },
  spec: { selector: { app: "web" }, ports: [{ name: "http", port: 80, targetPort: "http" }] },
};
const images = async (namespace: string): Promise<string[]> =>
  (await client.list<Pod>(RESOURCES.pods, { namespace })).items
    .filter((p) => p.metadata.deletionTimestamp === undefined)
    .map((p) => p.spec.containers[0]?.image ?? "");

test("every namespace gets its default service account and the cluster's certificate", async () => {
  await kubectl("create namespace defaults");
  await until(RESOURCES.serviceAccounts, "defaults", (list) => list.some((o) => o.metadata.name === "default"));
  const maps = await until<ConfigMap>(RESOURCES.configMaps, "defaults", (list) => list.some((o) => o.metadata.name === "kube-root-ca.crt"));
  assert.equal(maps[0]?.data?.["ca.crt"], api.caPem);
});

test("kubectl rollout: status, history, undo, restart, pause, resume; scale", async () => {
  await kubectl("create namespace roll");
  await apply(web("app:v1"), service);
  assert.match(await kubectl("-n roll rollout status deployment/web --timeout=20s"), /successfully rolled out/);
  const pods = (await client.list<Pod>(RESOURCES.pods, { namespace: "roll" })).items;
  assert.deepEqual(new Set(pods.map((p) => p.spec.nodeName)), new Set(["n1", "n2"]), "spread over both nodes");
  await until<EndpointSlice>(
    RESOURCES.endpointSlices,
    "roll",
    (s) => s[0]?.endpoints?.filter((e) => e.conditions?.ready === true).length === 3 && s[0].ports?.[0]?.port === 8080,
  );
  await until<Endpoints>(RESOURCES.endpoints, "roll", (e) => e[0]?.subsets?.[0]?.addresses?.length === 3);

  await kubectl("-n roll set image deployment/web c=app:v2");
  await kubectl("-n roll rollout status deployment/web --timeout=20s");
  assert.deepEqual(await images("roll"), ["app:v2", "app:v2", "app:v2"]);
  assert.match(await kubectl("-n roll rollout history deployment/web"), /1 .*\n2 /);

  await kubectl("-n roll rollout undo deployment/web");
  await kubectl("-n roll rollout status deployment/web --timeout=20s");
  assert.deepEqual(await images("roll"), ["app:v1", "app:v1", "app:v1"]);
  assert.match(await kubectl("-n roll rollout history deployment/web"), /2 .*\n3 /);

  const before = new Set((await client.list<Pod>(RESOURCES.pods, { namespace: "roll" })).items.map((p) => p.metadata.uid));
  await kubectl("-n roll rollout restart deployment/web");
  await kubectl("-n roll rollout status deployment/web --timeout=20s");
  const restarted = await until<Pod>(RESOURCES.pods, "roll", (list) => list.length === 3);
  assert.ok(restarted.every((p) => !before.has(p.metadata.uid)));

  await kubectl("-n roll rollout pause deployment/web");
  await kubectl("-n roll set image deployment/web c=app:v3");
  await kubectl("-n roll scale deployment/web --replicas=5");
  await until<Pod>(RESOURCES.pods, "roll", (list) => list.length === 5);
  assert.ok(!(await images("roll")).includes("app:v3"));
  await kubectl("-n roll rollout resume deployment/web");
  await kubectl("-n roll rollout status deployment/web --timeout=20s");
  assert.deepEqual(new Set(await images("roll")), new Set(["app:v3"]));
});

test("a rollout whose pods never get ready stops at its limits, fails at its deadline, and undo heals it", async () => {
  await kubectl("create namespace bad");
  const deployment = {
    ...web("app:v1", { progressDeadlineSeconds: 2, strategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } } }),
    metadata: { name: "web", namespace: "bad" },
  };
  await apply(deployment);
  await kubectl("-n bad rollout status deployment/web --timeout=20s");
  await kubectl("-n bad set image deployment/web c=app:broken");
  await assert.rejects(kubectl("-n bad rollout status deployment/web --timeout=20s"), /exceeded its progress deadline/);
  assert.deepEqual((await images("bad")).sort(), ["app:broken", "app:v1", "app:v1", "app:v1"]);
  await kubectl("-n bad rollout undo deployment/web");
  await kubectl("-n bad rollout status deployment/web --timeout=20s");
  assert.deepEqual(await images("bad"), ["app:v1", "app:v1", "app:v1"]);
});

test("a pod that is deleted is replaced; its endpoint leaves", async () => {
  const [first] = (await client.list<Pod>(RESOURCES.pods, { namespace: "bad" })).items;
  await kubectl(`-n bad delete pod ${first?.metadata.name} --wait=false`);
  await until<Pod>(RESOURCES.pods, "bad", (list) => list.length === 3 && list.every((p) => p.metadata.uid !== first?.metadata.uid));
});

test("DaemonSet: one a node; rollout with surge, history and undo", async () => {
  await kubectl("create namespace daemons");
  const daemon = (image: string) => ({
    apiVersion: "apps/v1",
    kind: "DaemonSet",
    metadata: { name: "zt", namespace: "daemons" },
    spec: {
      selector: { matchLabels: { app: "zt" } },
      updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: { metadata: { labels: { app: "zt" } }, spec: { containers: [{ name: "c", image }] } },
    },
  });
  await apply(daemon("zt:v1"));
  await kubectl("-n daemons rollout status daemonset/zt --timeout=20s");
  const pods = (await client.list<Pod>(RESOURCES.pods, { namespace: "daemons" })).items;
  assert.deepEqual(pods.map((p) => p.spec.nodeName).sort(), ["n1", "n2"]);
  await apply(daemon("zt:v2"));
  await kubectl("-n daemons rollout status daemonset/zt --timeout=20s");
  assert.deepEqual(await images("daemons"), ["zt:v2", "zt:v2"]);
  assert.match(await kubectl("-n daemons rollout history daemonset/zt"), /1 .*\n2 /);
  await kubectl("-n daemons rollout undo daemonset/zt");
  await kubectl("-n daemons rollout status daemonset/zt --timeout=20s");
  assert.deepEqual(await images("daemons"), ["zt:v1", "zt:v1"]);
});

test("a Job runs to its end", async () => {
  await kubectl("create namespace jobs");
  await apply({
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name: "once", namespace: "jobs" },
    spec: { template: { spec: { restartPolicy: "Never", containers: [{ name: "c", image: "job" }] } } },
  });
  const [pod] = await until<Pod>(RESOURCES.pods, "jobs", (list) => list.some((p) => p.status?.podIP !== undefined));
  assert.ok(pod !== undefined);
  await client.patch<Pod>(
    RESOURCES.pods,
    { namespace: "jobs", name: pod.metadata.name },
    { type: "merge", body: { status: { phase: "Succeeded" } }, subresource: "status" },
  );
  assert.match(await kubectl("-n jobs wait job/once --for=condition=complete --timeout=20s"), /condition met/);
});

test("deleting an owner: background, orphan, foreground", async () => {
  await kubectl("create namespace owned");
  const deployment = (name: string) => ({ ...web("app:v1", { replicas: 1 }), metadata: { name, namespace: "owned" } });
  await apply(deployment("one"));
  await kubectl("-n owned rollout status deployment/one --timeout=20s");
  await kubectl("-n owned delete deployment one");
  await until(RESOURCES.replicaSets, "owned", (list) => list.length === 0);
  await until(RESOURCES.pods, "owned", (list) => list.length === 0);

  await apply(deployment("two"));
  await kubectl("-n owned rollout status deployment/two --timeout=20s");
  await kubectl("-n owned delete deployment two --cascade=orphan");
  const [left] = await until<ReplicaSet>(
    RESOURCES.replicaSets,
    "owned",
    (list) => list.length === 1 && (list[0]?.metadata.ownerReferences ?? []).length === 0,
  );
  assert.ok(left !== undefined);
  // A Deployment made anew adopts what matches.
  await apply(deployment("two"));
  await until<ReplicaSet>(
    RESOURCES.replicaSets,
    "owned",
    (list) => list.length === 1 && list[0]?.metadata.ownerReferences?.[0]?.name === "two",
  );

  await kubectl("-n owned delete deployment two --cascade=foreground");
  assert.deepEqual((await client.list(RESOURCES.pods, { namespace: "owned" })).items, []);
});

test("kubectl delete namespace: everything in it goes, then it does", async () => {
  await kubectl("delete namespace roll --timeout=25s");
  assert.equal(await client.get<Namespace>(RESOURCES.namespaces, { name: "roll" }), undefined);
  assert.deepEqual((await client.list(RESOURCES.pods, { namespace: "roll" })).items, []);
});

test("an unschedulable pod says why, and is scheduled when the reason goes", async () => {
  await kubectl("create namespace picky");
  await apply({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p", namespace: "picky" },
    spec: { nodeSelector: { disk: "ssd" }, containers: [{ name: "c", image: "app" }] },
  });
  await until<Pod>(
    RESOURCES.pods,
    "picky",
    (list) =>
      list[0]?.status?.conditions?.some(
        (c) =>
          c.reason === "Unschedulable" && c.message === "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.",
      ) === true,
  );
  await kubectl("label node n2 disk=ssd");
  await until<Pod>(RESOURCES.pods, "picky", (list) => list[0]?.spec.nodeName === "n2");
  assert.match(await kubectl("-n picky get events"), /FailedScheduling/);
});
