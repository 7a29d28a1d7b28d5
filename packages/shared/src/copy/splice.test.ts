// Do two streams become one connection, with half-closes, back-pressure and cuts?

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { test } from "node:test";
import { type SpliceEnd, splice } from "./splice.ts";

const listen = async (t: { after(f: () => void): void }): Promise<{ server: Server; port: number }> => {
  const server = createServer({ allowHalfOpen: true }).listen({ port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  t.after(() => server.close());
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  return { server, port: address.port };
};

const dial = (port: number): Socket => createConnection({ port, host: "127.0.0.1", allowHalfOpen: true });

const counter = () => {
  const meter = {
    bytes: 0,
    add: (n: number) => {
      meter.bytes += n;
    },
  };
  return meter;
};

/** client ↔ (relay) ↔ upstream, with real TCP sockets. */
const relay = async (t: { after(f: () => void): void }, signal?: AbortSignal) => {
  const front = await listen(t);
  const back = await listen(t);
  const upstream = once(back.server, "connection");
  const accepted = once(front.server, "connection");
  const client = dial(front.port);
  const [inside] = (await accepted) as [Socket];
  const outside = dial(back.port);
  await once(outside, "connect");
  const [server] = (await upstream) as [Socket];
  const forward = counter();
  const backward = counter();
  const end: Promise<SpliceEnd> = splice(inside, outside, { forward, backward, ...(signal === undefined ? {} : { signal }) });
  t.after(() => {
    client.destroy();
    server.destroy();
  });
  return { client, server, end, forward, backward };
};

const readAll = async (socket: Socket): Promise<string> => {
  const hash = createHash("sha256");
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) hash.update(chunk as Buffer);
  return hash.digest("hex");
};

test("each half closes on its own", { timeout: 10_000 }, async (t) => {
  const { client, server, end, forward, backward } = await relay(t);
  client.end("question");
  assert.equal(await readAll(server), createHash("sha256").update("question").digest("hex"));
  server.write("long ");
  server.end("answer");
  assert.equal(await readAll(client), createHash("sha256").update("long answer").digest("hex"));
  assert.deepEqual(await end, { why: "closed" });
  assert.deepEqual([forward.bytes, backward.bytes], [8, 11]);
});

test("the server may speak and end first", { timeout: 10_000 }, async (t) => {
  const { client, server, end } = await relay(t);
  server.end("220 hello");
  await readAll(client);
  client.end("bye");
  await readAll(server);
  assert.deepEqual(await end, { why: "closed" });
});

test("a slow reader holds the writer back and gets every byte, also after the other side is gone", { timeout: 10_000 }, async (t) => {
  const { client, server, end } = await relay(t);
  const data = randomBytes(24 << 20);
  client.pause();
  client.end();
  const ended = once(server, "end");
  server.resume();
  await ended;
  assert.equal(server.write(data), false);
  server.end();
  assert.equal(await readAll(client), createHash("sha256").update(data).digest("hex"));
  assert.deepEqual(await end, { why: "closed" });
});

test("a reset is passed on as a reset, not as a proper end", { timeout: 10_000 }, async (t) => {
  const { client, server, end } = await relay(t);
  client.write("x");
  await once(server, "data");
  const failed = once(server, "error");
  client.resetAndDestroy();
  const [error] = (await failed) as [NodeJS.ErrnoException];
  assert.equal(error.code, "ECONNRESET");
  assert.deepEqual(await end, { why: "closed" });
});

test("the signal cuts both sides and its reason is told", { timeout: 10_000 }, async (t) => {
  const controller = new AbortController();
  const { client, server, end } = await relay(t, controller.signal);
  const failures = Promise.all([once(client, "error"), once(server, "error")]);
  const reason = new Error("policy");
  controller.abort(reason);
  assert.deepEqual(await end, { why: "aborted", reason });
  await failures;
});

test("a side that is already gone ends the other at once", { timeout: 10_000 }, async (t) => {
  const { server: listener, port } = await listen(t);
  const accepted = once(listener, "connection");
  const first = dial(port);
  const [second] = (await accepted) as [Socket];
  const gone = dial(port);
  gone.on("error", () => {});
  await once(gone, "connect");
  gone.destroy();
  assert.deepEqual(await splice(second, gone, { forward: counter(), backward: counter() }), { why: "closed" });
  await once(first, "close").catch(() => {});
  first.destroy();
});
