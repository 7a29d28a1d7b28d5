// Callers that hold connections without asking anything: each has its time.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { backend, echo } from "./helpers.ts";
import { aPort, createRig } from "./rig.ts";

const all = async (s: Socket): Promise<string> => {
  let text = "";
  s.on("data", (c) => (text += String(c)));
  s.on("error", () => undefined);
  await once(s, "close");
  return text;
};

test("a head that does not come to its end is answered 408, however slowly it drips", async () => {
  await using rig = createRig({ limits: { requestHeadMs: 60 } });
  const s = connect(await rig.entry(), "127.0.0.1");
  s.write("GET / HTTP/1.1\r\nhost: a\r\n");
  const drip = setInterval(() => s.write("x: y\r\n"), 10);
  s.on("close", () => clearInterval(drip));
  assert.match(await all(s), /^HTTP\/1\.1 408 Request Timeout\r\n[\s\S]*connection: close/);
});

test("a connection that says nothing is closed after its time: at its start, and between two requests", async () => {
  await using rig = createRig({ limits: { requestHeadMs: 30, callerIdleMs: 60 } });
  await using server = await backend(echo);
  rig.backends("reviews", [server.port]);
  const entry = await rig.entry();
  assert.equal(await all(connect(entry, "127.0.0.1")), "");
  const kept = connect(entry, "127.0.0.1");
  kept.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  const text = await all(kept);
  assert.ok(text.startsWith("HTTP/1.1 200") && text.endsWith("}"), text);
});

test("a request that takes longer than both is not disturbed", async () => {
  await using rig = createRig({ limits: { requestHeadMs: 20, callerIdleMs: 20 } });
  await using server = await backend((_req, res) => void setTimeout(() => res.end("late"), 120));
  rig.backends("reviews", [server.port]);
  const s = connect(await rig.entry(), "127.0.0.1");
  s.write("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
  assert.match(await all(s), /^HTTP\/1\.1 200[\s\S]*late/);
});

test("an HTTP/2 caller without streams is closed after its time, one with a stream is not", async () => {
  await using rig = createRig({ service: { ports: [aPort({ protocol: "HTTP2" })] }, limits: { callerIdleMs: 50 } });
  await using server = await backend((_req, res) => void setTimeout(() => res.end("late"), 150));
  rig.backends("reviews", [server.port], "HTTP11");
  const session = connectHttp2(`http://127.0.0.1:${await rig.entry()}`);
  const stream = session.request({ ":path": "/", ":authority": "reviews" });
  const closed = once(session, "close");
  const [headers] = (await once(stream, "response")) as [Record<string, unknown>];
  assert.equal(typeof headers[":status"], "number");
  stream.resume();
  await closed;
});
