// Are data threads asked, told, started again, and given up when they fail again and again?

import assert from "node:assert/strict";
import { test } from "node:test";
import { createLogger } from "@ambit/shared/telemetry/log.ts";
import type { Call, ThreadConfig, ToThread } from "./messages.ts";
import { createDataThreads, type ThreadHandle } from "./run.ts";
import type { Spawn, ThreadEvents } from "./spawn.ts";

type Fake = { readonly index: number; readonly events: ThreadEvents; readonly posted: ToThread[]; terminated: boolean };

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Threads whose every word the test says. */
const setup = (count: number, prepare: (thread: ThreadHandle) => Promise<void> = async () => {}) => {
  const made: Fake[] = [];
  const lines: string[] = [];
  const timers: { ms: number; fire: () => void }[] = [];
  const gone: number[] = [];
  let now = 1_000_000;
  const spawn: Spawn = ({ index }, events) => {
    const fake: Fake = { index, events, posted: [], terminated: false };
    made.push(fake);
    return {
      post: (message) => void fake.posted.push(message),
      terminate: async () => {
        fake.terminated = true;
        events.onEnd(undefined);
      },
    };
  };
  const threads = createDataThreads({
    count,
    config: {} as ThreadConfig,
    levels: () => "info",
    spawn,
    world: {
      now: () => now,
      random: () => 0.5,
      sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
          timers.push({ ms, fire: resolve });
          signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
        }),
    },
    log: createLogger({ format: "text", out: { write: (l) => void lines.push(l) } }).scope("test"),
    onMessage: () => undefined,
    prepare,
    onGone: (index) => void gone.push(index),
  });
  const last = (index: number): Fake => {
    const fake = made.findLast((f) => f.index === index);
    assert.ok(fake !== undefined);
    return fake;
  };
  const calls = (fake: Fake): Call[] => fake.posted.filter((m) => m.kind === "call");
  return {
    threads,
    made,
    lines,
    timers,
    gone,
    last,
    calls,
    pass: (ms: number) => {
      now += ms;
    },
    up: async () => {
      for (let i = 0; i < count; i++) last(i).events.onMessage({ kind: "up" });
      await threads.started();
    },
    /** Answers everything the thread was asked and has not answered. */
    answer: (fake: Fake) => {
      for (const call of calls(fake).splice(0)) fake.events.onMessage({ kind: "answer", id: call.id, value: undefined });
    },
  };
};

test("a thread takes its share once it is prepared, and each has a way to the other", async () => {
  const prepared = Promise.withResolvers<void>();
  const t = setup(2, () => prepared.promise);
  for (const i of [0, 1]) t.last(i).events.onMessage({ kind: "up" });
  await turn();
  assert.deepEqual(t.threads.loads(), [undefined, undefined]);
  prepared.resolve();
  await t.threads.started();
  assert.deepEqual(t.threads.loads(), [0, 0]);
  const peers = (i: number): number[] => t.last(i).posted.flatMap((m) => (m.kind === "peer" ? [m.index] : []));
  assert.ok(peers(0).includes(1) && peers(1).includes(0));
});

test("what is asked of all is answered by those that live; a failure is told", async () => {
  const t = setup(2);
  await t.up();
  const asked = t.threads.ask("stop", () => ({ key: 1 }));
  t.answer(t.last(0));
  t.last(1).events.onEnd(new Error("bang"));
  assert.equal((await asked).length, 1);
  const failing = t.threads.ask("stop", () => ({ key: 2 }));
  const [call] = t.calls(t.last(0)).slice(-1);
  t.last(0).events.onMessage({ kind: "failure", id: call?.id ?? -1, error: "no such pod" });
  t.answer(t.last(1));
  await assert.rejects(failing, /no such pod/);
});

test("a thread that ends is told of, replaced, and prepared again; those who wait for it are not kept waiting", async () => {
  const prepared: number[] = [];
  const t = setup(2, async ({ index }) => void prepared.push(index));
  await t.up();
  const asked = t.last(1);
  const call = t.threads.list()[1]?.call("beat", undefined);
  asked.events.onEnd(new Error("bang"));
  await assert.rejects(call ?? Promise.resolve(), /data thread 1 has ended/);
  assert.deepEqual([t.gone, t.threads.loads(), t.threads.restarts], [[1], [0, undefined], 1]);
  assert.match(t.lines.join(""), /a data thread ended: starting it again\tthread=1 error="Error: bang/);
  t.last(1).events.onMessage({ kind: "up" });
  await turn();
  assert.deepEqual(
    [prepared, t.threads.loads()],
    [
      [0, 1, 1],
      [0, 0],
    ],
  );
});

test("a thread that cannot be prepared is ended and started again", async () => {
  let fail = true;
  const t = setup(1, async () => {
    if (fail) throw new Error("no listeners");
  });
  t.last(0).events.onMessage({ kind: "up" });
  await turn();
  assert.equal(t.made[0]?.terminated, true);
  fail = false;
  t.last(0).events.onMessage({ kind: "up" });
  await turn();
  assert.deepEqual(t.threads.loads(), [0]);
});

test("threads that end again and again end the process, with the reason", async () => {
  const t = setup(1);
  for (let i = 0; i < 5; i++) t.last(0).events.onEnd(new Error("bang"));
  t.last(0).events.onEnd(new Error("the last straw"));
  await assert.rejects(t.threads.failed, /data threads ended 5 times within 60 s; the last one: the last straw/);
  assert.equal(t.made.length, 6);
});

test("one that fails now and then never does", async () => {
  const t = setup(1);
  for (let i = 0; i < 20; i++) {
    t.last(0).events.onEnd(new Error("bang"));
    t.pass(15_000);
  }
  assert.equal(t.made.length, 21);
});

test("a thread that does not answer is silent, and so is one that is not there", async () => {
  const t = setup(3);
  await t.up();
  t.last(2).events.onEnd(new Error("bang"));
  const silent = t.threads.silent(800);
  t.answer(t.last(0));
  await turn();
  for (const timer of t.timers) timer.fire();
  assert.deepEqual(await silent, [1, 2]);
});

test("a thread that has not answered for half a minute is ended and started again", async () => {
  const t = setup(1);
  await t.up();
  const stuck = t.last(0);
  const ask = async (): Promise<readonly number[]> => {
    const silent = t.threads.silent(800);
    await turn();
    for (const timer of t.timers.splice(0)) timer.fire();
    return silent;
  };
  assert.deepEqual(await ask(), [0]);
  t.pass(29_000);
  assert.deepEqual(await ask(), [0]);
  assert.equal(stuck.terminated, false);
  t.pass(1_000);
  assert.deepEqual(await ask(), [0]);
  assert.equal(stuck.terminated, true);
  assert.match(t.lines.join(""), /a data thread is stuck: ending it\tthread=0 silentMs=30000/);
  t.last(0).events.onMessage({ kind: "up" });
  await turn();
  assert.deepEqual(t.threads.loads(), [0]);
});

test("a call with a time is not waited for any longer", async () => {
  const t = setup(2);
  await t.up();
  const asked = t.threads.ask("drain", () => ({ key: 1, deadlineMs: 10 }), 1_010);
  t.answer(t.last(0));
  await turn();
  for (const timer of t.timers) timer.fire();
  assert.equal((await asked).length, 1);
});
