// Are HTTP's rules for bodies, connections and policies kept on the way through?

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { request } from "node:http";
import { connect, createServer as createTcp, type Socket } from "node:net";
import { test } from "node:test";
import { EMPTY_MATCH } from "@ambit/shared/authz/types.ts";
import { ask, backend, echo, raw } from "./helpers.ts";
import { aPort, aRule, createRig, listening, policy, toService } from "./rig.ts";

const sha = (b: Buffer): string => createHash("sha256").update(b).digest("hex");

test("HEAD, 204 and 304 have no content, and the connection goes on", async () => {
  await using rig = createRig();
  await using server = await backend((req, res) => {
    const status = Number(req.url?.slice(1));
    res
      .writeHead(status, status === 200 ? { "content-length": "5" } : {})
      .end(req.method === "HEAD" || status !== 200 ? undefined : "hello");
  });
  rig.backends("reviews", [server.port]);
  const text = await raw(
    await rig.entry(),
    ["HEAD /200", "GET /204", "GET /304", "GET /200"]
      .map((l, i) => `${l} HTTP/1.1\r\nhost: a\r\n${i === 3 ? "connection: close\r\n" : ""}\r\n`)
      .join(""),
  );
  assert.deepEqual(
    [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((m) => m[1]),
    ["200", "204", "304", "200"],
  );
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n(?:(?!\r\n\r\n)[\s\S])*content-length: 5/);
  assert.equal(text.match(/hello/g)?.length, 1);
  assert.doesNotMatch(text, /transfer-encoding/);
});

test("HTTP/1.0: closed after the answer, and a body without length ends with the connection", async () => {
  await using rig = createRig();
  await using server = await backend((_req, res) => {
    res.write("a");
    res.end("b");
  });
  rig.backends("reviews", [server.port]);
  const text = await raw(await rig.entry(), "GET / HTTP/1.0\r\n\r\n");
  assert.match(text, /\r\n\r\nab$/);
  assert.doesNotMatch(text, /transfer-encoding/);
});

test("chunked both ways with trailers", async () => {
  await using rig = createRig();
  let got: NodeJS.Dict<string> = {};
  await using server = await backend((req, res) => {
    req.resume();
    req.on("end", () => {
      got = req.trailers;
      res.writeHead(200, { trailer: "x-sum" });
      res.write("part");
      res.addTrailers({ "x-sum": "42" });
      res.end();
    });
  });
  rig.backends("reviews", [server.port]);
  const entry = await rig.entry();
  const text = await raw(
    entry,
    "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-up: 1\r\ncontent-length: 7\r\n\r\n",
  );
  assert.match(text, /4\r\npart\r\n0\r\nx-sum: 42\r\n\r\n$/);
  assert.deepEqual({ ...got }, { "x-up": "1" });
});

test("100 Continue is sent when the body is wanted, and not when the request is refused", async () => {
  await using rig = createRig();
  await using server = await backend(echo);
  rig.backends("reviews", [server.port]);
  const entry = await rig.entry();
  const req = request({ host: "127.0.0.1", port: entry, method: "POST", headers: { expect: "100-continue", "content-length": "5" } });
  req.flushHeaders();
  await once(req, "continue");
  req.end("hello");
  const [res] = (await once(req, "response")) as [NodeJS.ReadableStream & { statusCode: number }];
  res.resume();
  assert.equal(res.statusCode, 200);
  rig.push({ policies: [policy({ rules: [{ clauses: [] }] })] });
  const text = await raw(entry, "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n");
  assert.match(text, /^HTTP\/1\.1 403 Forbidden\r\n[\s\S]*connection: close\r\n\r\nRBAC: access denied$/);
});

