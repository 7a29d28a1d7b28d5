// make bench: figures of the real mesh as ratios to peers measured in the same run. Leaves nothing behind but the report.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { leftovers } from "../world/leaks.ts";
import { ROOT } from "../world/paths.ts";
import type { Metric } from "./bars.ts";
import { facts, loadBefore, missingPrograms } from "./facts.ts";
import { startHaproxy } from "./haproxy.ts";
import { http, startHttp } from "./http.ts";
import { heldMemory, idleMemory, workloadMemory } from "./memory.ts";
import { startNodeHttp2 } from "./node-http2.ts";
import { type Options, parseOptions, type SuiteName, USAGE } from "./options.ts";
import { pathsOf, startServers } from "./paths.ts";
import { proxyPids } from "./processes.ts";
import { endProfiling, startProfiling } from "./profile.ts";
import { markdown, placed } from "./report.ts";
import { inRounds } from "./rounds.ts";
import { connections, latency, throughput } from "./tcp.ts";
import { startWorld, type World } from "./world.ts";

/** After this no further round is begun, so that the whole stays below six minutes. */
const BUDGET_MS = 270_000;

const began = performance.now();
const say = (line: string): void =>
  void process.stderr.write(`${((performance.now() - began) / 1_000).toFixed(0).padStart(4)} s  ${line}\n`);

type Outcome = { readonly metrics: readonly Metric[]; readonly failures: readonly string[] };

const measure = async (world: World, options: Options, stopped: AbortSignal): Promise<Outcome> => {
  const metrics: Metric[] = [];
  const failures: string[] = [];
  const { only, repeat, seconds } = options;
  const rounds = { repeat, say, mayGoOn: () => performance.now() - began < BUDGET_MS };
  // One suite that fails takes nothing from the others; it is told, and the run ends with an error.
  const suite = async (name: SuiteName, work: () => Promise<readonly Metric[]>): Promise<void> => {
    if (!only.includes(name) || stopped.aborted) return;
    say(`${name}`);
    try {
      metrics.push(...(await work()));
    } catch (e) {
      failures.push(`${name}: ${e instanceof Error ? e.message : String(e)}`);
      say(`${name} failed: ${failures.at(-1)}`);
    }
  };
  await suite("memory", async () => [await idleMemory(world)]);
  const paths = pathsOf(world);
  await startServers(world);
  const peer = await startHaproxy(world);
  const http2 = await startNodeHttp2(world);
  const peers = { seconds, http2: http2.path };
  await suite("memory", () => heldMemory(world, paths, peer, options.held));
  if (options.profile !== undefined) await startProfiling(world);
  await suite("throughput", async () => {
    const proxies = {
      [paths.haproxy.name]: { client: peer.client.pid, server: peer.server.pid },
      [http2.path.name]: { client: http2.client.pid, server: http2.server.pid },
      [paths.ztunnel.name]: await proxyPids(world),
    };
    return inRounds(throughput(world, paths, proxies, peers), rounds);
  });
  await suite("latency", () => inRounds(latency(world, paths, peers), rounds));
  await suite("connections", () => inRounds(connections(world, paths, peers), rounds));
  await suite("http", async () => inRounds(http(world, await startHttp(world), seconds), rounds));
  if (options.profile !== undefined) process.stdout.write(`${await endProfiling(world, options.profile)}\n`);
  await suite("memory", async () => [await workloadMemory(world, options.workloads)]);
  return { metrics, failures };
};

const DOCUMENT = join(ROOT, "docs/performance.md");

const bench = async (options: Options, args: readonly string[]): Promise<void> => {
  const missing = await missingPrograms();
  if (missing !== undefined) throw new Error(missing);
  const load = loadBefore();
  const stopped = new AbortController();
  process.once("SIGINT", () => stopped.abort()).once("SIGTERM", () => stopped.abort());
  const world = await startWorld(say);
  // What runs is ended at once; what waited for it then says so.
  stopped.signal.addEventListener("abort", () => void world.stop());
  let outcome: Outcome;
  try {
    outcome = await measure(world, options, stopped.signal);
  } finally {
    await world.stop();
  }
  const left = await leftovers(world.cluster.id, world.cluster.dataDir);
  if (left.length > 0) throw new Error(`this is left on the machine: ${left.join("; ")}`);
  if (stopped.signal.aborted) throw new Error("stopped before the end; nothing is left behind");
  const shown = args.map((a) => (/^[\w,./-]+$/.test(a) ? a : `'${a}'`)).join(" ");
  const text = markdown({
    command: `make bench${shown === "" ? "" : ` ARGS="${shown}"`}`,
    facts: [...(await facts()), `load average of the machine before the run: ${load}`],
    metrics: outcome.metrics,
    failures: outcome.failures,
    note: options.note,
  });
  process.stdout.write(text);
  if (options.write) writeFileSync(DOCUMENT, placed(existsSync(DOCUMENT) ? readFileSync(DOCUMENT, "utf8") : "# Performance\n", text));
  say("done");
  if (outcome.failures.length > 0) process.exitCode = 1;
};

const args = process.argv.slice(2);
const options = parseOptions(args);
if (!options.ok) {
  process.stderr.write(`bench: ${options.error}\n\n${USAGE}`);
  process.exit(2);
}
try {
  await bench(options.value, args);
} catch (e) {
  process.stderr.write(`bench: ${e instanceof Error ? e.message : String(e)}\n`);
  process.exitCode = 1;
}
