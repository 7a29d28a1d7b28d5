import assert from "node:assert/strict";
import { test } from "node:test";
import { childSpan, formatTraceparent, freshTrace, parseTraceparent } from "./trace.ts";

test("a fresh trace is read back, and is never all zero", () => {
  for (const random of [() => 0, () => 0.5, () => 0.999_999]) {
    const trace = freshTrace(random);
    assert.deepEqual(parseTraceparent(formatTraceparent(trace)), { ok: true, value: trace });
  }
});

test("a child keeps the trace and the sampling decision", () => {
  const parent = { traceId: "a".repeat(32), spanId: "b".repeat(16), sampled: true };
  const child = childSpan(parent, () => 0.25);
  assert.deepEqual(child, { traceId: parent.traceId, spanId: "40000000".repeat(2), sampled: true });
});

const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
const span = "00f067aa0ba902b7";
for (const bad of [
  "",
  `ff-${trace}-${span}-01`,
  `00-${trace}-${span}-01-x`,
  `00-${"0".repeat(32)}-${span}-01`,
  `00-${trace}-${"0".repeat(16)}-01`,
  `00-${trace.toUpperCase()}-${span}-01`,
])
  test(`refuses ${JSON.stringify(bad)}`, () => assert.equal(parseTraceparent(bad).ok, false));

test("a later version may carry more", () => assert.equal(parseTraceparent(`01-${trace}-${span}-01-more`).ok, true));