test("an interim answer passes on", async () => {
  await using rig = createRig();
  await using server = await backend((_req, res) => {
    res.writeEarlyHints({ link: "</a.css>; rel=preload" });
    res.end("ok");
  });
  rig.backends("reviews", [server.port]);
  const text = await raw(await rig.entry(), "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
  assert.match(text, /^HTTP\/1\.1 103 Early Hints\r\nlink: <\/a\.css>; rel=preload\r\n\r\nHTTP\/1\.1 200 OK/i);
});

test("16 MB both ways with equal hashes", async () => {
  await using rig = createRig();
  await using server = await backend((req, res) => void req.pipe(res));
  rig.backends("reviews", [server.port]);
  const body = randomBytes(16 << 20);
  const entry = await rig.entry();
  const known = await ask(entry, { method: "POST", body });
  assert.equal(sha(known.body), sha(body));
  const chunked = await ask(entry, { method: "POST", body, headers: { "transfer-encoding": "chunked" } });
  assert.equal(sha(chunked.body), sha(body));
});

test("a reader that does not read stops the backend, and little is held here", async () => {
  await using rig = createRig();
  let written = 0;
  const stalled = Promise.withResolvers<void>();
  await using server = await backend((_req, res) => {
    const chunk = Buffer.alloc(64 * 1024);
    const more = (): void => {
      let free = true;
      while (free && written < 256 << 20) {
        free = res.write(chunk);
        written += chunk.length;
      }
      if (!free) stalled.resolve();
    };
    res.on("drain", more);
    more();
  });
  rig.backends("reviews", [server.port]);
  const s = connect(await rig.entry(), "127.0.0.1");
  s.pause();
  s.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  await stalled.promise;
  // Everything between the two sockets fills up, then nothing moves: kernel buffers and a few chunks, not the content.
  let before = -1;
  while (before !== written) {
    before = written;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.ok(written < 32 << 20, `${written} bytes were taken from the backend`);
  s.destroy();
});

test("a backend that breaks off in mid-answer: the caller's answer is cut, not ended", async () => {
  await using rig = createRig();
  const server = createTcp((s: Socket) => {
    s.on("error", () => undefined);
    s.once("data", () => s.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", () => s.destroy()));
  });
  rig.backends("reviews", [await listening(server)]);
  await assert.rejects(ask(await rig.entry()), /aborted|ECONNRESET|hang up/);
  server.close();
});

test("an answer that breaks HTTP's rules is 502", async () => {
  await using rig = createRig();
  const server = createTcp((s: Socket) => {
    s.on("error", () => undefined);
    s.once("data", () => s.end("HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd"));
  });
  rig.backends("reviews", [await listening(server)]);
  assert.equal((await ask(await rig.entry())).status, 502);
  assert.equal(rig.seen[0]?.ctx.report.failure?.rescue.l7Flag, "UPE");
  server.close();
});

test("a caller that goes away ends the backend's request", async () => {
  await using rig = createRig();
  const arrived = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  await using server = await backend((_req, res) => {
    res.on("close", closed.resolve);
    arrived.resolve();
  });
  rig.backends("reviews", [server.port]);
  const s = connect(await rig.entry(), "127.0.0.1");
  s.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  await arrived.promise;
  s.end();
  await closed.promise;
  s.destroy();
});

test("redirects, rewrites and header edits arrive", async () => {
  await using rig = createRig();
  await using server = await backend(echo);
  rig.backends("reviews", [server.port]);
  const entry = await rig.entry();
  const redirect = { kind: "redirect" as const, scheme: "https", hostname: "example.org", port: undefined, path: undefined, status: 301 };
  rig.push({ ports: [aPort({ rules: [aRule({ filters: [redirect], backends: [] })] })] });
  const moved = await ask(entry, { path: "/a?b=c" });
  assert.deepEqual([moved.status, moved.headers.location], [301, "https://example.org/a?b=c"]);
  rig.push({
    ports: [
      aPort({
        rules: [
          aRule({
            filters: [
              { kind: "rewrite", hostname: "other", path: { type: "prefix", prefix: "/a", value: "/b" } },
              { kind: "request-headers", edits: { set: [{ name: "X-New", value: "1" }], add: [], remove: ["x-old"] } },
              { kind: "response-headers", edits: { set: [{ name: "X-Header-Set", value: "v" }], add: [], remove: ["date"] } },
            ],
          }),
        ],
      }),
    ],
  });
  const answer = await ask(entry, { path: "/a/x?b=c", headers: { "X-Old": "1" } });
  const got = JSON.parse(answer.body.toString());
  assert.deepEqual([got.url, got.headers.host, got.headers["x-new"], got.headers["x-old"]], ["/b/x?b=c", "other", "1", undefined]);
  assert.deepEqual([answer.headers["x-header-set"], answer.headers.date], ["v", undefined]);
});

test("weights: 500 requests, 70 to 30 within 5 points", async () => {
  await using rig = createRig();
  const counts: Record<string, number> = { v1: 0, v2: 0 };
  const named = (name: string) =>
    backend((_req, res) => {
      counts[name] = (counts[name] ?? 0) + 1;
      res.end(name);
    });
  await using v1 = await named("v1");
  await using v2 = await named("v2");
  rig.backends("v1", [v1.port]);
  rig.backends("v2", [v2.port]);
  rig.push({ ports: [aPort({ rules: [aRule({ backends: [toService("v1", 70), toService("v2", 30)] })] })] });
  const entry = await rig.entry();
  await raw(entry, `${"GET / HTTP/1.1\r\nhost: a\r\n\r\n".repeat(499)}GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`);
  assert.equal((counts.v1 ?? 0) + (counts.v2 ?? 0), 500);
  // Five standard deviations of a fair draw: 70 % of 500 is 350, sigma 10.2.
  assert.ok(Math.abs((counts.v1 ?? 0) - 350) < 52, JSON.stringify(counts));
});

test("policies: methods, paths (normalised), hosts, headers, principals; a broken one denies everything", async () => {
  await using rig = createRig();
  await using server = await backend(echo);
  rig.backends("reviews", [server.port]);
  const entry = await rig.entry();
  const rule = (m: Partial<typeof EMPTY_MATCH>) => [{ clauses: [{ matches: [{ ...EMPTY_MATCH, ...m }] }] }];
  const exact = (value: string) => ({ kind: "exact" as const, value });
  const status = async (o: Parameters<typeof ask>[1]) => (await ask(entry, o)).status;

  rig.push({ policies: [policy({ action: "ALLOW", rules: rule({ methods: [exact("GET")] }) })] });
  assert.deepEqual([await status({}), await status({ method: "DELETE" })], [200, 403]);
  rig.push({ policies: [policy({ rules: rule({ paths: [{ kind: "prefix", value: "/admin" }] }) })] });
  assert.deepEqual(
    [
      await status({ path: "/x" }),
      await status({ path: "/admin?x" }),
      await status({ path: "/x/../%61dmin/y" }),
      await status({ path: "/x\\..\\admin" }),
    ],
    [200, 403, 403, 403],
  );
  rig.push({ policies: [policy({ rules: rule({ hosts: [exact("Secret.example")] }) })] });
  assert.deepEqual([await status({}), await status({ headers: { host: "sECRET.example" } })], [200, 403]);
  rig.push({ policies: [policy({ action: "ALLOW", rules: rule({ headers: [{ name: "x-k", values: [exact("v")], notValues: [] }] }) })] });
  assert.deepEqual([await status({}), await status({ headers: { "X-K": "v" } })], [403, 200]);
  rig.push({ policies: [policy({ action: "ALLOW", rules: rule({ principals: [exact("cluster.local/ns/shop/sa/web")] }) })] });
  assert.equal(await status({}), 200);
  const other = await rig.entry(undefined, {
    trustDomain: "cluster.local",
    namespace: "x",
    serviceAccount: "y",
    uri: "spiffe://cluster.local/ns/x/sa/y",
  });
  assert.equal((await ask(other)).status, 403);
  rig.push({ brokenPolicies: [{ key: "shop/bad", reason: "no such field" }] });
  const denied = await ask(entry);
  assert.deepEqual([denied.status, denied.body.toString()], [403, "RBAC: access denied"]);
});
