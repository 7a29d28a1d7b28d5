// Is work done once per key at a time, again after failures, and never after the end?

import assert from "node:assert/strict";
import { test } from "node:test";
import type { World } from "@ambit/shared/runtime/world.ts";
import { type CustomResourceDefinition, servedNames } from "../kube/served.ts";
import { createQueue } from "./run.ts";

/** Sleeps end when the test says so; their lengths are kept. */
const slowWorld = () => {
  const sleeps: { readonly ms: number; readonly wake: () => void }[] = [];
  const world: World = {
    now: () => 0,
    random: () => 1,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        sleeps.push({ ms, wake: resolve });
        signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
      }),
  };
  return { world, sleeps };
};
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

test("a key added while it is worked on is worked on once more, never twice at a time", async () => {
  const { world } = slowWorld();
  const stop = new AbortController();
  const gate = Promise.withResolvers<void>();
  let active = 0;
  let runs = 0;
  const queue = createQueue({
    world,
    workers: 3,
    onError: () => assert.fail("no error was expected"),
    work: async () => {
      assert.equal(++active, 1);
      runs++;
      if (runs === 1) await gate.promise;
      active--;
      if (runs === 2) stop.abort();
    },
  });
  const running = queue.run(stop.signal);
  queue.add("a");
  await turn();
  queue.add("a");
  queue.add("a");
  await turn();
  assert.equal(runs, 1);
  gate.resolve();
  await running;
  assert.equal(runs, 2);
});

test("a failure comes again, later each time; success forgets", async () => {
  const { world, sleeps } = slowWorld();
  const stop = new AbortController();
  const errors: string[] = [];
  let failing = true;
  const queue = createQueue({
    world,
    backoff: { baseMs: 100, maxMs: 1_000 },
    onError: (key, e) => errors.push(`${key}: ${e instanceof Error ? e.message : ""}`),
    work: async () => {
      if (failing) throw new Error("not now");
    },
  });
  const running = queue.run(stop.signal);
  queue.add("a");
  await turn();
  sleeps[0]?.wake();
  await turn();
  await turn();
  assert.deepEqual(
    sleeps.map((s) => s.ms),
    [100, 200],
  );
  assert.deepEqual(errors, ["a: not now", "a: not now"]);
  failing = false;
  sleeps[1]?.wake();
  await turn();
  await turn();
  assert.equal(queue.size, 0);
  failing = true;
  queue.add("a");
  await turn();
  assert.equal(sleeps[2]?.ms, 100);
  stop.abort();
  await running;
});

test("other keys do not wait for one that fails", async () => {
  const { world } = slowWorld();
  const stop = new AbortController();
  const done: string[] = [];
  const queue = createQueue({
    world,
    workers: 1,
    onError: () => undefined,
    work: async (key) => {
      if (key === "bad") throw new Error("always");
      done.push(key);
      if (done.length === 2) stop.abort();
    },
  });
  for (const key of ["bad", "a", "b"]) queue.add(key);
  await queue.run(stop.signal);
  assert.deepEqual(done, ["a", "b"]);
});

test("kinds are served once established, and no longer when their definition is being deleted", () => {
  const crd = (plural: string, status: "True" | "False", deleted = false): CustomResourceDefinition => ({
    metadata: { name: `${plural}.x.io`, ...(deleted ? { deletionTimestamp: "2026-01-01T00:00:00Z" } : {}) },
    spec: { group: "x.io", names: { plural } },
    status: { conditions: [{ type: "Established", status }] },
  });
  assert.deepEqual([...servedNames([crd("as", "True"), crd("bs", "False"), crd("cs", "True", true)])], ["as.x.io"]);
});
