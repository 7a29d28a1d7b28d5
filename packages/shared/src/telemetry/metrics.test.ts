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
