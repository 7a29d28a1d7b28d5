// Do tunnels carry octets as TCP would: each half on its own, bounded by their reader, cut when cut?

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { finished } from "node:stream/promises";
import { test } from "node:test";
import { type Cleaner, dialSession, echo, hashOf, open, serve, sha, type TestSession, type TestStream, text } from "./fixture.ts";
import type { H2SessionOptions } from "./session.ts";
import { CONNECTION_WINDOW, STREAM_WINDOW } from "./settings.ts";

const pair = async (t: Cleaner, onRequest?: (stream: TestStream) => void, options: Partial<H2SessionOptions> = {}) => {
  const sessions: TestSession[] = [];
  const { port } = await serve(
    t,
    (s) => {
      sessions.push(s);
      if (onRequest === undefined) return echo(s);
      s.on("request", (stream) => {
        stream.on("error", () => undefined);
        stream.respond(200, {}, "tunnel");
        onRequest(stream);
      });
    },
    options,
  );
  const { client, socket } = await dialSession(t, port);
  const server = sessions[0];
  assert.ok(server !== undefined);
  return { client, server, socket };
};
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
/** Until nothing moves any more: the same number for many turns of the loop. */
const settled = async (value: () => number): Promise<number> => {
  let last = -1;
  for (let same = 0; same < 50; await turn()) {
    same = value() === last ? same + 1 : 0;
    last = value();
  }
  return last;
};

test("halves end on their own, whoever ends first; then both sides forget the stream", { timeout: 10_000 }, async (t) => {
  const { client, server } = await pair(t, async (stream) => {
    stream.end("220 hello");
    assert.equal(await text(stream), "more later");
  });
  const { stream } = await open(client);
  assert.equal(await text(stream), "220 hello");
  stream.write("more ");
  await turn();
  stream.end("later");
  await finished(stream);
  while (server.streams + client.streams > 0) await turn();
});

test("100 MB each way at once, in chunks of every size", { timeout: 60_000 }, async (t) => {
  const all = randomBytes(100 << 20);
  const { client } = await pair(t);
  const { stream } = await open(client);
  const heard = hashOf(stream);
  for (let at = 0, n = 1; at < all.length; at += n, n = (n * 7919) % 300_007) {
    if (!stream.write(all.subarray(at, at + n))) await once(stream, "drain");
  }
  stream.end();
  assert.equal(await heard, sha(all));
});

test("a reader that does not read bounds what both sides hold; nothing is lost", { timeout: 30_000 }, async (t) => {
  let reader: TestStream | undefined;
  const { client } = await pair(t, (s) => {
    reader = s;
  });
  const { stream } = await open(client);
  const all = randomBytes(48 << 20);
  let taken = 0;
  const writing = (async () => {
    for (; taken < all.length; taken += 65_536) if (!stream.write(all.subarray(taken, taken + 65_536))) await once(stream, "drain");
    stream.end();
  })();
  await settled(() => taken + (reader?.held ?? 0));
  const held = reader?.held ?? 0;
  t.diagnostic(`nobody reads: the receiver holds ${held} octets (window ${STREAM_WINDOW}), the writer was relieved of ${taken}`);
  assert.ok(held <= STREAM_WINDOW && held > STREAM_WINDOW - (1 << 20), `${held} held`);
  assert.ok(taken < STREAM_WINDOW + (1 << 20), `${taken} taken`);
  assert.ok(reader !== undefined);
  const [hash] = await Promise.all([hashOf(reader), writing]);
  assert.equal(hash, sha(all));
});

test("streams that nobody reads do not stop the others; all of them together are bounded", { timeout: 60_000 }, async (t) => {
  const unread: TestStream[] = [];
  const slack = 8 << 20;
  const { client } = await pair(
    t,
    (s) => {
      s.once("readable", () => undefined);
      unread.push(s);
    },
    { slack },
  );
  const lazy: TestStream[] = [];
  const chunk = Buffer.alloc(5 << 20);
  const held = (): number => unread.reduce((n, s) => n + s.held, 0);
  const more = async (n: number): Promise<void> => {
    for (let i = 0; i < n; i++) {
      const { stream } = await open(client);
      stream.write(chunk);
      lazy.push(stream);
    }
    await settled(held);
  };
  await more(4);
  // Four streams hold their whole windows, which is Istio's whole connection window; another still gets through.
  const { stream } = await open(client);
  stream.end(chunk);
  await settled(held);
  const fifth = unread[4];
  assert.ok(fifth !== undefined);
  assert.equal(await hashOf(fifth), sha(chunk));
  await more(20);
  const bound = CONNECTION_WINDOW + slack;
  t.diagnostic(`24 streams of ${chunk.length} octets that nobody reads: ${held()} held, bound ${bound}`);
  assert.ok(held() <= bound, `${held()} held`);
  // Read at last, everything comes.
  await Promise.all(unread.filter((s) => s !== fifth).map((s, i) => Promise.all([text(s), lazy[i]?.end()])));
});

