// What does a tunnel make of the ways in which HTTP/2 peers end and cut streams?

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type ServerHttp2Stream } from "node:http2";
import type { Duplex } from "node:stream";
import { test } from "node:test";
import { dialSession, open } from "./fixture.ts";

const bytes = Buffer.alloc(100_000, 7);

/** A tunnel to a bare node:http2 server that does as told. */
const tunnelTo = async (t: { after(f: () => void): void }, serve: (stream: ServerHttp2Stream) => void): Promise<Duplex> => {
  const server = createServer();
  server.on("stream", (stream: ServerHttp2Stream) => {
    stream.on("error", () => undefined);
    stream.respond({ ":status": 200 });
    serve(stream);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  t.after(() => server.close());
  const { client } = await dialSession(t, port);
  const { stream: tunnel } = await open(client);
  // What is looked at is how reading ends; the half that is never ended fails when the test is over.
  tunnel.on("error", () => undefined);
  return tunnel;
};
const outcome = async (tunnel: Duplex): Promise<{ read: number; how: string }> => {
  let read = 0;
  try {
    for await (const chunk of tunnel.iterator({ destroyOnReturn: false })) read += (chunk as Buffer).length;
    return { read, how: "ended" };
  } catch (e) {
    return { read, how: (e as { code: string }).code };
  }
};

test("END_STREAM is an end", { timeout: 5000 }, async (t) => {
  const tunnel = await tunnelTo(t, (s) => void s.end(bytes));
  assert.deepEqual(await outcome(tunnel), { read: bytes.length, how: "ended" });
});

test("a reset in the midst is no end, with an error code and also with NO_ERROR", { timeout: 5000 }, async (t) => {
  for (const error of [new Error("x"), undefined]) {
    const tunnel = await tunnelTo(t, (s) => void s.write(bytes, () => s.destroy(error)));
    assert.equal((await outcome(tunnel)).how, "ECONNRESET");
  }
});

test("END_STREAM and then NO_ERROR: everything is read, and only our own half is lost", { timeout: 5000 }, async (t) => {
  const tunnel = await tunnelTo(t, (s) => {
    s.read(0);
    s.once("finish", () => s.close(0));
    s.end(bytes);
  });
  const error = once(tunnel, "error");
  const got = await outcome(tunnel);
  assert.equal(got.read, bytes.length);
  assert.equal(((await error)[0] as { code: string }).code, "ECONNRESET");
});

test("the connection goes away: no end", { timeout: 5000 }, async (t) => {
  const tunnel = await tunnelTo(t, (s) => void s.write(bytes, () => s.session?.destroy()));
  assert.equal((await outcome(tunnel)).how, "ECONNRESET");
});

test("cut by us: the peer sees a reset with an error code and not an end", { timeout: 5000 }, async (t) => {
  const seen = Promise.withResolvers<{ ended: boolean; rstCode: number | undefined }>();
  const tunnel = await tunnelTo(t, (s) => {
    let ended = false;
    s.on("end", () => {
      ended = !s.aborted;
    });
    s.on("close", () => seen.resolve({ ended, rstCode: s.rstCode }));
    s.resume();
  });
  tunnel.write("some");
  tunnel.destroy();
  const { ended, rstCode } = await seen.promise;
  assert.equal(ended, false);
  assert.notEqual(rstCode, 0);
});
