// Throughput, latency and connections per second of the ways between two pods.
import { unwrap } from "@ambit/shared/runtime/result.ts";
import { load, type Path, type Paths } from "./paths.ts";
import { iperfGbits } from "./readings.ts";
import type { Suite } from "./rounds.ts";
import type { World } from "./world.ts";

const SLACK_MS = 20_000;

export const throughput = (world: World, paths: Paths, seconds: number): Suite<Path> => {
  const one = async (path: Path, streams: number): Promise<number> => {
    const { host, port } = path.to("iperf");
    const argv = ["iperf3", "--json", "-c", host, "-p", port, "-t", seconds, "-P", streams].map(String);
    return unwrap(iperfGbits(await world.run(path.from, argv, seconds * 1_000 + SLACK_MS)));
  };
  return {
    metrics: [
      { id: "throughput-1", title: "throughput, 1 stream", unit: "Gbit/s", against: "haproxy" },
      { id: "throughput-8", title: "throughput, 8 streams", unit: "Gbit/s", against: "haproxy" },
    ],
    paths: [paths.direct, paths.haproxy, paths.ztunnel],
    measure: async (path) => ({ "throughput-1": await one(path, 1), "throughput-8": await one(path, 8) }),
  };
};

export const latency = (world: World, paths: Paths, seconds: number): Suite<Path> => ({
  metrics: [
    { id: "p50", title: "1 KB there and back, p50", unit: "µs", against: undefined },
    { id: "p99", title: "1 KB there and back, p99", unit: "µs", against: undefined },
    { id: "added-p50", title: "added to direct, p50", unit: "µs", against: "haproxy" },
    { id: "added-p99", title: "added to direct, p99", unit: "µs", against: "haproxy" },
  ],
  paths: [paths.direct, paths.haproxy, paths.ztunnel],
  measure: async (path) => {
    const { host, port } = path.to("responder");
    const said = await world.run(path.from, load("pingpong", host, port, seconds), seconds * 1_000 + SLACK_MS);
    const { p50, p99 } = JSON.parse(said) as { p50: number; p99: number };
    return { p50, p99 };
  },
  derive: (round) => {
    const direct = round[paths.direct.name];
    return Object.fromEntries(
      Object.entries(round).map(([name, r]) => [
        name,
        direct === undefined || name === paths.direct.name
          ? r
          : {
              ...r,
              "added-p50": (r.p50 ?? Number.NaN) - (direct.p50 ?? Number.NaN),
              "added-p99": (r.p99 ?? Number.NaN) - (direct.p99 ?? Number.NaN),
            },
      ]),
    );
  },
});

const LANES = 16;

export const connections = (world: World, paths: Paths, seconds: number): Suite<Path> => ({
  metrics: [{ id: "connections", title: "connections opened, used for 1 KB each way, closed", unit: "per second", against: "haproxy" }],
  paths: [paths.direct, paths.haproxy, paths.resumed, paths.ztunnel],
  measure: async (path) => {
    const { host, port } = path.to("once");
    const said = await world.run(path.from, load("connects", host, port, seconds, LANES), seconds * 1_000 + SLACK_MS);
    return { connections: (JSON.parse(said) as { perSecond: number }).perSecond };
  },
});
