// Does a reflector hold what the server holds, through restarts and gaps?

import assert from "node:assert/strict";
import { test } from "node:test";
import { realWorld } from "../runtime/run.ts";
import { createKubeClient } from "./client.ts";
import type { ConfigMap } from "./objects/core.ts";
import { createReflector, type ReflectorEvent } from "./reflector.ts";
import { RESOURCES } from "./resources.ts";
import { type Answer, bookmark, event, listOf, type Scripted, scripted, status, watchOf } from "./test/scripted-server.ts";

type Rig = {
  readonly server: Scripted;
  readonly logs: string[];
  readonly seen: string[];
  readonly names: () => string[];
  until(done: () => boolean): Promise<void>;
};

/** Runs a reflector against the script; `body` waits for facts with a deadline of 10 s. */
const withReflector = async (answers: readonly Answer[], body: (rig: Rig) => Promise<void>, watchSeconds = 60): Promise<void> => {
  await using server = await scripted(answers);
  const world = { ...realWorld(), random: () => 0 };
  const client = createKubeClient(server.config, world);
  const logs: string[] = [];
  const seen: string[] = [];
  const stop = new AbortController();
  const waiters = new Set<() => void>();
  const wake = (): void => {
    for (const w of waiters) w();
  };
  const log = (name: string, fields: object): void => {
    logs.push(`${name} ${"message" in fields ? String(fields.message) : ""}`);
    wake();
  };
  const reflector = createReflector<ConfigMap>({ client, resource: RESOURCES.configMaps, world, log, watchSeconds, slackSeconds: 0 });
  reflector.subscribe((events) => {
    seen.push(...events.map(shown));
    wake();
  });
  const until = (done: () => boolean): Promise<void> =>
    new Promise((resolve, reject) => {
      const deadline = AbortSignal.timeout(10_000);
      const check = (): void => {
        if (!done()) return;
        waiters.delete(check);
        resolve();
      };
      deadline.addEventListener("abort", () => reject(new Error(`not within 10 s; seen ${seen.join(" ")}; logs ${logs.join(" | ")}`)));
      waiters.add(check);
      check();
    });
  const running = reflector.run(stop.signal);
  try {
    await body({ server, logs, seen, names: () => reflector.list().map((o) => o.metadata.name), until });
  } finally {
    stop.abort(new Error("test over"));
    await running;
    await client.close();
  }
};

const shown = (e: ReflectorEvent<ConfigMap>): string =>
  e.type === "delete"
    ? `-${e.old.metadata.name}`
    : `${e.old === undefined ? "+" : "~"}${e.object.metadata.name}@${e.object.metadata.resourceVersion}`;

test("lists all pages, then watches from the list's version", () =>
  withReflector(
    [
      listOf("5", [["a", "1"]], "next"),
      listOf("5", [["b", "2"]]),
      watchOf([event("ADDED", "c", "6"), event("MODIFIED", "a", "7"), event("DELETED", "b", "8")], "stay"),
    ],
    async ({ server, seen, names, until }) => {
      await until(() => seen.includes("-b"));
      assert.deepEqual(seen, ["+a@1", "+b@2", "+c@6", "~a@7", "-b"]);
      assert.deepEqual(names(), ["a", "c"]);
      assert.equal(server.asked[1]?.query.get("continue"), "next");
      assert.equal(server.asked[2]?.query.get("resourceVersion"), "5");
      assert.equal(server.asked[2]?.query.get("allowWatchBookmarks"), "true");
      assert.equal(server.asked[2]?.headers.authorization, "Bearer t");
    },
  ));

test("resumes from the last bookmark after the server ends a watch", () =>
  withReflector(
    [listOf("5", []), watchOf([event("ADDED", "a", "6"), bookmark("9")], "end"), watchOf([event("ADDED", "b", "10")], "stay")],
    async ({ server, seen, until, logs }) => {
      await until(() => seen.includes("+b@10"));
      assert.equal(server.asked[2]?.query.get("resourceVersion"), "9");
      assert.deepEqual(logs, []);
    },
  ));

test("410 as an answer: lists again and tells only the difference", () =>
  withReflector(
    [
      listOf("5", [
        ["a", "1"],
        ["b", "2"],
      ]),
      status(410, "Expired", "too old"),
      listOf("20", [
        ["b", "2"],
        ["c", "18"],
      ]),
      watchOf([], "stay"),
    ],
    async ({ seen, until, logs }) => {
      await until(() => seen.includes("+c@18"));
      assert.deepEqual(seen, ["+a@1", "+b@2", "-a", "+c@18"]);
      assert.deepEqual(logs, []);
    },
  ));

