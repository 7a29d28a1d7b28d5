// Does HTTP/2 pass through a waypoint whole, also to and from HTTP/1.1?

import assert from "node:assert/strict";
import { createServer as createHttp1 } from "node:http";
import { connect, constants, createServer, type Http2Server, type ServerHttp2Stream } from "node:http2";
import { test } from "node:test";
import { aPort, createRig, listening, policy } from "./rig.ts";

type Answer = {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly trailers: Record<string, unknown>;
  readonly body: string;
};

const call = (port: number, headers: Record<string, string>, body?: string): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const session = connect(`http://127.0.0.1:${port}`);
    session.on("error", reject);
    const stream = session.request({ ":authority": "reviews", ":method": "POST", ...headers });
    let got: Record<string, unknown> = {};
    let trailers: Record<string, unknown> = {};
    let text = "";
    stream.on("response", (h) => (got = h));
    stream.on("trailers", (t) => (trailers = t));
    stream.on("data", (c: Buffer) => (text += c.toString()));
    stream.on("error", reject);
    // After "end" there may still be an error: a reset ends the content too.
    stream.on("close", () => {
      session.close();
      resolve({ status: Number(got[":status"]), headers: got, trailers, body: text });
    });
    stream.end(body);
  });

const h2Backend = async (onStream: (stream: ServerHttp2Stream, headers: Record<string, unknown>) => void) => {
  const server: Http2Server = createServer();
  const sessions = new Set<{ destroy(): void }>();
  let opened = 0;
  server.on("session", (s) => {
    opened += 1;
    sessions.add(s);
  });
  server.on("stream", (s: ServerHttp2Stream, h) => {
    s.on("error", () => undefined);
    onStream(s, h);
  });
  const port = await listening(server);
  return {
    port,
    opened: () => opened,
    [Symbol.asyncDispose]: async () => {
      for (const s of sessions) s.destroy();
      server.close();
    },
  };
};

const grpcEcho = (stream: ServerHttp2Stream, headers: Record<string, unknown>): void => {
  const parts: Buffer[] = [];
  stream.on("data", (c: Buffer) => parts.push(c));
  stream.on("end", () => {
    stream.respond({ ":status": 200, "content-type": "application/grpc", "x-path": String(headers[":path"]) }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0", "grpc-message": "fine" }));
    stream.end(Buffer.concat(parts));
  });
};

test("a gRPC-like call: HTTP/2 both ways, body and trailers whole, sessions shared", async () => {
  await using rig = createRig({ service: { ports: [aPort({ protocol: "GRPC" })] } });
  await using server = await h2Backend(grpcEcho);
  rig.backends("reviews", [server.port], "GRPC");
  const entry = await rig.entry();
  const headers = { ":path": "/shop.Reviews/Get", "content-type": "application/grpc", te: "trailers" };
  for (let i = 0; i < 3; i++) {
    const a = await call(entry, headers, "message");
    assert.deepEqual([a.status, a.body, a.headers["x-path"]], [200, "message", "/shop.Reviews/Get"]);
    assert.deepEqual([a.trailers["grpc-status"], a.trailers["grpc-message"]], ["0", "fine"]);
  }
  assert.equal(server.opened(), 1);
});

test("an answer to HTTP/2 by a backend that speaks HTTP/1, and the other way round", async () => {
  await using rig = createRig();
  const http1 = createHttp1((req, res) => res.setHeader("x-version", req.httpVersion).end(`${req.method} ${req.url}`));
  const p1 = await listening(http1);
  await using server = await h2Backend(grpcEcho);
  const entry = await rig.entry();
  // HTTP/1 in, HTTP/2 out, because the backend's port says so.
  rig.backends("reviews", [server.port], "HTTP2");
  const res = await fetch(`http://127.0.0.1:${entry}/p?q=1`, { method: "POST", body: "abc" });
  assert.deepEqual([res.status, res.headers.get("x-path"), await res.text()], [200, "/p?q=1", "abc"]);
  http1.close();
  assert.ok(p1 > 0);
});

test("denied gRPC gets PERMISSION_DENIED in a trailers-only answer; plain HTTP/2 gets 403", async () => {
  const deny = policy({ action: "DENY", rules: [{ clauses: [] }] });
  await using rig = createRig({ service: { policies: [deny] } });
  const entry = await rig.entry();
  const grpc = await call(entry, { ":path": "/s/m", "content-type": "application/grpc" }, "x");
  assert.deepEqual([grpc.status, grpc.headers["grpc-status"], grpc.headers["grpc-message"]], [200, "7", "RBAC: access denied"]);
  const plain = await call(entry, { ":path": "/s/m" });
  assert.deepEqual([plain.status, plain.body], [403, "RBAC: access denied"]);
});

test("a stream that the backend refuses is sent to it again", async () => {
  await using rig = createRig({ service: { ports: [aPort({ protocol: "HTTP2" })] } });
  let seen = 0;
  await using server = await h2Backend((stream, headers) => {
    seen += 1;
    if (seen === 1) stream.close(constants.NGHTTP2_REFUSED_STREAM);
    else grpcEcho(stream, headers);
  });
  rig.backends("reviews", [server.port], "HTTP2");
  const a = await call(await rig.entry(), { ":path": "/x" }, "body");
  assert.deepEqual([a.status, a.body, seen], [200, "body", 2]);
});

test("a backend that resets in the middle of its answer resets the caller's stream", async () => {
  await using rig = createRig({ service: { ports: [aPort({ protocol: "HTTP2" })] } });
  await using server = await h2Backend((stream) => {
    stream.respond({ ":status": 200 });
    stream.write("half");
    stream.on("error", () => undefined);
    setImmediate(() => stream.destroy(new Error("broken")));
  });
  rig.backends("reviews", [server.port], "HTTP2");
  await assert.rejects(call(await rig.entry(), { ":path": "/x" }), /NGHTTP2_INTERNAL_ERROR/);
});
