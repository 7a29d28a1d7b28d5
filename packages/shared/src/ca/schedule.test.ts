// When is what done?

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { moreUrgent, nextOf, renewAt, retryDelayMs, sleepTowards } from "./schedule.ts";

test("renewal is at half of the life", () => assert.equal(renewAt({ notBefore: 100, notAfter: 201 }), 150));

test("sleeps are never negative and never longer than a day", () => {
  assert.equal(sleepTowards(5, 10), 0);
  assert.equal(sleepTowards(15, 10), 5);
  assert.equal(sleepTowards(1e12, 0), 86_400_000);
});

const at = (attempt: number, random: number, left?: number) => Math.round(retryDelayMs(attempt, () => random, left));
test("failures back off from half a second to two and a half minutes", () => {
  assert.deepEqual([at(0, 0), at(0, 1), at(1, 0.5), at(2, 0), at(2, 1), at(30, 0.5)], [500, 1000, 2000, 3200, 4800, 150_000]);
});
test("a certificate about to expire is tried for sooner, but not more than once a second", () => {
  assert.deepEqual([at(30, 0.5, 60_000), at(30, 0.5, 10), at(30, 0.5, -5)], [30_000, 1000, 150_000]);
});
test("the wait is always between half a second and 150 s", () => {
  fc.assert(
    fc.property(fc.nat(1000), fc.double({ min: 0, max: 0.999, noNaN: true }), fc.option(fc.integer(), { nil: undefined }), (n, r, left) => {
      const ms = retryDelayMs(n, () => r, left);
      assert.ok(ms >= 500 && ms <= 150_000, String(ms));
    }),
  );
});

test("the most urgent goes first, and among equals the first that came", () => {
  const w = (name: string, priority: "RealTime" | "Warmup" | "Background") => ({ name, priority });
  const waiting = [w("a", "Background"), w("b", "Warmup"), w("c", "RealTime"), w("d", "RealTime")];
  assert.equal(nextOf(waiting)?.name, "c");
  assert.equal(nextOf([]), undefined);
  assert.equal(moreUrgent("Background", "Warmup"), "Warmup");
  assert.equal(moreUrgent("RealTime", "Warmup"), "RealTime");
});
