// How do this folder's tests get a real node: its network, an API server in process, the node as a process of its own?

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createKubeClient, type KubeClient, loadKubeConfig } from "@ambit/shared/kube/client.ts";
import type { ConfigMap, ServiceAccount } from "@ambit/shared/kube/objects/core.ts";
import type { KubeObject } from "@ambit/shared/kube/objects/meta.ts";
import type { Pod, PodSpec } from "@ambit/shared/kube/objects/pod.ts";
import { createReflector, type Reflector } from "@ambit/shared/kube/reflector.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import { openNetns } from "@ambit/shared/linux/netns.ts";
import { listenSocket } from "@ambit/shared/linux/socket.ts";
import { realWorld } from "@ambit/shared/runtime/run.ts";
import { type ApiServer, build } from "../../apiserver/app.ts";
import { destroyCgroup, findCgroupMount } from "../container/cgroup.ts";
import { fabricNetns, type Instance, instanceOf, netnsPath, nodeNetns } from "../instance.ts";
import { unmountBelow } from "../kubelet/volumes.ts";
import { ensureFabric, ensureNode, removeNetwork } from "../network/run.ts";

const DEADLINE_MS = 20_000;

export type NodeWorld = AsyncDisposable & {
  readonly instance: Instance;
  readonly client: KubeClient;
  readonly pods: Reflector<Pod>;
  /** Creates a pod bound to the node. */
  run(name: string, spec: PodSpec): Promise<Pod>;
  /** Resolves with the pod once it is as wanted; rejects after a deadline with what it is. */
  until(name: string, what: string, wanted: (pod: Pod) => boolean): Promise<Pod>;
  /** Resolves once there is no such pod. */
  gone(name: string): Promise<void>;
  remove(name: string, graceSeconds?: number): Promise<void>;
  startNode(): Promise<void>;
  /** SIGKILL to the node process alone. */
  killNode(): Promise<void>;
};

const waitFor = <T extends KubeObject>(source: Reflector<T>, found: () => boolean, told: () => string): Promise<void> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      unsubscribe();
      reject(new Error(told()));
    }, DEADLINE_MS);
    const unsubscribe = source.subscribe(() =>
      queueMicrotask(() => {
        if (!found()) return;
        clearTimeout(timer);
        unsubscribe();
        resolve();
      }),
    );
    if (found()) {
      clearTimeout(timer);
      unsubscribe();
      resolve();
    }
  });

const startApi = (dataDir: string, id: string): Promise<ApiServer> =>
  build(
    {
      dataDir,
      address: "127.0.0.1",
      port: 0,
      nodes: 1,
      history: 1000,
      bookmarkMs: 30_000,
      fabric: { netns: netnsPath(fabricNetns(id)), address: "172.30.0.1", port: 6443 },
    },
    {
      world: realWorld(),
      log: () => {},
      listenIn: (where) => {
        using netns = openNetns(where.netns);
        return listenSocket({ netns: netns.fd, family: "ipv4", reuseAddr: true, bind: { ip: where.address, port: where.port } });
      },
    },
  );

const spawnNode = async (instance: Instance, extra: Readonly<Record<string, string>>): Promise<ChildProcess> => {
  const child = spawn(
    "nsenter",
    [`--net=${netnsPath(nodeNetns(instance.id, 1))}`, "--", process.execPath, join(import.meta.dirname, "../main.ts")],
    {
      env: {
        PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
        AMBIT_INSTANCE: instance.id,
        AMBIT_NODE: "1",
        AMBIT_DATA_DIR: instance.dataDir,
        KUBECONFIG: join(instance.dataDir, "node1.kubeconfig"),
        ...extra,
      },
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  const stdout = child.stdout;
  if (stdout === null) throw new Error("no output");
  let text = "";
  const started = Promise.withResolvers<void>();
  const timer = setTimeout(() => started.reject(new Error(`the node did not start: ${text}`)), DEADLINE_MS);
  stdout.setEncoding("utf8").on("data", (more: string) => {
    text = (text + more).slice(-4096);
    if (text.includes("node registered")) started.resolve();
  });
  child.once("exit", () => started.reject(new Error(`the node ended: ${text}`)));
  await started.promise;
  clearTimeout(timer);
  return child;
};

export const startNodeWorld = async (id: string): Promise<NodeWorld> => {
  const dataDir = mkdtempSync(join(tmpdir(), "ambit-node-"));
  const instance = instanceOf(id, { dataDir, cgroupMount: findCgroupMount() });
  await ensureFabric(id);
  await ensureNode(id, 1, 1);
  const api = await startApi(dataDir, id);
  const stop = new AbortController();
  const running = api.run(stop.signal);
  const client = createKubeClient(loadKubeConfig({ kubeconfig: api.kubeconfig }));
  const pods = createReflector<Pod>({ client, resource: RESOURCES.pods, namespace: "default", world: realWorld(), log: () => {} });
  const reflecting = pods.run(stop.signal);
  // What the controllers do in a whole cluster.
  await client.create<ServiceAccount>(RESOURCES.serviceAccounts, { metadata: { name: "default", namespace: "default" } });
  await client.create<ConfigMap>(RESOURCES.configMaps, {
    metadata: { name: "kube-root-ca.crt", namespace: "default" },
    data: { "ca.crt": api.caPem },
  });
  let node: ChildProcess | undefined;
  const find = (name: string): Pod | undefined => pods.get(`default/${name}`);
  const endNode = async (signal: NodeJS.Signals): Promise<void> => {
    if (node === undefined || node.exitCode !== null) return;
    const exited = once(node, "exit");
    node.kill(signal);
    await exited;
    node = undefined;
  };
  const startNode = async (): Promise<void> => {
    node = await spawnNode(instance, {});
  };
  await startNode();
  return {
    instance,
    client,
    pods,
    startNode,
    killNode: () => endNode("SIGKILL"),
    run: (name, spec) =>
      client.create<Pod>(RESOURCES.pods, { metadata: { name, namespace: "default" }, spec: { ...spec, nodeName: "node1" } }),
    until: async (name, what, wanted) => {
      const is = (): boolean => {
        const pod = find(name);
        return pod !== undefined && wanted(pod);
      };
      await waitFor(pods, is, () => `${name} is not ${what}: ${JSON.stringify(find(name)?.status)}`);
      const pod = find(name);
      if (pod === undefined) throw new Error(`${name} is gone`);
      return pod;
    },
    gone: (name) =>
      waitFor(
        pods,
        () => find(name) === undefined,
        () => `${name} is still there: ${JSON.stringify(find(name))}`,
      ),
    remove: (name, graceSeconds) =>
      client.delete(RESOURCES.pods, { namespace: "default", name }, graceSeconds === undefined ? {} : { gracePeriodSeconds: graceSeconds }),
    [Symbol.asyncDispose]: async () => {
      await endNode("SIGTERM");
      stop.abort();
      await reflecting;
      await client.close();
      await running;
      await api[Symbol.asyncDispose]();
      await destroyCgroup(instance.cgroup, AbortSignal.timeout(DEADLINE_MS));
      await removeNetwork(id);
      await unmountBelow(instance.runDir);
      rmSync(instance.runDir, { recursive: true, force: true });
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
};
