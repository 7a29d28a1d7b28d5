// Attacks by a backend: what it says beyond its answer must never be read as the answer to somebody else's request.
import assert from "node:assert/strict";
import { createServer, type Socket } from "node:net";
import { test } from "node:test";
import { ask, raw } from "./helpers.ts";
import { createRig, listening } from "./rig.ts";

const EVIL = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nEVIL";
const GOOD = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nGOOD";

/** Answers the first request ever with `first`, all others with GOOD; a connection's second request is told apart from a new connection's. */
const hostile = async (first: (s: Socket) => void) => {
  let requests = 0;
  let connections = 0;
  const sockets = new Set<Socket>();
  const server = createServer((s) => {
    connections += 1;
    sockets.add(s);
    s.on("error", () => undefined);
    s.on("data", () => {
      requests += 1;
      if (requests === 1) first(s);
      else s.write(GOOD);
    });
  });
  return {
    port: await listening(server),
    connections: () => connections,
    sockets,
    [Symbol.asyncDispose]: async () => {
      for (const s of sockets) s.destroy();
      server.close();
    },
  };
};

const table: [name: string, method: string, first: string][] = [
  ["HEAD answered with content", "HEAD", `HTTP/1.1 200 OK\r\ncontent-length: ${EVIL.length}\r\n\r\n${EVIL}`],
  ["204 with content", "GET", `HTTP/1.1 204 No Content\r\n\r\n${EVIL}`],
  ["304 with content", "GET", `HTTP/1.1 304 Not Modified\r\n\r\n${EVIL}`],
  ["bytes past Content-Length", "GET", `HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok${EVIL}`],
  ["bytes past the last chunk", "GET", `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n${EVIL}`],
];
for (const [name, method, first] of table)
  test(`the next caller does not get what was left over: ${name}`, async () => {
    await using rig = createRig();
    await using server = await hostile((s) => s.write(first));
    rig.backends("reviews", [server.port]);
    const entry = await rig.entry();
    await raw(entry, `${method} / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`);
    const second = await ask(entry);
    assert.deepEqual([second.body.toString(), server.connections()], ["GOOD", 2]);
  });

test("a kept connection on which the backend speaks unasked is closed", async () => {
  await using rig = createRig();
  const closed = Promise.withResolvers<void>();
  await using server = await hostile((s) => {
    s.on("close", () => closed.resolve());
    s.write(GOOD);
  });
  rig.backends("reviews", [server.port]);
  const entry = await rig.entry();
  assert.equal((await ask(entry)).body.toString(), "GOOD");
  assert.equal(rig.proxy.upstreams.stats().idle, 1);
  for (const s of server.sockets) s.write(EVIL);
  await closed.promise;
  assert.equal(rig.proxy.upstreams.stats().idle, 0);
  assert.deepEqual([(await ask(entry)).body.toString(), server.connections()], ["GOOD", 2]);
});
