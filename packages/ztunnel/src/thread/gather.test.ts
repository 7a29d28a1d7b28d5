// Is what data threads count what the process shows?

import assert from "node:assert/strict";
import { test } from "node:test";
import { createMetrics, type Metrics } from "@ambit/shared/telemetry/metrics.ts";
import { createThreadMetrics } from "./counts.ts";
import { createGather } from "./gather.ts";

const setOf = (metrics: Pick<Metrics, "counters">) =>
  metrics.counters({ labels: ["a"], families: { opened: { name: "o_total", help: "O." }, closed: { name: "c_total", help: "C." } } });

const setup = () => {
  const metrics = createMetrics();
  const gather = createGather(metrics);
  const shown = async (): Promise<string[]> => {
    gather.collect();
    return (await metrics.expose(undefined)).body.split("\n").filter((l) => l !== "" && !l.startsWith("#"));
  };
  return { gather, shown, thread: (index: number) => createThreadMetrics((event) => gather.on(index, event)) };
};

test("sets of counters of two threads are added up; one that nothing was added to is not shown", async () => {
  const { thread, shown } = setup();
  const [one, two] = [setOf(thread(0)).with({ a: "x" }), setOf(thread(1)).with({ a: "x" })];
  one.opened.add();
  two.opened.add(2);
  assert.deepEqual(await shown(), ['o_total{a="x"} 3']);
  one.opened.add(4);
  two.closed.add(0);
  assert.deepEqual(await shown(), ['o_total{a="x"} 7', 'c_total{a="x"} 0']);
  assert.deepEqual([one.opened.value, one.closed.value], [5, 0]);
  assert.deepEqual(await shown(), ['o_total{a="x"} 7', 'c_total{a="x"} 0']);
});

test("what a thread had counted stays when it ends, what it held does not", async () => {
  const { gather, thread, shown } = setup();
  const metrics = thread(0);
  setOf(metrics).with({ a: "x" }).closed.add(2);
  metrics.gauge({ name: "g", help: "G." }).with({}).add(1);
  metrics
    .histogram({ name: "h", help: "H.", buckets: [1] })
    .with({})
    .observe(3);
  gather.gone(0);
  setOf(thread(0)).with({ a: "x" }).closed.add(1);
  assert.deepEqual(await shown(), ['c_total{a="x"} 3', "g 0", 'h_bucket{le="1"} 0', 'h_bucket{le="+Inf"} 1', "h_sum 3", "h_count 1"]);
});
