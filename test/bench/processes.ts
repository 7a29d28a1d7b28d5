// What do the proxies' processes use?
import { readFileSync } from "node:fs";
import { processesOf, type World } from "./world.ts";

/** A proxy at the client's side and one at the server's. */
export type ProxyPids = { readonly client: number; readonly server: number };

/** Resident memory in KB. */
export const rssKb = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? Number.NaN);

const TICK_MS = 10; // USER_HZ is 100 on every Linux that node runs on

/** CPU time used since the start, user and system, in ms. */
export const cpuMs = (pid: number): number => {
  // Fields 14 and 15 of the line; the name, which may hold anything, ends with the last parenthesis.
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /s, "")
    .split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
};

/** The ztunnel process of each node, by node name. */
export const ztunnels = async (world: World): Promise<Readonly<Record<string, { readonly pid: number; readonly pod: string }>>> => {
  const pods = (await world.cluster.pods("istio-system", "app=ztunnel")).filter((p) => p.metadata.deletionTimestamp === undefined);
  return Object.fromEntries(
    pods.map((p) => {
      const heaviest = processesOf(p).sort((a, b) => rssKb(b.pid) - rssKb(a.pid))[0];
      if (heaviest === undefined) throw new Error(`${p.metadata.name} has no process`);
      return [p.spec.nodeName ?? "", { pid: heaviest.pid, pod: p.metadata.name }];
    }),
  );
};

export const proxyPids = async (world: World): Promise<ProxyPids> => {
  const { node1, node2 } = await ztunnels(world);
  if (node1 === undefined || node2 === undefined) throw new Error("there is not a ztunnel on each node");
  return { client: node1.pid, server: node2.pid };
};
