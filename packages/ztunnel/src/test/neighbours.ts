// What does it cost that two pods of one node talk through a tunnel, and what without one? (a program: needs root, iperf3; about a minute)
// node packages/ztunnel/src/test/neighbours.ts [rounds] [seconds]

import { execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { aWorkload, ip } from "@ambit/shared/state/fixtures.ts";
import { createTestCa, createTestController } from "./mesh.ts";
import { createTestNet, type TestPod } from "./net.ts";
import { createTestNodes } from "./node.ts";

const rounds = Number(process.argv[2] ?? 3);
const seconds = Number(process.argv[3] ?? 2);
const LOAD = new URL("../../../../test/bench/load/", import.meta.url).pathname;

const net = createTestNet(["a", "b", "c", "d", "e", "f"]);
const [a, b, c, d, e, f] = ["a", "b", "c", "d", "e", "f"].map(net.pod) as [TestPod, TestPod, TestPod, TestPod, TestPod, TestPod];
const dir = mkdtempSync(join(tmpdir(), "ambit-neighbours-"));
const controller = createTestController(createTestCa());
const nodes = createTestNodes(dir, controller);

const inside = (pod: TestPod, argv: readonly (string | number)[]): readonly string[] => [
  "netns",
  "exec",
  `t-z-${process.pid}-${pod.name}`,
  ...argv.map(String),
];
const run = async (pod: TestPod, ...argv: (string | number)[]): Promise<string> =>
  (await promisify(execFile)("ip", inside(pod, argv), { timeout: 60_000, maxBuffer: 1 << 24 })).stdout;
const serve = async (pod: TestPod, ready: RegExp, ...argv: (string | number)[]): Promise<() => void> => {
  const child = spawn("ip", inside(pod, argv), { stdio: ["pipe", "pipe", "inherit"] });
  for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) if (ready.test(String(chunk))) break;
  child.stdout.resume();
  return () => void child.kill();
};

type Way = { readonly name: string; readonly from: TestPod; readonly to: TestPod };
const WAYS: readonly Way[] = [
  { name: "no mesh", from: e, to: f },
  { name: "through the tunnel", from: c, to: d },
  { name: "next door", from: a, to: b },
];
type Reading = Readonly<Record<string, number>>;

const iperf = async ({ from, to }: Way, streams: number): Promise<number> => {
  const said = JSON.parse(await run(from, "iperf3", "--json", "-c", to.v4, "-p", 5201, "-t", seconds, "-P", streams));
  return said.end.sum_received.bits_per_second / 1e9;
};
const measure = async (way: Way): Promise<Reading> => ({
  "1 stream, Gbit/s": await iperf(way, 1),
  "8 streams, Gbit/s": await iperf(way, 8),
  "1 KB there and back, p50 µs": JSON.parse(await run(way.from, process.execPath, `${LOAD}pingpong.ts`, way.to.v4, 5202, seconds)).p50,
  "connections a second": JSON.parse(await run(way.from, process.execPath, `${LOAD}connects.ts`, way.to.v4, 5203, seconds, 16)).perSecond,
});

const median = (values: readonly number[]): number => [...values].sort((x, y) => x - y)[Math.floor(values.length / 2)] ?? Number.NaN;

const stops: (() => void)[] = [];
try {
  for (const p of [a, b, c, d]) net.capture(p);
  await controller.push({ workloads: [a, b, c, d].map((p) => aWorkload(p.name, p.v4, { addresses: [ip(p.v4)], serviceAccount: p.name })) });
  const near = await nodes.start("near", [a, b], { AMBIT_LOCAL_SHORTCUT: "true", RUST_LOG: "warn" });
  const far = await nodes.start("far", [c, d], { AMBIT_LOCAL_SHORTCUT: "false", RUST_LOG: "warn" });
  for (const to of [b, d, f]) {
    stops.push(await serve(to, /listening/i, "iperf3", "-s", "-p", 5201, "--forceflush"));
    stops.push(await serve(to, /ready/, process.execPath, `${LOAD}responder.ts`, 5202));
    stops.push(await serve(to, /ready/, process.execPath, `${LOAD}responder.ts`, 5203, "once"));
  }
  const readings = new Map<string, Reading[]>(WAYS.map((w) => [w.name, []]));
  for (let round = 0; round < rounds; round++) for (const way of WAYS) readings.get(way.name)?.push(await measure(way));
  const of = (way: string, metric: string): number => median((readings.get(way) ?? []).map((r) => r[metric] ?? Number.NaN));
  const metrics = Object.keys(readings.get("next door")?.[0] ?? {});
  const lines = metrics.map((m) => {
    const [none, tunnel, next] = WAYS.map((w) => of(w.name, m));
    return `| ${m} | ${none?.toFixed(1)} | ${tunnel?.toFixed(1)} | ${next?.toFixed(1)} | ${((next ?? 0) / (tunnel ?? 1)).toFixed(2)} |`;
  });
  process.stdout.write(
    `Medians of ${rounds} rounds of ${seconds} s, interleaved, all on this machine\n\n| | no mesh | through the tunnel | next door | next door ÷ tunnel |\n|---|---|---|---|---|\n${lines.join("\n")}\n`,
  );
  await Promise.all([near.stop(), far.stop()]);
} finally {
  for (const stop of stops) stop();
  net[Symbol.dispose]();
  rmSync(dir, { recursive: true, force: true });
}
