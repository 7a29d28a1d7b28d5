// Does node:http2 (nghttp2), as client and as server, carry tunnels with us?

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
  createServer as createHttp2,
  type ServerHttp2Stream,
} from "node:http2";
import { test } from "node:test";
import { type Cleaner, dialSession, echo, hashOf, open, serve, sha, type TestSession, type TestStream, text } from "./fixture.ts";
import { STREAM_WINDOW } from "./settings.ts";

const BIG = 100 << 20;

const nodeClient = async (t: Cleaner, port: number, settings = {}): Promise<ClientHttp2Session> => {
  const client = connectHttp2(`http://127.0.0.1:${port}`, settings);
  t.after(() => client.destroy());
  await once(client, "connect");
  return client;
};
const nodeConnect = async (client: ClientHttp2Session, headers = {}): Promise<{ stream: ClientHttp2Stream; status: unknown }> => {
  const stream = client.request({ ":method": "CONNECT", ":authority": "10.0.0.9:80", ...headers }, { endStream: false });
  const [head] = await once(stream, "response");
  return { stream, status: head[":status"] };
};
const nodeServer = async (t: Cleaner, onStream: (s: ServerHttp2Stream, h: Record<string, unknown>) => void, settings = {}) => {
  const server = createHttp2({ settings });
  server.on("stream", onStream);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return (server.address() as { port: number }).port;
};

test("node:http2 client: headers with Huffman and table, half-close both ways", { timeout: 10_000 }, async (t) => {
  const seen: unknown[] = [];
  const { port } = await serve(t, (s) =>
    s.on("request", async (stream, head) => {
      seen.push(head.authority, head.headers.baggage, head.headers["x-long"]?.length);
      stream.respond(200, { "x-answer": "yes" }, "tunnel");
      const asked = await text(stream);
      stream.end(`you said ${asked}`);
    }),
  );
  const client = await nodeClient(t, port);
  // The second time the names and values come from the dynamic table.
  for (let i = 0; i < 3; i++) {
    const { stream, status } = await nodeConnect(client, { baggage: "k8s.cluster.name=Kubernetes,é=1", "x-long": "ab/".repeat(2000) });
    assert.equal(status, 200);
    stream.end("question");
    assert.equal(await text(stream), "you said question");
  }
  assert.deepEqual(seen.slice(-3), ["10.0.0.9:80", "k8s.cluster.name=Kubernetes,é=1", 6000]);
});

test("node:http2 client: 100 MB each way at once, equal hashes", { timeout: 60_000 }, async (t) => {
  const up = randomBytes(BIG);
  const down = randomBytes(BIG);
  const heard = Promise.withResolvers<string>();
  const { port } = await serve(t, (s) =>
    s.on("request", (stream) => {
      stream.respond(200, {}, "tunnel");
      hashOf(stream).then(heard.resolve, heard.reject);
      stream.end(down);
    }),
  );
  const { stream } = await nodeConnect(await nodeClient(t, port));
  stream.end(up);
  assert.equal(await hashOf(stream), sha(down));
  assert.equal(await heard.promise, sha(up));
});

test("node:http2 server: 100 MB each way at once, equal hashes", { timeout: 60_000 }, async (t) => {
  const up = randomBytes(BIG);
  const down = randomBytes(BIG);
  const heard = Promise.withResolvers<string>();
  const port = await nodeServer(t, (stream, headers) => {
    assert.equal(headers[":method"], "CONNECT");
    stream.respond({ ":status": 200, "x-answer": "yes" });
    hashOf(stream).then(heard.resolve, heard.reject);
    stream.end(down);
  });
  const { client } = await dialSession(t, port);
  const { stream, head } = await open(client);
  assert.deepEqual(head, { status: 200, headers: { ...head.headers, "x-answer": "yes" } });
  stream.end(up);
  assert.equal(await hashOf(stream), sha(down));
  assert.equal(await heard.promise, sha(up));
});

test("node:http2 client with the smallest frames and a window of 1: all of it arrives", { timeout: 20_000 }, async (t) => {
  const { port } = await serve(t, echo);
  const client = await nodeClient(t, port, { settings: { initialWindowSize: 1, maxFrameSize: 16_384 } });
  const { stream } = await nodeConnect(client);
  stream.end("every octet on its own");
  assert.equal(await text(stream), "every octet on its own");
});

