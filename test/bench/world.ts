// Where is measured: which pods, in which namespaces, and how do programs get into them?
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import { type Cluster, startCluster } from "../world/cluster.ts";
import { podPlace } from "../world/net.ts";
import { must } from "../world/program.ts";
import { until, within } from "../world/until.ts";
import { OBJECTS } from "./objects.ts";

/** A pod that programs are put into. */
export type Site = { readonly pod: Pod; readonly ip: string; readonly netns: string; readonly cgroup: string };
export type Pair = { readonly client: Site; readonly server: Site };

/** A program that runs until it is stopped. */
export type Server = { readonly pid: number; stop(): Promise<void>; line(pattern: RegExp): Promise<string> };

export type World = {
  readonly cluster: Cluster;
  readonly captured: Pair;
  readonly plain: Pair;
  /** An uncaptured pod on the server's node, for a proxy of its own. */
  readonly proxy: Site;
  /** Where what is made for the run is put; removed with the cluster's data. */
  readonly dir: string;
  /** Runs a program in the pod to its end; its standard output. */
  run(site: Site, argv: readonly string[], timeoutMs: number): Promise<string>;
  start(site: Site, argv: readonly string[]): Server;
  stop(): Promise<void>;
};

const cgroup2 = (): string => {
  const mount = readFileSync("/proc/mounts", "utf8")
    .split("\n")
    .find((l) => l.split(" ")[2] === "cgroup2");
  if (mount === undefined) throw new Error("no cgroup2 is mounted");
  return mount.split(" ")[1] ?? "";
};

/** The pod's processes with their cgroups (below the mount). */
export const processesOf = (pod: Pod): { readonly pid: number; readonly cgroup: string }[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const cgroup = /^0::(.*)$/m.exec(readFileSync(`/proc/${name}/cgroup`, "utf8"))?.[1] ?? "";
        return cgroup.includes(`pod${pod.metadata.uid}/`) ? [{ pid: Number(name), cgroup }] : [];
      } catch {
        return []; // it ended while we looked
      }
    });

const siteOf = async (cluster: Cluster, namespace: string, app: string): Promise<Site> => {
  const pod = await cluster.podOf(namespace, app);
  const ip = pod.status?.podIP;
  const cgroup = processesOf(pod)[0]?.cgroup;
  if (ip === undefined || cgroup === undefined) throw new Error(`${namespace}/${app} has no address or no process`);
  return { pod, ip, netns: podPlace(cluster, pod).netns, cgroup: join(cgroup2(), cgroup) };
};

/** In the pod's network first, then in its cgroup: whatever becomes of us, the program ends with the pod. */
const inside = (site: Site, argv: readonly string[]): string[] => [
  "nsenter",
  `--net=${site.netns}`,
  "sh",
  "-c",
  'echo $$ >"$0/cgroup.procs" && exec "$@"',
  site.cgroup,
  ...argv,
];

const start = (site: Site, argv: readonly string[], servers: Set<Server>): Server => {
  const [program = "", ...args] = inside(site, argv);
  const child: ChildProcess = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
  const exited = once(child, "exit");
  const said: string[] = [];
  const waiting = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr])
    if (stream !== null)
      createInterface({ input: stream }).on("line", (line) => {
        said.push(line);
        for (const look of [...waiting]) look();
      });
  const line = (pattern: RegExp): Promise<string> =>
    within(
      `${argv.join(" ")} to say ${pattern}`,
      new Promise<string>((resolve, reject) => {
        const look = (): void => {
          const found = said.find((l) => pattern.test(l));
          if (found === undefined) return;
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        exited.then(
          ([code]) => reject(new Error(`${argv.join(" ")} ended with ${code}: ${said.join("\n")}`)),
          (e: unknown) => reject(e), // could not be started at all
        );
        look();
      }),
      60_000,
    );
  const server: Server = {
    pid: child.pid ?? 0,
    line,
    stop: async () => {
      servers.delete(server);
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.stdin?.end();
      child.kill("SIGTERM");
      await within(`${argv[0]} to end`, exited, 10_000).catch(() => child.kill("SIGKILL"));
    },
  };
  servers.add(server);
  return server;
};

/** Two nodes, the mesh, a captured pair and an uncaptured one, each client on node1 and its server on node2. */
export const startWorld = async (say: (line: string) => void): Promise<World> => {
  say("starting two nodes and the mesh");
  const cluster = await startCluster({ name: "bench" });
  try {
    await Promise.all([cluster.apply(OBJECTS), cluster.installMesh()]);
    await until("the captured pair captured", async () => {
      const pods = await cluster.pods("mesh");
      return pods.length === 2 && pods.every((p) => p.metadata.annotations?.["ambient.istio.io/redirection"] === "enabled")
        ? true
        : undefined;
    });
    const site = (namespace: string, app: string): Promise<Site> => siteOf(cluster, namespace, app);
    const pair = async (namespace: string): Promise<Pair> => ({
      client: await site(namespace, "client"),
      server: await site(namespace, "server"),
    });
    const servers = new Set<Server>();
    return {
      cluster,
      captured: await pair("mesh"),
      plain: await pair("plain"),
      proxy: await site("plain", "proxy"),
      dir: cluster.dataDir,
      run: (at, argv, timeoutMs) => must(inside(at, argv), { timeoutMs }),
      start: (at, argv) => start(at, argv, servers),
      stop: async () => {
        await Promise.all([...servers].map((s) => s.stop()));
        await cluster.stop();
      },
    };
  } catch (e) {
    await cluster.stop();
    throw e;
  }
};
