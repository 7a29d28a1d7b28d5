// What of a cluster is on this machine: processes, namespaces, links, tables, directories?
import { existsSync, globSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./program.ts";

const cgroupMounts = (): string[] =>
  readFileSync("/proc/mounts", "utf8")
    .split("\n")
    .flatMap((line) => {
      const [, at = "", type] = line.split(" ");
      return type === "cgroup2" ? [at] : [];
    });

/** Pids whose command line or cgroup names the cluster. */
const processes = (id: string, dataDir: string): string[] =>
  readdirSync("/proc")
    .filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid)
    .flatMap((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
        const cgroup = readFileSync(`/proc/${pid}/cgroup`, "utf8");
        // A zombie has ended; it waits for the machine's init to collect it.
        if (/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"))) return [];
        return cgroup.includes(`ambit-${id}`) || command.includes(`--data ${dataDir}`) ? [`process ${pid}: ${command}`] : [];
      } catch {
        return []; // it ended while we looked
      }
    });

/** Everything left of the cluster, one line each; empty when it has gone without a trace. The data directory may stay. */
export const leftovers = async (id: string, dataDir: string): Promise<string[]> => {
  const namespaces = existsSync("/run/netns") ? readdirSync("/run/netns").filter((n) => n.startsWith(`ambit-${id}-`)) : [];
  const links = (await run(["ip", "-o", "link"])).stdout.split("\n").filter((l) => l.includes("ambit") || l.includes(id));
  const tables = (await run(["nft", "list", "tables"])).stdout.split("\n").filter((l) => /ambit|istio/.test(l));
  const mounts = readFileSync("/proc/mounts", "utf8")
    .split("\n")
    .filter((l) => l.includes(`ambit-${id}`) || l.includes(`/run/ambit/${id}`));
  const cgroups = cgroupMounts().flatMap((at) => globSync(join(at, `ambit-${id}`)));
  const dirs = [`/run/ambit/${id}`].filter((d) => existsSync(d));
  return [
    ...processes(id, dataDir),
    ...namespaces.map((n) => `namespace ${n}`),
    ...links.map((l) => `link ${l}`),
    ...tables.map((t) => `table ${t}`),
    ...mounts.map((m) => `mount ${m}`),
    ...cgroups.map((c) => `cgroup ${c}`),
    ...dirs.map((d) => `directory ${d}`),
  ];
};