test("node:http2 client: many streams at once; one that is not read does not stop the others", { timeout: 20_000 }, async (t) => {
  let unread: TestStream | undefined;
  const { port } = await serve(t, (s) =>
    s.on("request", (stream, head) => {
      stream.on("error", () => undefined);
      stream.respond(200, {}, "tunnel");
      if (head.headers["x-lazy"] === undefined) stream.pipe(stream);
      else unread = stream;
    }),
  );
  const client = await nodeClient(t, port, { maxSessionMemory: 256 });
  const lazy = await nodeConnect(client, { "x-lazy": "1" });
  lazy.stream.on("error", () => undefined);
  lazy.stream.write(randomBytes(8 << 20));
  const data = randomBytes(1 << 20);
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      const { stream } = await nodeConnect(client);
      stream.end(data);
      assert.equal(await hashOf(stream), sha(data));
    }),
  );
  assert.ok((unread?.held ?? 0) <= STREAM_WINDOW, `${unread?.held} octets wait for a reader`);
  lazy.stream.destroy();
});

test("cuts are resets, both ways", { timeout: 10_000 }, async (t) => {
  const cuts: string[] = [];
  const { port } = await serve(t, (s: TestSession) =>
    s.on("request", (stream, head) => {
      stream.on("error", (e) => cuts.push((e as NodeJS.ErrnoException).code ?? e.message));
      stream.respond(200, {}, "tunnel");
      stream.write("some");
      if (head.headers["x-cut"] !== undefined) stream.once("data", () => stream.destroy());
    }),
  );
  const client = await nodeClient(t, port);
  const ours = await nodeConnect(client, { "x-cut": "1" });
  let ended = false;
  ours.stream.on("end", () => {
    ended = ours.stream.rstCode === 0;
  });
  ours.stream.on("error", () => undefined);
  ours.stream.resume();
  ours.stream.write("now");
  await once(ours.stream, "close");
  assert.equal(ours.stream.rstCode, 8);
  assert.equal(ended, false);
  const theirs = await nodeConnect(client);
  theirs.stream.on("error", () => undefined);
  theirs.stream.close(8);
  await once(theirs.stream, "close");
  const again = await nodeConnect(client);
  again.stream.on("error", () => undefined);
  assert.deepEqual(cuts, ["ECONNRESET"]);
});

test("rejections, other methods, and GOAWAY both ways", { timeout: 10_000 }, async (t) => {
  const sessions: TestSession[] = [];
  const { port } = await serve(t, (s) => {
    sessions.push(s);
    s.on("request", (stream, head) =>
      head.method === "CONNECT" ? stream.respond(401, { why: "policy" }, "end") : stream.respond(400, {}, "end"),
    );
  });
  const client = await nodeClient(t, port);
  const refused = client.request({ ":method": "CONNECT", ":authority": "10.0.0.9:80" }, { endStream: false });
  const [head] = await once(refused, "response");
  assert.deepEqual([head[":status"], head.why], [401, "policy"]);
  const get = client.request({ ":path": "/" });
  assert.equal((await once(get, "response"))[0][":status"], 400);
  const goaway = once(client, "goaway");
  sessions[0]?.close();
  assert.equal((await goaway)[0], 0);
  await once(client, "close");

  const other = await nodeClient(t, port);
  await once(other, "remoteSettings");
  const closed = once(sessions[1] as TestSession, "close");
  other.close();
  assert.deepEqual(await closed, [undefined]);
});

test("a node:http2 server's GOAWAY: its streams finish, unseen ones are refused, no new ones", { timeout: 10_000 }, async (t) => {
  const streams: ServerHttp2Stream[] = [];
  const port = await nodeServer(t, (stream) => {
    streams.push(stream);
    stream.respond({ ":status": 200 });
    stream.pipe(stream);
  });
  const { client } = await dialSession(t, port);
  const { stream } = await open(client);
  const told = once(client, "goaway");
  streams[0]?.session?.close();
  assert.deepEqual(await told, ["NO_ERROR"]);
  assert.throws(() => client.connect("a:1", {}, () => undefined), { code: "ECONNRESET", refused: true });
  const closed = once(client, "close");
  stream.end("bye");
  assert.equal(await text(stream), "bye");
  assert.deepEqual(await closed, [undefined]);
});

test("PING is answered both ways", { timeout: 10_000 }, async (t) => {
  const sessions: TestSession[] = [];
  const { port } = await serve(t, (s) => void sessions.push(s));
  const client = await nodeClient(t, port);
  await new Promise<void>((resolve, reject) => client.ping((e) => (e === null ? resolve() : reject(e))));
  assert.equal(await sessions[0]?.ping(), true);
  const pending = Promise.all(Array.from({ length: 10 }, () => sessions[0]?.ping()));
  assert.deepEqual(new Set(await pending), new Set([true]));
  client.destroy();
  await once(sessions[0] as TestSession, "close");
  assert.equal(await sessions[0]?.ping(), false);
});
