// Are metrics exposed in both formats, as Prometheus reads them?

import assert from "node:assert/strict";
import { test } from "node:test";
import { createMetrics } from "./metrics.ts";

const OPEN = "application/openmetrics-text; version=1.0.0";

test("a child is the same object for equal label values, and labels print in the family's order", async () => {
  const metrics = createMetrics();
  const family = metrics.counter({ name: "x_total", help: "Xs.", labels: ["a", "b"] });
  family.with({ b: "2", a: "1" }).add();
  assert.equal(family.with({ a: "1", b: "2" }), family.with({ b: "2", a: "1" }));
  family.with({ a: "1", b: "2" }).add(4);
  assert.equal((await metrics.expose(undefined)).body, '# HELP x_total Xs.\n# TYPE x_total counter\nx_total{a="1",b="2"} 5\n');
});

test("OpenMetrics names the family without _total, and the text format keeps it afterwards", async () => {
  const metrics = createMetrics();
  metrics.counter({ name: "x_total", help: "Xs." }).with({}).add(2);
  assert.equal((await metrics.expose(OPEN)).body, "# HELP x Xs.\n# TYPE x counter\nx_total 2\n# EOF\n");
  assert.match((await metrics.expose("text/plain")).body, /^x_total 2$/m);
});

test("a histogram's buckets are cumulative and end in +Inf", async () => {
  const metrics = createMetrics();
  const h = metrics.histogram({ name: "d", help: "D.", labels: ["k"], buckets: [1, 5] }).with({ k: "v" });
  for (const n of [1, 2, 9]) h.observe(n);
  const { body } = await metrics.expose(undefined);
  assert.deepEqual(body.trim().split("\n").slice(2), [
    'd_bucket{k="v",le="1"} 1',
    'd_bucket{k="v",le="5"} 2',
    'd_bucket{k="v",le="+Inf"} 3',
    'd_sum{k="v"} 12',
    'd_count{k="v"} 3',
  ]);
});

test("gauges are set, added to, read at the scrape, and removed", async () => {
  const metrics = createMetrics();
  const g = metrics.gauge({ name: "g", help: "G.", labels: ["r"] });
  g.with({ r: "a" }).set(3);
  g.with({ r: "b" }).add(-1);
  g.remove({ r: "b" });
  metrics.gaugeOf({ name: "live", help: "L." }, () => 7);
  const { body } = await metrics.expose(undefined);
  assert.match(body, /^g\{r="a"\} 3$/m);
  assert.doesNotMatch(body, /r="b"/);
  assert.match(body, /^live 7$/m);
});

test("a label value cannot break the exposition", async () => {
  const metrics = createMetrics();
  metrics
    .counter({ name: "x_total", help: "Xs.", labels: ["a"] })
    .with({ a: 'q"\n\\' })
    .add();
  assert.match((await metrics.expose(undefined)).body, /x_total\{a="q\\"\\n\\\\"\} 1/);
});

test("the process's own figures are there in both formats", async () => {
  const metrics = createMetrics({ processMetrics: true });
  for (const accept of [undefined, OPEN, undefined]) {
    const { body } = await metrics.expose(accept);
    assert.match(body, /^process_open_fds \d+/m);
    assert.match(body, /^process_cpu_user_seconds_total /m);
  }
});

test("counters of one set share their labels, and each is shown once something was added to it, be it 0", async () => {
  const metrics = createMetrics();
  const set = metrics.counters({
    labels: ["a", "b"],
    families: {
      opened: { name: "opened_total", help: "Os." },
      bytes: { name: "bytes_total", help: "Bs." },
      failed: { name: "failed_total", help: "Fs." },
    },
  });
  const child = set.with({ b: "2", a: "1" });
  assert.equal(set.with({ a: "1", b: "2" }), child);
  child.opened.add();
  child.bytes.add(0);
  assert.equal(child.failed.value, 0);
  set.with({ a: "3", b: "" }).opened.add(2);
  assert.deepEqual((await metrics.expose(undefined)).body.trim().split("\n"), [
    "# HELP opened_total Os.",
    "# TYPE opened_total counter",
    'opened_total{a="1",b="2"} 1',
    'opened_total{a="3",b=""} 2',
    "# HELP bytes_total Bs.",
    "# TYPE bytes_total counter",
    'bytes_total{a="1",b="2"} 0',
    "# HELP failed_total Fs.",
    "# TYPE failed_total counter",
  ]);
});

test("what another counted is added to a histogram", async () => {
  const metrics = createMetrics();
  const h = metrics.histogram({ name: "d", help: "D.", buckets: [1, 5] }).with({});
  h.observe(1);
  h.merge([0, 2, 1], 17);
  const { body } = await metrics.expose(OPEN);
  assert.deepEqual(body.trim().split("\n").slice(2, -1), [
    'd_bucket{le="1.0"} 1',
    'd_bucket{le="5.0"} 3',
    'd_bucket{le="+Inf"} 4',
    "d_sum 18",
    "d_count 4",
  ]);
});

test("two families of one name are a mistake", () => {
  const metrics = createMetrics();
  metrics.counter({ name: "x_total", help: "Xs." });
  assert.throws(() => metrics.gauge({ name: "x_total", help: "Xs." }), /there is a metric x_total already/);
});

test("a large answer comes in pieces, and other work is done between any two of them", async () => {
  const metrics = createMetrics();
  const family = metrics.counter({ name: "x_total", help: "Xs.", labels: ["a"] });
  const COUNT = 20_000;
  for (let i = 0; i < COUNT; i++) family.with({ a: `value-${i}` }).add();
  let turns = 0;
  let scraping = true;
  const turn = (): void => {
    turns += 1;
    if (scraping) setImmediate(turn);
  };
  setImmediate(turn);
  let pieces = 0;
  let lines = 0;
  for await (const piece of metrics.stream(undefined).chunks) {
    pieces += 1;
    lines += piece.split("\n").length - 1;
    assert.ok(piece.length < 70_000, `a piece of ${piece.length} characters`);
    assert.ok(turns >= pieces - 1, `${turns} turns of the loop after ${pieces} pieces`);
  }
  scraping = false;
  assert.equal(lines, COUNT + 2);
  assert.ok(pieces > 5, `${pieces} pieces`);
});
