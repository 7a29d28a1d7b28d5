// Are connections shared, bounded, checked and given up as they must, and is nobody trusted who must not be?

import assert from "node:assert/strict";
import { once } from "node:events";
import { createSecureServer, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import { connect as connectTcp, createServer, type Socket } from "node:net";
import { test } from "node:test";
import type { SocketAddr } from "../addr/socket.ts";
import { testAuthority, testClock } from "../ca/fixture.ts";
import { spiffeId } from "../identity/spiffe.ts";
import { realWorld } from "../runtime/run.ts";
import { contextOptions } from "../tls/context.ts";
import { echo, fails, loopback, quietly, tunnelWorld } from "./fixture.ts";
import { createTunnelPool } from "./pool.ts";
import type { TunnelRequest } from "./types.ts";

const HOUR = 3_600_000;

test("connections_reused: one connection carries many tunnels; a burst dials once", { timeout: 10_000 }, async (t) => {
  const w = await tunnelWorld(t, { onRequest: echo });
  const tunnels = (await Promise.all(Array.from({ length: 50 }, () => w.connect()))).map(quietly);
  assert.equal(w.dialed.length, 1);
  assert.deepEqual(w.pool.stats(), { connections: 1, streams: 50 });
  for (const { stream } of tunnels) {
    stream.end();
    stream.resume();
  }
  await Promise.all(tunnels.map(({ stream }) => once(stream, "close")));
  quietly(await w.connect());
  assert.equal(w.dialed.length, 1);
});

test("stress_: 300 tunnels at once stand on several connections, and a full one is used again when it has room", {
  timeout: 20_000,
}, async (t) => {
  const w = await tunnelWorld(t, { onRequest: echo });
  const tunnels = (await Promise.all(Array.from({ length: 300 }, () => w.connect()))).map(quietly);
  assert.deepEqual(w.pool.stats(), { connections: 3, streams: 300 });
  for (const { stream } of tunnels.slice(0, 150)) stream.destroy();
  await Promise.all(tunnels.slice(0, 150).map(({ stream }) => once(stream, "close")));
  (await Promise.all(Array.from({ length: 100 }, () => w.connect()))).map(quietly);
  assert.equal(w.dialed.length, 3);
});

test("connection_limits: the peer's own stream limit is kept", { timeout: 10_000 }, async (t) => {
  const w = await tunnelWorld(t, { onRequest: echo, serverLimits: { maxStreams: 2 } });
  (await Promise.all(Array.from({ length: 5 }, () => w.connect()))).map(quietly);
  assert.deepEqual(w.pool.stats(), { connections: 3, streams: 5 });
});

test("unique_keys_have_unique_connections: different keys never share", { timeout: 10_000 }, async (t) => {
  const w = await tunnelWorld(t, { onRequest: echo });
  const to = w.server.address;
  const request = { authority: "10.0.0.9:80", headers: {} };
  const other = spiffeId("cluster.local", "ns", "other");
  for (const target of [
    { self: w.client, expect: [w.serverId], to, from: "" },
    { self: w.client, expect: [w.serverId], to, from: "127.0.0.1" },
    { self: w.client, expect: [w.serverId, other], to, from: "" },
    { self: other, expect: [w.serverId], to, from: "" },
    { self: w.client, expect: [other, w.serverId], to, from: "" },
  ])
    quietly(await w.pool.connect(target, request));
  assert.equal(w.dialed.length, 4, "the order of acceptable identities does not matter");
});

test("server_goaway: open tunnels finish, new ones go to a new connection", { timeout: 10_000 }, async (t) => {
  const requests: TunnelRequest[] = [];
  const w = await tunnelWorld(t, {
    onRequest: (r) => {
      requests.push(r);
      echo(r);
    },
  });
  const old = await w.connect();
  const drained = w.server.drain(5000);
  // One that crosses the GOAWAY is still served.
  const crossing = await w.connect();
  await fails(w.connect(), "CONNECT", /ECONNREFUSED/);
  for (const { stream } of [old, crossing]) {
    stream.end("still here");
    let text = "";
    for await (const chunk of stream) text += String(chunk);
    assert.equal(text, "still here");
  }
  await drained;
  assert.equal(requests.length, 2);
  assert.equal(w.pool.stats().connections, 0);
});

test("a drain that takes too long is cut", { timeout: 10_000 }, async (t) => {
  const w = await tunnelWorld(t, { onRequest: echo });
  const { stream } = await w.connect();
  const cut = once(stream, "error");
  await w.server.drain(50);
  await cut;
});

test("pool drain: no new tunnels, open ones finish", { timeout: 10_000 }, async (t) => {
  const w = await tunnelWorld(t, { onRequest: echo });
  const { stream } = await w.connect();
  const drained = w.pool.drain(5000);
  await fails(w.connect(), "DRAINED", /shutting down/);
  stream.end("bye");
  assert.equal(String(await once(stream, "data")), "bye");
  await drained;
  assert.deepEqual(w.pool.stats(), { connections: 0, streams: 0 });
});

test("nobody there: CONNECT; no answer to the dial: CONNECT_TIMEOUT with the hint", { timeout: 10_000 }, async (t) => {
  const w = await tunnelWorld(t, { onRequest: echo, poolLimits: { dialMs: 50 }, dial: () => new Promise<Socket>(() => undefined) });
  await fails(w.connect(), "CONNECT_TIMEOUT", /timed out after 50 ms, maybe a NetworkPolicy is blocking HBONE port/);
  const closed = await tunnelWorld(t, { onRequest: echo });
  closed.server.close();
  await fails(closed.connect(), "CONNECT", /ECONNREFUSED/);
});

test("a peer that takes the connection and says nothing: TLS, in time", { timeout: 10_000 }, async (t) => {
  const mute = createServer(() => undefined).listen(0, "127.0.0.1");
  await once(mute, "listening");
  t.after(() => mute.close());
  const sockets: Socket[] = [];
  const { port } = mute.address() as { port: number };
  const w = await tunnelWorld(t, {
    onRequest: echo,
    poolLimits: { dialMs: 100 },
    dial: async () => {
      const socket = connectTcp(port, "127.0.0.1");
      sockets.push(socket);
      await once(socket, "connect");
      return socket;
    },
  });
  await fails(w.connect(), "TLS", /did not finish the TLS handshake within 100 ms/);
  await once(sockets[0] as Socket, "close");
});

/** Dials by way of a relay that can fall silent: nothing passes any more, and nobody says so. */
const relayed = (t: { after(f: () => void): void }) => {
  const passing = new Set<Socket>();
  const dial = async (to: SocketAddr): Promise<Socket> => {
    const relay = createServer({ allowHalfOpen: true }, (near) => {
      const far = connectTcp({ port: to.port, host: to.ip, allowHalfOpen: true });
      for (const [from, into] of [
        [near, far],
        [far, near],
      ] as const) {
        passing.add(from);
        from.on("error", () => into.destroy());
        from.pipe(into);
      }
      relay.close();
    }).listen(0, "127.0.0.1");
    await once(relay, "listening");
    const socket = connectTcp((relay.address() as { port: number }).port, "127.0.0.1");
    await once(socket, "connect");
    return socket;
  };
  t.after(() => {
    for (const socket of passing) socket.destroy();
  });
  const silence = (): void => {
    for (const socket of passing) socket.unpipe().pause();
  };
  return { dial, silence };
};

test("a peer that no longer answers is found out by PING, and its tunnels are cut", { timeout: 10_000 }, async (t) => {
  const path = relayed(t);
  const w = await tunnelWorld(t, { onRequest: echo, poolLimits: { pingEveryMs: 30, pingTimeoutMs: 60 }, dial: path.dial });
  const { stream } = await w.connect();
  const cut = once(stream, "error");
  path.silence();
  const [e] = await cut;
  assert.equal((e as { code: string }).code, "ECONNRESET");
  assert.deepEqual(w.pool.stats(), { connections: 0, streams: 0 });
});

test("a peer whose address has left the mesh is asked at once: one that is still there keeps its tunnels, one that is silent loses them", {
  timeout: 10_000,
}, async (t) => {
  const path = relayed(t);
  // No PING of its own accord comes into it.
  const w = await tunnelWorld(t, { onRequest: echo, poolLimits: { pingEveryMs: 600_000, suspectMs: 200 }, dial: path.dial });
  const { stream } = await w.connect();
  w.pool.suspect(() => false);
  w.pool.suspect(() => true);
  stream.write("here");
  assert.equal(String((await once(stream, "data"))[0]), "here");
  await new Promise((resolve) => setImmediate(resolve)); // the answer to the PING came before the octets
  const cut = once(stream, "error");
  path.silence();
  w.pool.suspect(() => true);
  assert.equal(((await cut)[0] as { code: string }).code, "ECONNRESET");
  assert.deepEqual(w.pool.stats(), { connections: 0, streams: 0 });
});

test("a connection that was silent is asked before it is used again, and replaced when it does not answer", {
  timeout: 10_000,
}, async (t) => {
  const path = relayed(t);
  const w = await tunnelWorld(t, { onRequest: echo, poolLimits: { checkAfterMs: 0, checkMs: 50 }, dial: path.dial });
  const first = await w.connect();
  first.stream.end();
  first.stream.resume();
  await once(first.stream, "close");
  quietly(await w.connect());
  assert.equal(w.dialed.length, 1, "it answered");
  path.silence();
  quietly(await w.connect());
  assert.equal(w.dialed.length, 2);
});

test("idle_eviction: an idle connection is released; one whose certificate has expired is not used again", {
  timeout: 10_000,
}, async (t) => {
  const w = await tunnelWorld(t, { onRequest: echo });
  const clock = testClock();
  let cert = w.authority.cert(w.client, { notAfter: clock.now() + HOUR / 2 });
  let dials = 0;
  const pool = createTunnelPool({
    cert: async () => cert,
    world: clock,
    limits: { checkAfterMs: 10 * HOUR, pingTimeoutMs: 10 * HOUR },
    dial: async (to) => {
      dials += 1;
      const socket = connectTcp(to.port, to.ip);
      await once(socket, "connect");
      return socket;
    },
  });
  t.after(() => pool.close());
  const connect = () =>
    pool.connect({ self: w.client, expect: [w.serverId], to: w.server.address, from: "" }, { authority: "10.0.0.9:80", headers: {} });
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 10_000) {
      await clock.advance(10_000);
      // The PING's answer comes over a real socket: only then does the next period begin.
      while (pool.stats().connections > 0 && !clock.sleepers().some((left) => left <= 10_000))
        await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const held = quietly(await connect());
  await pass(310_000);
  assert.equal(pool.stats().connections, 1, "it is in use");
  held.stream.destroy();
  await once(held.stream, "close");
  await pass(310_000);
  while (pool.stats().connections > 0) await new Promise((resolve) => setImmediate(resolve));
  const again = quietly(await connect());
  assert.equal(dials, 2);
  await clock.advance(HOUR / 2);
  await fails(connect(), "IDENTITY", /our own certificate for .* expired at/);
  cert = w.authority.cert(w.client, { notAfter: clock.now() + HOUR });
  quietly(await connect());
  assert.equal(dials, 3);
  again.stream.destroy();
});

test("streams a peer refuses unseen are tried again elsewhere", { timeout: 10_000 }, async (t) => {
  const authority = testAuthority();
  const server = spiffeId("cluster.local", "ns", "server");
  const self = spiffeId("cluster.local", "ns", "client");
  const sessions: ServerHttp2Session[] = [];
  const bad = createSecureServer({ ...contextOptions(authority.cert(server)), requestCert: true });
  bad.on("session", (s) => sessions.push(s));
  bad.on("stream", (stream: ServerHttp2Stream) => {
    stream.on("error", () => undefined);
    if (sessions.length > 1) return stream.respond({ ":status": 200 });
    stream.close(7); // REFUSED_STREAM
    stream.session?.close();
  });
  bad.listen(0, "127.0.0.1");
  await once(bad, "listening");
  const { port } = bad.address() as { port: number };
  const cert = authority.cert(self);
  const pool = createTunnelPool({
    cert: async () => cert,
    world: realWorld(),
    dial: async () => {
      const socket = connectTcp(port, "127.0.0.1");
      await once(socket, "connect");
      return socket;
    },
  });
  t.after(() => {
    pool.close();
    bad.close();
  });
  const target = { self, expect: [server], to: { ip: loopback, port }, from: "" };
  const tunnel = quietly(await pool.connect(target, { authority: "10.0.0.9:80", headers: {} }));
  assert.equal(sessions.length, 2);
  tunnel.stream.destroy();
});

test("closing leaves nothing: no connections, no timers, waiting callers are told", { timeout: 10_000 }, async (t) => {
  const held = () => Map.groupBy(process.getActiveResourcesInfo(), (kind) => kind);
  const before = held();
  // What earlier tests held may end meanwhile; nothing of ours may stay.
  const more = () => [...held()].filter(([kind, all]) => kind !== "Immediate" && all.length > (before.get(kind)?.length ?? 0));
  const w = await tunnelWorld(t, { onRequest: echo });
  const tunnels = await Promise.all(Array.from({ length: 5 }, () => w.connect()));
  const cut = Promise.all(tunnels.map(({ stream }) => once(stream, "error")));
  w.pool.close();
  await cut;
  await fails(w.connect(), "DRAINED", /shutting down/);
  w.server.close();
  while (more().length > 0) await new Promise((resolve) => setImmediate(resolve));
});
