// Does patience end when it should, and only then?
import assert from "node:assert/strict";
import { test } from "node:test";
import { patience } from "./patience.ts";

/** A clock that is moved by hand. */
const clock = () => {
  let now = 0;
  let sleepers: { readonly at: number; readonly wake: () => void }[] = [];
  let set = 0;
  return {
    now: () => now,
    sleep: (ms: number, signal?: AbortSignal): Promise<void> =>
      new Promise((resolve, reject) => {
        set += 1;
        const one = { at: now + ms, wake: resolve };
        sleepers.push(one);
        signal?.addEventListener("abort", () => {
          sleepers = sleepers.filter((s) => s !== one);
          reject(signal.reason);
        });
      }),
    timers: () => sleepers.length,
    set: () => set,
    to: async (time: number): Promise<void> => {
      now = time;
      const due = sleepers.filter((s) => s.at <= now);
      sleepers = sleepers.filter((s) => s.at > now);
      for (const s of due) s.wake();
      await new Promise((r) => setImmediate(r));
    },
  };
};

test("the last wait decides, whether it is longer, shorter or none", async () => {
  const c = clock();
  let late = 0;
  using p = patience(c, () => (late += 1));
  p.wait(100);
  p.wait(10);
  await c.to(9);
  assert.equal(late, 0);
  p.wait(1000);
  await c.to(999);
  assert.equal(late, 0);
  p.wait(undefined);
  await c.to(5000);
  assert.equal(late, 0);
  p.wait(10);
  await c.to(5010);
  assert.equal(late, 1);
  await c.to(9000);
  assert.equal(late, 1);
});

test("many requests do not make many timers, and disposing leaves none", async () => {
  const c = clock();
  const p = patience(c, () => assert.fail());
  for (let i = 0; i < 1000; i++) {
    p.wait(60_000);
    p.wait(undefined);
    p.wait(3_600_000);
  }
  assert.deepEqual([c.timers(), c.set()], [1, 1]);
  p[Symbol.dispose]();
  assert.equal(c.timers(), 0);
  await c.to(1e9);
});