test("a cut is a reset and never an end, from both sides, also with octets under way", { timeout: 10_000 }, async (t) => {
  const { client, server } = await pair(t, (s) => {
    s.resume();
    s.write(Buffer.alloc(1 << 20));
    s.once("data", () => s.destroy());
  });
  const { stream } = await open(client);
  stream.resume();
  stream.on("end", () => assert.fail("it ended"));
  stream.write("x");
  await assert.rejects(finished(stream), { code: "ECONNRESET" });
  const second = await open(client);
  const requested = once(server, "request");
  const third = await open(client);
  const [theirs] = (await requested) as [TestStream];
  const cut = assert.rejects(finished(theirs), { code: "ECONNRESET" });
  third.stream.on("error", () => undefined);
  third.stream.destroy(new Error("policy"));
  await cut;
  second.stream.destroy();
  while (server.streams + client.streams > 0) await turn();
});

test("streams cut by us while the peer pours into them do not cost the connection, nor do ends that cross the cut", {
  timeout: 30_000,
}, async (t) => {
  const { client, server } = await pair(t, (s) => {
    let got = 0;
    s.on("data", (c: Buffer) => {
      got += c.length;
      if (got > 50_000) s.destroy();
    });
  });
  // Small frames, many of them under way; half of the streams are ended by the client at the moment of the cut.
  const chunk = Buffer.alloc(200);
  const pour = async (i: number): Promise<void> => {
    const { stream } = await open(client);
    const over = new Promise<void>((resolve) => stream.once("close", () => resolve()));
    for (let n = 0; n < 600 && !stream.destroyed; n++) {
      stream.write(chunk);
      if (n % 20 === 0) await turn();
    }
    if (i % 2 === 0) stream.end();
    await over;
  };
  for (let round = 0; round < 5; round++) await Promise.all(Array.from({ length: 30 }, (_, i) => pour(i)));
  assert.deepEqual([client.destroyed, server.destroyed], [false, false]);
  assert.equal(await client.ping(), true);
});

test("half-closed and then cut: still a reset", { timeout: 10_000 }, async (t) => {
  const { client } = await pair(t, (s) => {
    s.resume();
    s.once("end", () => s.destroy());
  });
  const { stream } = await open(client);
  stream.end("x");
  await assert.rejects(finished(stream.resume()), { code: "ECONNRESET" });
});

test("close(): streams finish, one that crosses it too, new ones are refused, then both sockets close in order", {
  timeout: 10_000,
}, async (t) => {
  const { client, server } = await pair(t);
  const { stream } = await open(client);
  const told = once(client, "goaway");
  const closed = Promise.all([once(client, "close"), once(server, "close")]);
  server.close();
  // It crosses the first GOAWAY, which names no last stream: it is still served.
  const crossing = new Promise<TestStream>((resolve) => {
    const made = client.connect("10.0.0.9:80", {}, () => resolve(made));
  });
  assert.deepEqual(await told, ["NO_ERROR"]);
  assert.throws(() => client.connect("10.0.0.9:80", {}, () => undefined), { refused: true });
  for (const s of [stream, await crossing]) {
    s.end("bye");
    assert.equal(await text(s), "bye");
  }
  assert.deepEqual(await closed, [[undefined], [undefined]]);
});

test("a client's close() with nothing open ends the connection", { timeout: 10_000 }, async (t) => {
  const { client, server } = await pair(t);
  const closed = Promise.all([once(client, "close"), once(server, "close")]);
  client.close();
  assert.deepEqual(await closed, [[undefined], [undefined]]);
});

test("a lost connection cuts its tunnels and answers its PINGs with false", { timeout: 10_000 }, async (t) => {
  const { client, server, socket } = await pair(t);
  const { stream } = await open(client);
  const ping = server.ping();
  const cut = assert.rejects(finished(stream), { code: "ECONNRESET" });
  const closed = once(server, "close");
  socket.resetAndDestroy();
  await cut;
  await closed;
  await ping;
  assert.equal(await server.ping(), false);
  assert.equal(client.destroyed, true);
});

test("what was sent before an end is read after it, however late", { timeout: 10_000 }, async (t) => {
  const { client, server } = await pair(t, (s) => {
    s.end(Buffer.alloc(1 << 20, 7));
    s.resume();
  });
  const { stream } = await open(client);
  stream.end();
  // Both halves have ended: for the connection the stream is over, its octets still wait.
  while (client.streams > 0) await turn();
  client.close();
  await once(server, "close");
  assert.equal((await text(stream)).length, 1 << 20);
});
