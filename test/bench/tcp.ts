// Throughput, latency and connections per second of the ways between two pods.
import { unwrap } from "@ambit/shared/runtime/result.ts";
import { load, type Path, type Paths } from "./paths.ts";
import { cpuMs, type ProxyPids } from "./processes.ts";
import { iperfReading } from "./readings.ts";
import type { Reading, Suite } from "./rounds.ts";
import type { World } from "./world.ts";

const SLACK_MS = 20_000;

export type Peers = {
  /** How long one measurement lasts. */
  readonly seconds: number;
  /** Through the pair of node:http2 tunnels. */
  readonly http2: Path;
};

type Throughput = { readonly gbits: number; readonly cpu: number };

/** `proxies` by path: what they used is put in relation to what was carried. */
export const throughput = (
  world: World,
  paths: Paths,
  proxies: Readonly<Record<string, ProxyPids>>,
  { seconds, http2 }: Peers,
): Suite<Path> => {
  const one = async (path: Path, streams: number): Promise<Throughput> => {
    const { host, port } = path.to("iperf");
    const argv = ["iperf3", "--json", "-c", host, "-p", port, "-t", seconds, "-P", streams].map(String);
    const pids = Object.values(proxies[path.name] ?? {});
    const used = (): number => pids.reduce((sum, pid) => sum + cpuMs(pid), 0);
    const before = used();
    const { gbits, bytes } = unwrap(iperfReading(await world.run(path.from, argv, seconds * 1_000 + SLACK_MS)));
    return { gbits, cpu: (used() - before) / 1_000 / (bytes / 1e9) };
  };
  const cpu = (streams: number, { cpu: value }: Throughput): Reading => (value === 0 ? {} : { [`cpu-${streams}`]: value });
  return {
    metrics: [
      { id: "throughput-1", title: "throughput, 1 stream", unit: "Gbit/s", against: "haproxy" },
      { id: "throughput-8", title: "throughput, 8 streams", unit: "Gbit/s", against: "haproxy" },
      { id: "beside-http2-1", title: "throughput, 1 stream, beside node:http2", unit: "Gbit/s", against: "node:http2" },
      { id: "beside-http2-8", title: "throughput, 8 streams, beside node:http2", unit: "Gbit/s", against: "node:http2" },
      { id: "cpu-1", title: "CPU of both proxies, 1 stream", unit: "s per GB", against: "haproxy" },
      { id: "cpu-8", title: "CPU of both proxies, 8 streams", unit: "s per GB", against: "haproxy" },
    ],
    paths: [paths.direct, paths.haproxy, http2, paths.ztunnel],
    measure: async (path) => {
      const single = await one(path, 1);
      const eight = await one(path, 8);
      return { "throughput-1": single.gbits, "throughput-8": eight.gbits, ...cpu(1, single), ...cpu(8, eight) };
    },
    // The same readings in relation to another peer.
    derive: (round) =>
      Object.fromEntries(
        Object.entries(round).map(([name, r]) => {
          const tunnel = name === http2.name || name === paths.ztunnel.name;
          const beside = { "beside-http2-1": r["throughput-1"] ?? Number.NaN, "beside-http2-8": r["throughput-8"] ?? Number.NaN };
          return [name, tunnel ? { ...r, ...beside } : r];
        }),
      ),
  };
};

export const latency = (world: World, paths: Paths, { seconds, http2 }: Peers): Suite<Path> => ({
  metrics: [
    { id: "p50", title: "1 KB there and back, p50", unit: "µs", against: undefined },
    { id: "p99", title: "1 KB there and back, p99", unit: "µs", against: undefined },
    { id: "added-p50", title: "added to direct, p50", unit: "µs", against: "haproxy" },
    { id: "added-p99", title: "added to direct, p99", unit: "µs", against: "haproxy" },
  ],
  paths: [paths.direct, paths.haproxy, http2, paths.ztunnel],
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
/** V8 compiles what runs often: until then a new connection costs several times as much. Each thread of each proxy has to get there. */
const WARM_UP_S = 10;

export const connections = (world: World, paths: Paths, { seconds, http2 }: Peers): Suite<Path> => {
  const run = (path: Path, s: number): Promise<string> => {
    const { host, port } = path.to("once");
    return world.run(path.from, load("connects", host, port, s, LANES), s * 1_000 + SLACK_MS);
  };
  return {
    metrics: [{ id: "connections", title: "connections opened, used for 1 KB each way, closed", unit: "per second", against: "haproxy" }],
    paths: [paths.direct, paths.haproxy, paths.resumed, http2, paths.ztunnel],
    warmUp: async () => {
      for (const path of [http2, paths.ztunnel]) await run(path, WARM_UP_S);
    },
    measure: async (path) => ({ connections: (JSON.parse(await run(path, seconds)) as { perSecond: number }).perSecond }),
  };
};
