// Do deadlines come when they are due, in their order, and never when called off?

import assert from "node:assert/strict";
import { test } from "node:test";
import { deadline } from "./deadline.ts";
import type { World } from "./world.ts";

/** A clock that is moved by hand. */
const handWorld = () => {
  let now = 0;
  const sleeps: { at: number; wake(): void; off: boolean }[] = [];
  const world: World = {
    now: () => now,
    random: () => 0,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const sleep = { at: now + ms, wake: resolve, off: false };
        sleeps.push(sleep);
        signal?.addEventListener("abort", () => {
          sleep.off = true;
          reject(new Error("aborted"));
        });
      }),
  };
  const pass = async (ms: number): Promise<void> => {
    now += ms;
    for (const s of sleeps.filter((x) => x.at <= now && !x.off)) {
      s.off = true;
      s.wake();
    }
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { world, pass, waiting: () => sleeps.filter((s) => !s.off).length };
};

test("each comes when it is due; one timer serves them all", async () => {
  const { world, pass, waiting } = handWorld();
  const fired: string[] = [];
  deadline(world, 100, () => fired.push("a"));
  await pass(40);
  deadline(world, 100, () => fired.push("b"));
  const off = deadline(world, 100, () => fired.push("c"));
  assert.equal(waiting(), 1);
  await pass(60);
  assert.deepEqual(fired, ["a"]);
  off();
  off();
  await pass(40);
  assert.deepEqual(fired, ["a", "b"]);
  assert.equal(waiting(), 0);
});

test("when all are called off no timer is left a moment later, and the next one begins anew", async () => {
  const { world, pass, waiting } = handWorld();
  const offs = Array.from({ length: 5000 }, () => deadline(world, 100, () => assert.fail("called off")));
  for (const off of offs) off();
  await pass(50);
  assert.equal(waiting(), 0);
  let fired = 0;
  deadline(world, 100, () => {
    fired += 1;
    deadline(world, 100, () => {
      fired += 1;
    });
  });
  await pass(100);
  assert.equal(fired, 1);
  await pass(100);
  assert.equal(fired, 2);
});

test("where waits come all the time there is one timer, and each still comes when it is due", async () => {
  const { world, pass, waiting } = handWorld();
  for (let i = 0; i < 9; i++) {
    deadline(world, 100, () => assert.fail("called off"))();
    // The one of the queue, and the one that looks whether somebody still waits.
    assert.equal(waiting(), 2);
    await pass(5);
  }
  let fired = 0;
  deadline(world, 100, () => {
    fired += 1;
  });
  await pass(55);
  assert.deepEqual([fired, waiting()], [0, 1]);
  await pass(44);
  assert.equal(fired, 0);
  await pass(1);
  assert.deepEqual([fired, waiting()], [1, 0]);
});