test("410 as an event in the stream: lists again", () =>
  withReflector(
    [
      listOf("5", [["a", "1"]]),
      watchOf([{ type: "ERROR", object: { kind: "Status", code: 410, reason: "Expired", message: "old" } }], "end"),
      listOf("20", [["a", "15"]]),
      watchOf([], "stay"),
    ],
    async ({ seen, until }) => {
      await until(() => seen.includes("~a@15"));
      assert.deepEqual(seen, ["+a@1", "~a@15"]);
    },
  ));

test("a page token that expires in mid-list starts the list over, whole", () =>
  withReflector(
    [listOf("5", [["a", "1"]], "next"), status(410, "Expired"), listOf("6", [["b", "2"]]), watchOf([], "stay")],
    async ({ seen, until }) => {
      await until(() => seen.length > 0);
      assert.deepEqual(seen, ["+b@2"]);
    },
  ));

test("failures are said once, the state is kept, and the watch comes back", () =>
  withReflector(
    [
      listOf("5", [["a", "1"]]),
      status(500, "InternalError", "boom"),
      status(500, "InternalError", "boom"),
      watchOf([event("ADDED", "b", "6")], "stay"),
    ],
    async ({ names, logs, until }) => {
      await until(() => logs.length === 2);
      assert.deepEqual(names(), ["a", "b"]);
      assert.deepEqual(logs, [
        "watch_failed configmaps: GET /api/v1/configmaps: boom; keeping the last known state and retrying",
        "watch_restored configmaps: the watch is back",
      ]);
    },
  ));

test("a connection broken in mid-event loses nothing", () =>
  withReflector(
    [listOf("5", []), watchOf([event("ADDED", "a", "6"), '{"type":"ADDED","obj'], "break"), watchOf([event("ADDED", "b", "7")], "stay")],
    async ({ server, seen, until }) => {
      await until(() => seen.includes("+b@7"));
      assert.equal(server.asked[2]?.query.get("resourceVersion"), "6");
      assert.deepEqual(seen, ["+a@6", "+b@7"]);
    },
  ));

for (const [what, line] of [
  ["no JSON", "<html>502</html>\n"],
  ["no event", '{"hello":1}\n'],
  ["an unknown type", '{"type":"MOVED","object":{"metadata":{"name":"a"}}}\n'],
  ["no object name", '{"type":"ADDED","object":{}}\n'],
  ["bytes that are no UTF-8", Buffer.from([0x7b, 0xff, 0x0a]).toString("latin1")],
] as const)
  test(`garbage in the stream (${what}) is said, and the watch is resumed`, () =>
    withReflector(
      [listOf("5", []), watchOf([line], "stay"), watchOf([event("ADDED", "a", "6")], "stay")],
      async ({ server, logs, until }) => {
        await until(() => logs.length === 2);
        assert.match(logs[0] ?? "", /^watch_failed configmaps: watch .*not a watch event/);
        assert.equal(server.asked[2]?.query.get("resourceVersion"), "5");
      },
    ));

test("a watch silent beyond its time is cut and resumed without a word", () =>
  withReflector(
    [listOf("5", []), watchOf([], "stay"), watchOf([event("ADDED", "a", "6")], "stay")],
    async ({ server, logs, until, seen }) => {
      await until(() => seen.includes("+a@6"));
      assert.equal(server.asked[1]?.query.get("timeoutSeconds"), "1");
      assert.deepEqual(logs, []);
    },
    1,
  ));

test("a server that ends every watch at once is backed off from", () =>
  withReflector([listOf("5", []), watchOf([], "end")], async ({ server, logs, until }) => {
    await until(() => logs.length === 1);
    assert.match(logs[0] ?? "", /ended at once/);
    assert.ok(server.asked.length <= 3);
  }));

test("an object made anew under its name is a delete and an upsert", () =>
  withReflector([listOf("5", [["a", "1"]]), watchOf([event("MODIFIED", "a", "9", "another")], "stay")], async ({ seen, until }) => {
    await until(() => seen.length === 3);
    assert.deepEqual(seen, ["+a@1", "-a", "+a@9"]);
  }));

test("synced() rejects with the reason of its signal, and the state replays to late subscribers", async () => {
  await using server = await scripted([status(403, "Forbidden", "no"), listOf("5", [["a", "1"]]), watchOf([], "stay")]);
  const world = { ...realWorld(), random: () => 0 };
  const client = createKubeClient(server.config, world);
  const stop = new AbortController();
  const reflector = createReflector<ConfigMap>({ client, resource: RESOURCES.configMaps, world, log: () => undefined });
  await assert.rejects(reflector.synced(AbortSignal.abort(new Error("gave up"))), /gave up/);
  const running = reflector.run(stop.signal);
  await reflector.synced(AbortSignal.timeout(5_000));
  const seen: string[] = [];
  reflector.subscribe((events) => seen.push(...events.map(shown)))();
  assert.deepEqual(seen, ["+a@1"]);
  stop.abort(new Error("test over"));
  await running;
  await client.close();
});
