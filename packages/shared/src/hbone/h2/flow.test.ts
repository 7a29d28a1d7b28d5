// Is credit told in batches, never lost, and bounded by what streams hold?

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ConnectionReceiveWindow, ReceiveWindow } from "./flow.ts";

test("credit is told in quarters of the window", () => {
  const w = new ReceiveWindow(100);
  w.take(60);
  assert.deepEqual([w.give(10), w.give(14), w.give(1), w.give(24), w.give(1)], [0, 0, 25, 0, 25]);
  w.take(90);
  assert.throws(() => w.take(1), { code: "FLOW_CONTROL_ERROR" });
});

test("what streams hold is credited up to the slack, the rest when it is consumed", () => {
  const w = new ConnectionReceiveWindow(100, 50);
  assert.equal(w.take(40), 40);
  assert.equal(w.take(40), 0, "10 of it");
  assert.equal(w.take(20), 0);
  assert.equal(w.take(20), 0);
  assert.equal(w.held, 120);
  // 70 of these are not credited.
  assert.throws(() => new ConnectionReceiveWindow(100, 50).take(101), { code: "FLOW_CONTROL_ERROR" });
  assert.equal(w.give(20), 30);
});

test("a peer that keeps to its credit is never refused, never stuck when all is consumed, and never makes us hold more than window and slack", () => {
  const steps = fc.array(fc.record({ send: fc.nat(400), consume: fc.nat(400) }), { maxLength: 200 });
  fc.assert(
    fc.property(steps, fc.nat(300), (all, slack) => {
      const w = new ConnectionReceiveWindow(400, slack);
      let allowed = 400;
      for (const { send, consume } of all) {
        const n = Math.min(send, allowed);
        allowed -= n;
        allowed += w.take(n);
        assert.ok(w.held <= 400 + slack);
        allowed += w.give(Math.min(consume, w.held));
      }
      allowed += w.give(w.held);
      assert.ok(allowed > 300, `only ${allowed} of 400`);
      assert.ok(allowed <= 400);
    }),
    { numRuns: 300 },
  );
});
