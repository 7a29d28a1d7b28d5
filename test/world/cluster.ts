// The world that scenarios run in: `ambit up` as a process, kubectl, and the mesh installed as an operator would.
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, realpathSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { createKubeClient, type KubeClient, loadKubeConfig } from "@ambit/shared/kube/client.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import { CLI_MAIN, KUSTOMIZE, NODE, ROOT, UP_MAIN } from "./paths.ts";
import { must, type Ran, run } from "./program.ts";
import { until, within } from "./until.ts";

export type Cluster = {
  readonly dataDir: string;
  readonly kubeconfig: string;
  /** Six hex digits in the names of everything the cluster makes on this machine. */
  readonly id: string;
  readonly client: KubeClient;
  /** Lines the supervisor has said. */
  readonly lines: readonly string[];
  readonly pid: number;
  /** Runs kubectl; throws when it fails. */
  kubectl(...args: string[]): Promise<string>;
  kubectlRan(args: readonly string[], input?: string): Promise<Ran>;
  ambit(...args: string[]): Promise<string>;
  ambitRan(...args: string[]): Promise<Ran>;
  apply(yaml: string): Promise<void>;
  /** A ready, running pod by its `app` label, the newest first. */
  podOf(namespace: string, app: string, version?: string): Promise<Pod>;
  pods(namespace: string, selector?: string): Promise<readonly Pod[]>;
  installMesh(): Promise<void>;
  /** SIGINT, as Ctrl-C does; resolves when the process has ended. */
  stop(): Promise<void>;
};

export type ClusterOptions = {
  readonly name: string;
  readonly nodes?: number;
  readonly fresh?: boolean;
  readonly onLine?: (line: string) => void;
};

export const dataDirOf = (name: string): string => join(ROOT, ".ambit", name);

export const instanceId = (dataDir: string): string => createHash("sha256").update(realpathSync(dataDir)).digest("hex").slice(0, 6);

const isReady = (p: Pod): boolean =>
  p.metadata.deletionTimestamp === undefined && p.status?.conditions?.some((c) => c.type === "Ready" && c.status === "True") === true;

/** Starts `ambit up` (which ends when we do, even by kill -9) on a free port and waits until its nodes are ready. The data directory is emptied unless `fresh` is false. */
export const startCluster = async (options: ClusterOptions): Promise<Cluster> => {
  const dataDir = dataDirOf(options.name);
  if (options.fresh !== false) rmSync(dataDir, { recursive: true, force: true });
  mkdirSync(dataDir, { recursive: true });
  const child = spawn(NODE, [UP_MAIN, "--nodes", String(options.nodes ?? 2), "--data", dataDir, "--port", "0"], {
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  const lines: string[] = [];
  const ready = Promise.withResolvers<string>();
  for (const stream of [child.stdout, child.stderr])
    if (stream !== null)
      createInterface({ input: stream }).on("line", (line) => {
        lines.push(line);
        options.onLine?.(line);
        if (/ ready in [\d.]+ s/.test(line)) ready.resolve(line);
      });
  const ended = once(child, "exit");
  ended.then(([code]) => ready.reject(new Error(`ambit up ended with ${code}: ${lines.join("\n")}`)));
  await within("ambit up ready", ready.promise, 90_000).catch((e: unknown) => {
    child.kill("SIGKILL");
    throw new Error(`${e instanceof Error ? e.message : String(e)}\n${lines.join("\n")}`);
  });
  return attach(dataDir, { child, lines });
};

/** A cluster that runs already. */
export const attach = (
  dataDir: string,
  up: { child: ChildProcess | undefined; lines: readonly string[] } = { child: undefined, lines: [] },
): Cluster => {
  const kubeconfig = join(dataDir, "kubeconfig");
  const client = createKubeClient(loadKubeConfig({ kubeconfig }));
  const env = { ...process.env, KUBECONFIG: kubeconfig };
  const kubectlRan = (args: readonly string[], input = ""): Promise<Ran> => run(["kubectl", ...args], { env, input, timeoutMs: 120_000 });
  const kubectl = (...args: string[]): Promise<string> => must(["kubectl", ...args], { env, timeoutMs: 120_000 });
  const apply = async (yaml: string): Promise<void> => void (await must(["kubectl", "apply", "-f", "-"], { env, input: yaml }));
  const pods = async (namespace: string, labelSelector?: string): Promise<readonly Pod[]> =>
    (await client.list<Pod>(RESOURCES.pods, { namespace, ...(labelSelector === undefined ? {} : { labelSelector }) })).items;
  return {
    dataDir,
    kubeconfig,
    id: instanceId(dataDir),
    client,
    lines: up.lines,
    pid: up.child?.pid ?? 0,
    kubectl,
    kubectlRan,
    ambit: (...args) => must([NODE, CLI_MAIN, ...args], { env }),
    ambitRan: (...args) => run([NODE, CLI_MAIN, ...args], { env }),
    apply,
    pods,
    podOf: (namespace, app, version) =>
      until(
        `a ready pod of ${namespace}/${app}`,
        async () => {
          const found = (await pods(namespace, version === undefined ? `app=${app}` : `app=${app},version=${version}`)).filter(isReady);
          return found.sort((a, b) => (b.metadata.creationTimestamp ?? "").localeCompare(a.metadata.creationTimestamp ?? ""))[0];
        },
        60_000,
      ),
    installMesh: async () => {
      await kubectl("apply", "-k", KUSTOMIZE);
      for (const what of ["deployment/istiod", "daemonset/ztunnel", "daemonset/istio-cni-node"])
        await kubectl("-n", "istio-system", "rollout", "status", what, "--timeout=90s");
    },
    stop: async () => {
      await client.close();
      if (up.child === undefined || up.child.exitCode !== null || up.child.signalCode !== null) return;
      const ended = once(up.child, "exit");
      up.child.kill("SIGINT");
      await within("ambit up to end", ended, 60_000);
    },
  };
};
