// Kept HTTP/2 sessions end: when idle, when the peer does not answer, when their workload has gone.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttp2, type ServerHttp2Session } from "node:http2";
import { connect as connectTcp, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { aWorkload, ip } from "@ambit/shared/state/fixtures.ts";
import { identityOf } from "@ambit/shared/state/types.ts";
import { emptyBody } from "../http/message.ts";
import { listening } from "../test/rig.ts";
import type { Chosen } from "./choose.ts";
import { createUpstreamPool } from "./pool.ts";

const workload = aWorkload("a", "127.0.0.1", {});
const at = (port: number): Chosen => ({
  workload,
  address: { ip: ip("127.0.0.1"), port },
  via: "plain",
  expect: identityOf(workload),
  appProtocol: "HTTP2",
  service: { namespace: "ns", hostname: "h" },
});
const request = { method: "GET", path: "/", authority: "a", scheme: "http", headers: [], body: emptyBody, upgrade: undefined };

/** Lets everything that is under way happen until it holds; the test's own time limit ends it. */
const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((r) => setImmediate(r));
};

const rig = (known: () => boolean = () => true) => {
  const clock = { now: 0 };
  const sockets: Socket[] = [];
  const pool = createUpstreamPool({
    dial: async (to) => {
      const s = connectTcp(to.address.port, to.address.ip);
      sockets.push(s);
      await once(s, "connect");
      return s;
    },
    world: { now: () => clock.now },
    idleMs: 60_000,
    maxIdlePerEndpoint: 4,
    known,
  });
  const get = async (port: number, signal = new AbortController().signal) => {
    const outcome = await pool.send(at(port), { ...request, interim: () => undefined }, { version: "http2", fresh: false, signal });
    if (outcome.kind === "response") while ((await outcome.response.body.read()) !== undefined);
    await until(() => pool.active(workload.uid) === 0);
    return outcome.kind === "response" ? outcome.response.status : outcome.error.code;
  };
  return { pool, clock, get, sockets };
};

const answering = async () => {
  const sessions: ServerHttp2Session[] = [];
  let pings = 0;
  const server = createHttp2((_req, res) => res.end("ok"));
  server.on("session", (s) => {
    sessions.push(s);
    s.on("ping", () => (pings += 1));
  });
  return {
    port: await listening(server),
    sessions,
    pings: () => pings,
    [Symbol.asyncDispose]: async () => {
      for (const s of sessions) s.destroy();
      server.close();
    },
  };
};

test("an idle session is closed after its time, one that was used since is not", async () => {
  const { pool, clock, get } = rig();
  await using server = await answering();
  assert.equal(await get(server.port), 200);
  clock.now = 50_000;
  assert.equal(await get(server.port), 200);
  clock.now = 100_000;
  pool.sweep();
  assert.equal(pool.stats().sessions, 1);
  const [session] = server.sessions;
  assert.ok(session !== undefined);
  const over = once(session, "close");
  clock.now = 110_000;
  pool.sweep();
  await over;
  await until(() => pool.stats().sessions === 0);
  assert.equal(server.sessions.length, 1);
});

test("a session whose peer has vanished is cut, and the request that waited there fails", async () => {
  const { pool, clock, get } = rig();
  // Takes everything, says nothing: as a node that has gone without a word.
  const server = createServer((s) => void s.on("error", () => undefined).resume());
  const waiting = get(await listening(server));
  await until(() => pool.stats().sessions === 1);
  clock.now = 10_000;
  pool.sweep();
  clock.now = 29_999;
  pool.sweep();
  assert.equal(pool.stats().sessions, 1);
  clock.now = 30_000;
  pool.sweep();
  assert.equal(await waiting, "UPSTREAM_RESET");
  await until(() => pool.stats().sessions === 0);
  server.close();
});

test("a session whose peer answers PINGs lives, however long its stream is silent", async () => {
  const { pool, clock, get } = rig();
  const sessions: ServerHttp2Session[] = [];
  const server = createHttp2();
  server.on("session", (s) => sessions.push(s));
  const asked = once(server, "stream");
  const stop = new AbortController();
  const waiting = get(await listening(server), stop.signal);
  await asked;
  const [session] = sessions;
  assert.ok(session !== undefined);
  for (clock.now = 10_000; clock.now <= 60_000; clock.now += 10_000) {
    const ping = once(session, "ping");
    pool.sweep();
    await ping;
    // The answer comes in the order of the connection: a PING of the other side's, answered, is behind it.
    await new Promise((resolve) => session.ping(resolve));
  }
  assert.equal(pool.stats().sessions, 1);
  stop.abort();
  await waiting;
  pool.close();
  server.close();
});

test("connections to a workload that is not there any more take nothing new, and end", async () => {
  let here = true;
  const { pool, get } = rig(() => here);
  await using server = await answering();
  assert.equal(await get(server.port), 200);
  const [session] = server.sessions;
  assert.ok(session !== undefined);
  const over = once(session, "close");
  here = false;
  pool.sweep();
  await over;
  await until(() => pool.stats().sessions === 0);
});
