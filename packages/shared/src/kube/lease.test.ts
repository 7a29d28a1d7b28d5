// Who may take or keep the lease, and when?

import assert from "node:assert/strict";
import { test } from "node:test";
import { LEASE_TIMES, microTime, mustStep, nextStep, observe, released } from "./lease.ts";
import type { Lease } from "./objects/discovery.ts";

const T = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
const lease = (holder: string, transitions = 3): Lease => ({
  metadata: { name: "l" },
  spec: { holderIdentity: holder, leaseDurationSeconds: 15, renewTime: "r", acquireTime: "a", leaseTransitions: transitions },
});
const step = (l: Lease | undefined, observedAt: number, now: number) =>
  nextStep(l, { record: "", at: observedAt }, { self: "me", now, times: LEASE_TIMES });

test("time is RFC 3339 with microseconds", () => assert.equal(microTime(T), "2026-01-02T03:04:05.678000Z"));
test("no lease: create it", () => assert.equal(step(undefined, T, T).kind, "create"));
test("mine: renew, keeping when I took it", () => {
  const s = step(lease("me"), T, T);
  assert.deepEqual(s, {
    kind: "renew",
    spec: { holderIdentity: "me", leaseDurationSeconds: 15, renewTime: microTime(T), acquireTime: "a", leaseTransitions: 3 },
  });
});
test("released: take it at once, counting the transition", () => {
  const s = step(lease(""), T, T);
  assert.equal(s.kind === "take" && s.why, "released");
  assert.equal(s.kind === "take" && s.spec.leaseTransitions, 4);
});
test("another's, fresh: wait", () => assert.deepEqual(step(lease("you"), T, T + 14_000), { kind: "wait", holder: "you", forMs: 1_000 }));
test("another's, fresh: look again soon", () => assert.deepEqual(step(lease("you"), T, T), { kind: "wait", holder: "you", forMs: 2_000 }));
test("another's, unchanged for its duration by our clock: take it", () => assert.equal(step(lease("you"), T, T + 15_000).kind, "take"));
test("only a changed record restarts the clock, whatever time it claims", () => {
  const first = observe(undefined, lease("you"), T);
  assert.equal(observe(first, lease("you"), T + 5_000).at, T);
  assert.equal(observe(first, lease("you", 4), T + 5_000).at, T + 5_000);
});
test("a leader that cannot renew steps down before others may step up", () => {
  assert.equal(mustStep(T, T + 9_999, LEASE_TIMES), false);
  assert.equal(mustStep(T, T + 10_000, LEASE_TIMES), true);
});
test("a clean exit leaves the lease without a holder", () => assert.equal(released(lease("me"), T).holderIdentity, ""));
