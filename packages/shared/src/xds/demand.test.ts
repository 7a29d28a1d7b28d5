// Is every name asked for once, everybody who waits told, and nothing believed that was not said?

import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshError } from "../errors/mesh-error.ts";
import { createDemand } from "./demand.ts";

const setup = (maxAbsent = 100) => {
  const asked: string[] = [];
  const given: string[] = [];
  const sleeps = new Set<() => void>();
  let now = 0;
  const demand = createDemand({
    subscribe: (names) => asked.push(...names),
    unsubscribe: (names) => given.push(...names),
    limits: { maxAbsent, absentMs: 5_000 },
    world: {
      now: () => now,
      sleep: (_ms, signal) =>
        new Promise((resolve, reject) => {
          sleeps.add(resolve);
          signal?.addEventListener("abort", () => {
            sleeps.delete(resolve);
            reject(signal.reason);
          });
        }),
    },
  });
  const found = (name: string, ...aliases: string[]) => ({ name, version: "1", value: new Uint8Array(), aliases });
  return {
    demand,
    asked,
    given,
    sleeps,
    found,
    pass: (ms: number) => {
      now += ms;
    },
    late: () => {
      for (const wake of [...sleeps]) wake();
    },
  };
};
const settled = async (work: Promise<unknown>): Promise<string> =>
  Promise.race([work.then(() => "done"), new Promise<string>((resolve) => setImmediate(() => resolve("waits")))]);

test("on_demand_handling: asked once, whoever waits goes on with the answer, by name or alias", async () => {
  const t = setup();
  const one = t.demand.want(["net/10.0.0.1"]);
  const two = t.demand.want(["net/10.0.0.1"]);
  assert.deepEqual([await settled(one), t.asked], ["waits", ["net/10.0.0.1"]]);
  t.demand.applied({ upserts: [t.found("uid", "net/10.0.0.1")], removed: [] });
  await Promise.all([one, two]);
  await t.demand.want(["net/10.0.0.1"]);
  assert.deepEqual([t.asked.length, t.sleeps.size], [1, 0]);
});

test("a removal is an answer too, and believed for a while", async () => {
  const t = setup();
  const waiting = t.demand.want(["net/10.0.0.9"]);
  t.demand.applied({ upserts: [], removed: ["net/10.0.0.9"] });
  await waiting;
  await t.demand.want(["net/10.0.0.9"]);
  assert.equal(t.asked.length, 1);
  t.pass(5_000);
  const again = t.demand.want(["net/10.0.0.9"]);
  assert.deepEqual([await settled(again), t.asked.length], ["waits", 2]);
  t.demand.applied({ upserts: [t.found("uid", "net/10.0.0.9")], removed: [] });
  await again;
});

test("on_demand_cache_coherency: what was there and is removed is not taken for there", async () => {
  const t = setup();
  const first = t.demand.want(["a"]);
  t.demand.applied({ upserts: [t.found("a")], removed: [] });
  await first;
  t.demand.applied({ upserts: [], removed: ["a"] });
  t.pass(10_000);
  assert.equal(t.demand.answered("a"), false);
  const second = t.demand.want(["a"]);
  assert.deepEqual([await settled(second), t.asked], ["waits", ["a", "a"]]);
  t.demand.applied({ upserts: [t.found("a")], removed: [] });
  await second;
  // It came back by itself: nobody has to ask.
  t.demand.applied({ upserts: [], removed: ["a"] });
  t.demand.applied({ upserts: [t.found("a")], removed: [] });
  await t.demand.want(["a"]);
  assert.equal(t.asked.length, 2);
});

test("another name of what is removed, or has another address now, is asked for anew", async () => {
  const t = setup();
  const first = t.demand.want(["net/1", "net/2"]);
  t.demand.applied({ upserts: [t.found("a", "net/1"), t.found("b", "net/2")], removed: [] });
  await first;
  t.demand.applied({ upserts: [t.found("b", "net/3")], removed: ["a"] });
  assert.deepEqual([t.demand.answered("net/1"), t.demand.answered("net/2"), t.given.sort()], [false, false, ["net/1", "net/2"]]);
  const again = t.demand.want(["net/1"]);
  assert.deepEqual([await settled(again), t.asked.at(-1)], ["waits", "net/1"]);
  t.demand.applied({ upserts: [t.found("c", "net/1")], removed: [] });
  await again;
});

test("add_abort_remove: who gives up is told at once and nobody waits on; the others go on waiting", async () => {
  const t = setup();
  const gone = new AbortController();
  const given = assert.rejects(t.demand.want(["a"], gone.signal), /given up/);
  const stays = t.demand.want(["a"]);
  gone.abort(new Error("given up"));
  await given;
  assert.equal(await settled(stays), "waits");
  t.demand.applied({ upserts: [], removed: ["a"] });
  await stays;
  assert.equal(t.sleeps.size, 0);
  await assert.rejects(t.demand.want(["b"], AbortSignal.abort(new Error("before"))), /before/);
  assert.deepEqual(t.asked, ["a"]);
});

test("several names are waited for together; what came as a companion, or by another name, was not asked for", async () => {
  const t = setup();
  const all = t.demand.want(["svc", "x", "y"]);
  t.demand.applied({ upserts: [t.found("svc"), t.found("endpoint")], removed: [] });
  assert.equal(await settled(all), "waits");
  t.demand.applied({ upserts: [t.found("x")], removed: ["y"] });
  await all;
  const endpoint = t.demand.want(["endpoint"]);
  assert.deepEqual([await settled(endpoint), t.asked], ["waits", ["svc", "x", "y", "endpoint"]]);
  t.demand.applied({ upserts: [t.found("endpoint")], removed: [] });
  await endpoint;
});

test("no answer in time is a failure: not knowing is not the same as there being nothing", async () => {
  const t = setup();
  const waiting = t.demand.want(["a", "b"]);
  t.demand.applied({ upserts: [t.found("a")], removed: [] });
  const failed = assert.rejects(
    waiting,
    (e) => e instanceof MeshError && e.code === "CONNECT" && /within 5000 ms what b is/.test(e.message),
  );
  t.late();
  await failed;
});

test("names that do not exist are not remembered without bound", async () => {
  const t = setup(80);
  for (let i = 0; i < 1_000; i++) {
    const waiting = t.demand.want([`n${i}`]);
    t.demand.applied({ upserts: [], removed: [`n${i}`] });
    await waiting;
  }
  assert.ok(t.given.length >= 1_000 - 80, `${t.given.length} given up`);
  assert.equal(t.given[0], "n0");
  assert.equal(new Set(t.given).size, t.given.length);
});
