// Is each pod served by exactly one proxy, whatever happens while it starts?

import assert from "node:assert/strict";
import { openSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { createLogger } from "@ambit/shared/telemetry/log.ts";
import { createMetrics } from "@ambit/shared/telemetry/metrics.ts";
import type { ZdsRequest } from "@ambit/shared/wire/types.ts";
import { createPodSet, type PodHandle } from "./run.ts";

const who = { name: "p", namespace: "ns", serviceAccount: "sa" };
const add: ZdsRequest = { kind: "add", uid: "u", workload: who };
/** A namespace's fd as it comes over ZDS: the receiver's to close. */
const ownFd = (): number => openSync("/proc/thread-self/ns/net", "r");
const openFds = (): number => readdirSync("/proc/self/fd").length;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

type Started = { readonly answer: PromiseWithResolvers<PodHandle>; closed: number };

const setup = () => {
  const starts: Started[] = [];
  const ticks: (() => void)[] = [];
  const ready: boolean[] = [];
  const pods = createPodSet({
    metrics: createMetrics(),
    log: createLogger({ format: "text", level: "error", out: { write: () => undefined } }).scope("test"),
    onReady: (up) => ready.push(up),
    world: {
      now: () => 0,
      random: () => 0.5,
      sleep: (_ms, signal) =>
        new Promise((resolve, reject) => {
          ticks.push(resolve);
          signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
        }),
    },
    start: () => {
      const started: Started = { answer: Promise.withResolvers(), closed: 0 };
      starts.push(started);
      return started.answer.promise;
    },
  });
  const proxyOf = (s: Started): PodHandle => ({
    drain: async () => undefined,
    close: async () => void s.closed++,
    terminate: () => undefined,
    listening: () => [],
  });
  const start = (n: number): Started => {
    const s = starts[n];
    assert.ok(s !== undefined, `start ${n} has happened`);
    return s;
  };
  const retry = new AbortController();
  const retrying = pods.retryPending(retry.signal);
  return {
    pods,
    starts,
    ready,
    start,
    finish: (n: number) => start(n).answer.resolve(proxyOf(start(n))),
    fail: (n: number) => start(n).answer.reject(new Error("no")),
    tick: async () => {
      ticks.shift()?.();
      await turn();
    },
    end: async () => {
      retry.abort(new Error("test over"));
      await retrying;
      await pods.drain(0);
    },
  };
};

test("a pod that is starting is not started again by the retry", async () => {
  const t = setup();
  const answer = t.pods.onRequest(add, ownFd());
  await turn();
  await t.tick();
  assert.equal(t.starts.length, 1);
  t.finish(0);
  assert.deepEqual(await answer, { error: "", hangUp: false });
  await turn();
  assert.equal(t.pods.list().filter((p) => p.proxy !== undefined).length, 1);
  assert.equal(t.start(0).closed, 0);
  await t.end();
  assert.equal(t.start(0).closed, 1);
});

test("a pod that is starting by the retry and announced again is started once, and both are answered", async () => {
  const t = setup();
  const before = openFds();
  const first = t.pods.onRequest(add, ownFd());
  await turn();
  t.fail(0);
  assert.deepEqual(await first, { error: "failure to start proxy: no", hangUp: false });
  await t.tick();
  assert.equal(t.starts.length, 2);
  const again = t.pods.onRequest(add, ownFd());
  await turn();
  assert.equal(t.starts.length, 2);
  t.finish(1);
  assert.deepEqual(await again, { error: "", hangUp: false });
  await t.end();
  assert.equal(t.start(1).closed, 1);
  assert.equal(openFds(), before);
});

test("a pod that goes while it starts leaves nothing behind", async () => {
  const t = setup();
  const before = openFds();
  const first = t.pods.onRequest(add, ownFd());
  await turn();
  t.pods.onDisconnected();
  t.finish(0);
  assert.equal((await first).error, "");
  await turn();
  assert.deepEqual([t.pods.list().length, t.start(0).closed, openFds()], [0, 1, before]);
  await t.end();
});

test("a pod that failed is tried again, and all is ready once it is served", async () => {
  const t = setup();
  t.pods.onConnected();
  const first = t.pods.onRequest(add, ownFd());
  await turn();
  t.fail(0);
  await first;
  await t.pods.onRequest({ kind: "snapshot-sent" }, undefined);
  assert.equal(t.ready.at(-1), false);
  await t.tick();
  t.finish(1);
  await turn();
  assert.equal(t.ready.at(-1), true);
  await t.end();
});

test("an fd that is no network namespace is refused and closed", async () => {
  const t = setup();
  const before = openFds();
  const answer = await t.pods.onRequest(add, openSync("/dev/null", "r"));
  assert.match(answer.error, /not a network namespace/);
  assert.equal(answer.hangUp, true);
  assert.equal(openFds(), before);
  await t.end();
});
