import assert from "node:assert/strict";
import { test } from "node:test";
import { type Bar, barOf, type Metric, ratioOf } from "./bars.ts";
import { parseOptions } from "./options.ts";
import { figure, placed, table } from "./report.ts";
import { inRounds } from "./rounds.ts";
import { median, percentile, rotate, summarize } from "./stats.ts";

const metric: Metric = { id: "m", title: "speed", unit: "Gbit/s", against: "peer", values: { peer: [2, 4, 3], own: [6, 1, 3.3] } };
const bar = (over: Partial<Bar>): Bar => ({ metric: "m", path: "own", sense: "at least", value: 1, of: "ratio", ...over });

test("medians and percentiles", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  assert.ok(Number.isNaN(median([])));
  assert.equal(percentile([5, 1, 4, 2, 3], 0.5), 3);
  assert.equal(percentile([5, 1, 4, 2, 3], 0.99), 5);
  assert.deepEqual(summarize([3, 1, 2]), { min: 1, median: 2, max: 3, count: 3 });
});
test("every peer is first once", () => {
  assert.deepEqual(
    [0, 1, 2, 3].map((k) => rotate(["a", "b", "c"], k).join("")),
    ["abc", "bca", "cab", "abc"],
  );
});
test("ratios are of medians; a peer has none to itself", () => {
  assert.equal(ratioOf(metric, "own")?.toFixed(3), "1.100");
  assert.equal(ratioOf(metric, "peer"), undefined);
});
test("bars", () => {
  assert.equal(barOf(metric, "own", [bar({})]), "≥ 1 ×: held");
  assert.equal(barOf(metric, "own", [bar({ value: 2.2 })]), "≥ 2.2 ×: missed, 0.50 of it");
  assert.equal(barOf(metric, "own", [bar({ sense: "at most", value: 3, of: "figure" })]), "≤ 3: missed, 1.10 of it");
  assert.equal(barOf(metric, "peer", [bar({})]), undefined);
});
test("the table", () => {
  assert.deepEqual(table([metric]).split("\n").slice(2), [
    "| speed, Gbit/s | peer | 2.00 | **3.00** | 4.00 |  |  |",
    "|  | own | 1.00 | **3.30** | 6.00 | 1.10 × peer |  |",
  ]);
  assert.deepEqual([123.4, 12.34, 1.234, 0.1234, Number.NaN].map(figure), ["123", "12.3", "1.23", "0.123", "–"]);
});
test("the document keeps what is around its marked place", () => {
  const first = placed("# Title\n", "one");
  assert.match(first, /^# Title\n\n<!-- .*begin -->\none\n<!-- .*end -->\n$/);
  assert.equal(placed(`${first}\nmore\n`, "two"), `${first.replace("one", "two")}\nmore\n`);
});
test("rounds: each peer once a round, derived figures beside measured ones, an end when the time is up", async () => {
  const order: string[] = [];
  let left = 2;
  const suite = {
    metrics: [{ id: "x", title: "x", unit: "", against: undefined }],
    paths: [{ name: "a" }, { name: "b" }],
    measure: async ({ name }: { name: string }) => {
      order.push(name);
      return { x: order.length };
    },
  };
  const found = await inRounds(suite, { repeat: 5, say: () => undefined, mayGoOn: () => --left > 0 });
  assert.equal(order.join(""), "abba");
  assert.deepEqual(found[0]?.values, { a: [1, 4], b: [2, 3] });
});

for (const [argv, error] of [
  [["--only", "speed"], /there is no "speed"; there are memory/],
  [["--repeat", "0"], /--repeat takes a whole number from 1 to 50, not "0"/],
  [["--fast"], /--fast/],
] as const)
  test(`options: ${argv.join(" ")}`, () => {
    const parsed = parseOptions(argv);
    assert.ok(!parsed.ok);
    assert.match(String(parsed.error), error);
  });
test("options: all in the order they are measured", () => {
  const parsed = parseOptions(["--only", "http,throughput", "--repeat", "3"]);
  assert.ok(parsed.ok);
  assert.deepEqual([parsed.value.only, parsed.value.repeat], [["throughput", "http"], 3]);
});
