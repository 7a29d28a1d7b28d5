// What does ztunnel weigh: idle, per idle connection, and with many workloads known?
import { http, podPlace } from "../world/net.ts";
import type { Metric } from "./bars.ts";
import type { HaproxyPair } from "./haproxy.ts";
import { manyWorkloads } from "./objects.ts";
import { load, type Path, type Paths } from "./paths.ts";
import { proxyPids, rssKb, ztunnels } from "./processes.ts";
import type { World } from "./world.ts";

/** Each takes two of its descriptors. */
const MOST_THROUGH_HAPROXY = 8_000;

/** KB that each of `count` idle connections adds to a client's and a server's proxy. */
const heldOn = async (world: World, path: Path, count: number, pids: { client: number; server: number }) => {
  const { host, port } = path.to("responder");
  // Once through first: what is loaded and dialled on first use is not the connections' doing.
  await world.run(path.from, load("pingpong", host, port, 1), 20_000);
  const before = { client: rssKb(pids.client), server: rssKb(pids.server) };
  const holder = world.start(path.from, load("hold", host, port, count));
  await holder.line(/^held /);
  const held = { client: (rssKb(pids.client) - before.client) / count, server: (rssKb(pids.server) - before.server) / count };
  await holder.stop();
  return held;
};

const single = (id: string, title: string, unit: string, values: Metric["values"]): Metric => ({
  id,
  title,
  unit,
  against: undefined,
  values,
});

/** On ztunnels that nothing has used yet. */
export const idleMemory = async (world: World): Promise<Metric> => {
  const { client, server } = await proxyPids(world);
  return single("rss-idle", "memory of an idle process (one figure per node)", "MB", {
    ztunnel: [rssKb(client) / 1_024, rssKb(server) / 1_024],
  });
};

export const heldMemory = async (world: World, paths: Paths, peer: HaproxyPair, count: number): Promise<Metric[]> => {
  const ztunnel = await heldOn(world, paths.ztunnel, count, await proxyPids(world));
  const haproxy = await heldOn(world, paths.haproxy, Math.min(count, MOST_THROUGH_HAPROXY), {
    client: peer.client.pid,
    server: peer.server.pid,
  });
  return (["client", "server"] as const).map((side) => ({
    id: `held-${side}`,
    title: `memory per idle connection of ${count}, the ${side}'s proxy`,
    unit: "KB",
    against: "haproxy",
    values: { haproxy: [haproxy[side]], ztunnel: [ztunnel[side]] },
  }));
};

const known = async (world: World, name: string): Promise<number> => {
  const pod = (await world.cluster.pods("istio-system", "app=ztunnel")).find((p) => p.metadata.name === name);
  if (pod === undefined) throw new Error(`${name} has gone`);
  const { body } = await http(podPlace(world.cluster, pod), { host: "127.0.0.1", port: 15_000 }, { path: "/config_dump" });
  return (JSON.parse(body) as { workloads: readonly unknown[] }).workloads.length;
};

/** On ztunnels that start into a mesh of that size. */
export const workloadMemory = async (world: World, count: number): Promise<Metric> => {
  const { cluster } = world;
  const applied = await cluster.kubectlRan(["apply", "--server-side", "-f", "-"], manyWorkloads(count));
  if (applied.code !== 0) throw new Error(`the ${count} workloads could not be made: ${applied.stderr}`);
  await cluster.kubectl("-n", "istio-system", "rollout", "restart", "daemonset/ztunnel");
  await cluster.kubectl("-n", "istio-system", "rollout", "status", "daemonset/ztunnel", "--timeout=90s");
  const found = Object.values(await ztunnels(world));
  // A ztunnel is ready once it has the whole mesh. Weighed before it is asked what it knows, which costs memory of its own.
  const weights = found.map(({ pid }) => rssKb(pid) / 1_024);
  for (const { pod } of found) {
    const workloads = await known(world, pod);
    if (workloads < count) throw new Error(`${pod} became ready with ${workloads} of ${count} workloads`);
  }
  return single("rss-workloads", `memory with ${count} workloads known (one figure per node)`, "MB", { ztunnel: weights });
};
