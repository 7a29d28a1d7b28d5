// Does HTTP/1.1 pass through a waypoint whole, both connections kept?

import assert from "node:assert/strict";
import { Agent } from "node:http";
import { test } from "node:test";
import { ask, backend, echo, raw } from "./helpers.ts";
import { aPort, aRule, createRig, toService } from "./rig.ts";

test("a request passes to a plaintext backend, and an answer back", async () => {
  await using rig = createRig();
  await using server = await backend(echo);
  rig.backends("reviews", [server.port]);
  const answer = await ask(await rig.entry(), {
    method: "POST",
    path: "/a/b?c=d",
    body: "hello",
    headers: { "x-a": "1", connection: "close, x-hop", "x-hop": "2" },
  });
  assert.equal(answer.status, 200);
  const got = JSON.parse(answer.body.toString());
  assert.deepEqual([got.method, got.url, got.body], ["POST", "/a/b?c=d", "hello"]);
  assert.equal(got.headers["x-a"], "1");
  assert.equal(got.headers["x-hop"], undefined);
  assert.equal(got.headers["x-request-id"], "00000000-0000-4000-8000-000000000000");
  assert.equal(got.headers["x-forwarded-for"], "10.244.1.7");
  assert.equal(got.headers["x-forwarded-proto"], "http");
  assert.equal(
    got.headers["x-forwarded-client-cert"],
    "By=spiffe://cluster.local/ns/shop/sa/waypoint;URI=spiffe://cluster.local/ns/shop/sa/web",
  );
});

test("no route for the request: 404; no endpoint: 503 UH; invalid backend and weight 0: 500", async () => {
  await using rig = createRig();
  const entry = await rig.entry();
  rig.backends("reviews", []);
  assert.deepEqual([(await ask(entry)).status, rig.seen.at(-1)?.ctx.report.failure?.code], [503, "NO_HEALTHY_UPSTREAM"]);
  rig.push({
    ports: [
      aPort({ rules: [aRule({ match: { path: { type: "exact", value: "/only" }, method: undefined, headers: [], queryParams: [] } })] }),
    ],
  });
  assert.equal((await ask(entry, { path: "/other" })).status, 404);
  rig.push({ ports: [aPort({ rules: [aRule({ backends: [{ weight: 1, target: { kind: "invalid", reason: "gone" }, filters: [] }] })] })] });
  assert.equal((await ask(entry)).status, 500);
  rig.push({ ports: [aPort({ rules: [aRule({ backends: [toService("reviews", 0)] })] })] });
  assert.equal((await ask(entry)).status, 500);
});

test("a caller's connection and a backend's are both kept", async () => {
  await using rig = createRig();
  await using server = await backend(echo);
  rig.backends("reviews", [server.port]);
  const entry = await rig.entry();
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  for (let i = 0; i < 5; i++) assert.equal((await ask(entry, { agent })).status, 200);
  assert.equal(server.connections(), 1);
  agent.destroy();
});

test("raw: pipelining keeps the order, and what could be read two ways is refused", async () => {
  await using rig = createRig();
  await using server = await backend((req, res) => res.end(req.url));
  rig.backends("reviews", [server.port]);
  const entry = await rig.entry();
  const two = await raw(entry, "GET /1 HTTP/1.1\r\nhost: a\r\n\r\nGET /2 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
  assert.match(two, /\/1HTTP\/1\.1 200 OK[\s\S]*\/2$/);
  for (const [bytes, status] of [
    ["POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n", 400],
    ["POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\n", 400],
    ["GET / HTTP/1.1\nhost: a\n\n", 400],
    ["GET / HTTP/1.1\r\nhost: a\r\n b: c\r\n\r\n", 400],
    ["GET / HTTP/1.1\r\n\r\n", 400],
    ["GET / HTTP/2.0\r\nhost: a\r\n\r\n", 505],
    [`GET / HTTP/1.1\r\nhost: a\r\n${"x: y\r\n".repeat(101)}\r\n`, 431],
    [`GET / HTTP/1.1\r\nhost: a\r\nx: ${"y".repeat(62_000)}\r\n\r\n`, 431],
    ["POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n", 501],
  ] as const)
    assert.match(await raw(entry, bytes), new RegExp(`^HTTP/1\\.1 ${status} `), JSON.stringify(bytes.slice(0, 80)));
});
