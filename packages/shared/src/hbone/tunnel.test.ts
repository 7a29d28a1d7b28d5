// Do tunnels carry bytes as TCP would: both ways, each half on its own, with back-pressure, cut when cut?

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { finished } from "node:stream/promises";
import { test } from "node:test";
import { MeshError } from "../errors/mesh-error.ts";
import { tunnelWorld } from "./fixture.ts";

const text = async (stream: Duplex): Promise<string> => {
  let out = "";
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) out += String(chunk);
  return out;
};
const hashOf = async (stream: Duplex): Promise<string> => {
  const hash = createHash("sha256");
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) hash.update(chunk);
  return hash.digest("hex");
};
const failure = (p: Promise<unknown>): Promise<MeshError> =>
  p.then(
    () => assert.fail("it did not fail"),
    (e) => {
      assert.ok(e instanceof MeshError, String(e));
      return e;
    },
  );

test("headers, authority and identities are seen by both ends; bytes are echoed", { timeout: 10_000 }, async (t) => {
  const w = await tunnelWorld(t, {
    onRequest: (r) => {
      assert.equal(r.method, "CONNECT");
      assert.equal(r.authority, "10.0.0.9:80");
      assert.equal(r.headers.baggage, "a=b");
      assert.equal(r.peer.uri, w.client.uri);
      assert.equal(r.local.port, w.server.address.port);
      assert.equal(r.remote.ip, "127.0.0.1");
      const stream = r.accept({ baggage: "c=d" });
      stream.pipe(stream);
    },
  });
  const tunnel = await w.connect({ authority: "10.0.0.9:80", headers: { baggage: "a=b" } });
  assert.equal(tunnel.peer.uri, w.serverId.uri);
  assert.equal(tunnel.headers.baggage, "c=d");
  tunnel.stream.end("hello");
  assert.equal(await text(tunnel.stream), "hello");
  await finished(tunnel.stream);
});

test("the client's half closes and the server still speaks", { timeout: 10_000 }, async (t) => {
  const w = await tunnelWorld(t, {
    onRequest: async (r) => {
      const stream = r.accept({});
      const asked = await text(stream);
      stream.write(`you said `);
      stream.end(asked);
    },
  });
  const { stream } = await w.connect();
  stream.end("question");
  assert.equal(await text(stream), "you said question");
});

test("the server speaks and ends first; the client still speaks", { timeout: 10_000 }, async (t) => {
  const heard = Promise.withResolvers<string>();
  const w = await tunnelWorld(t, {
    onRequest: async (r) => {
      const stream = r.accept({});
      stream.end("220 hello");
      heard.resolve(await text(stream));
    },
  });
  const { stream } = await w.connect();
  assert.equal(await text(stream), "220 hello");
  stream.write("more ");
  stream.end("later");
  assert.equal(await heard.promise, "more later");
});

test("50 MB each way at once, with equal hashes", { timeout: 30_000 }, async (t) => {
  const up = randomBytes(50 << 20);
  const down = randomBytes(50 << 20);
  const heard = Promise.withResolvers<string>();
  const w = await tunnelWorld(t, {
    onRequest: (r) => {
      const stream = r.accept({});
      hashOf(stream).then(heard.resolve, heard.reject);
      stream.end(down);
    },
  });
  const { stream } = await w.connect();
  stream.end(up);
  const [got, sent] = await Promise.all([hashOf(stream), heard.promise]);
  assert.equal(got, createHash("sha256").update(down).digest("hex"));
  assert.equal(sent, createHash("sha256").update(up).digest("hex"));
});

test("a reader that does not read holds the writer back, and loses nothing", { timeout: 30_000 }, async (t) => {
  const chunk = randomBytes(64 << 10);
  const total = 40 << 20;
  let written = 0;
  const stalled = Promise.withResolvers<void>();
  const w = await tunnelWorld(t, {
    onRequest: async (r) => {
      const stream = r.accept({});
      while (written < total) {
        written += chunk.length;
        if (stream.write(chunk)) continue;
        const drained = once(stream, "drain");
        const waiting = await Promise.race([drained.then(() => false), w.quiet(200).then(() => true)]);
        if (waiting) {
          stalled.resolve();
          await drained;
        }
      }
      stream.end();
    },
  });
  const { stream } = await w.connect();
  await stalled.promise;
  // The stream's window, and what sockets and TLS hold on the way.
  assert.ok(written < 16 << 20, `${written} bytes were taken from the writer although nobody reads`);
  let read = 0;
  for await (const part of stream) read += (part as Buffer).length;
  assert.equal(read, total);
});

test("a cut by either side reaches the other as ECONNRESET, never as an end", { timeout: 10_000 }, async (t) => {
  const accepted: Duplex[] = [];
  const w = await tunnelWorld(t, {
    onRequest: (r) => {
      const stream = r.accept({});
      accepted.push(stream);
      stream.resume();
      stream.write("some");
    },
  });
  const first = await w.connect();
  await once(first.stream, "data");
  accepted[0]?.destroy();
  await assert.rejects(finished(first.stream), { code: "ECONNRESET" });
  const second = await w.connect();
  await once(second.stream, "data");
  const cut = assert.rejects(finished(accepted[1] as Duplex), { code: "ECONNRESET" });
  second.stream.destroy(new Error("policy"));
  await assert.rejects(finished(second.stream), /policy/);
  await cut;
});

test("rejections are HTTP_STATUS with the status", { timeout: 10_000 }, async (t) => {
  const w = await tunnelWorld(t, { onRequest: (r) => r.reject(401, { "x-why": "policy" }) });
  const e = await failure(w.connect());
  assert.equal(e.code, "HTTP_STATUS");
  assert.match(e.message, /answered 401 to CONNECT/);
});

test("a throw in the handler is answered with its code's status and logged", { timeout: 10_000 }, async (t) => {
  const w = await tunnelWorld(t, {
    onRequest: async (r) => {
      if (r.authority.endsWith(":1")) throw new MeshError("DENY", "no");
      throw new TypeError("bug");
    },
  });
  assert.match((await failure(w.connect({ authority: "10.0.0.9:1" }))).message, /answered 401/);
  assert.match((await failure(w.connect({ authority: "10.0.0.9:2" }))).message, /answered 503/);
  assert.deepEqual(
    w.logs.map((l) => l.event),
    ["tunnel request failed", "tunnel request failed"],
  );
});

test("the request's signal aborts when the peer gives up before the answer", { timeout: 10_000 }, async (t) => {
  const gone = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const w = await tunnelWorld(t, {
    onRequest: (r) => {
      r.signal.addEventListener("abort", () => gone.resolve());
      asked.resolve();
    },
  });
  const stop = new AbortController();
  const pending = failure(w.connect({}, stop.signal));
  await asked.promise;
  stop.abort(new Error("the app hung up"));
  assert.equal((await pending).code, "CLIENT_GONE");
  await gone.promise;
});

test("no answer in time is H2_HANDSHAKE", { timeout: 10_000 }, async (t) => {
  const w = await tunnelWorld(t, { onRequest: () => undefined, poolLimits: { answerMs: 50 } });
  const e = await failure(w.connect());
  assert.equal(e.code, "H2_HANDSHAKE");
  assert.match(e.message, /did not answer CONNECT/);
});
