// Are failing backends retried, and hanging ones given up, as the rule says?

import assert from "node:assert/strict";
import { createServer as createTcp, type Socket } from "node:net";
import { test } from "node:test";
import { ask, backend, raw } from "./helpers.ts";
import { aPort, aRule, createRig, listening } from "./rig.ts";

/** A port where nothing listens. */
const closedPort = async (): Promise<number> => {
  const s = createTcp();
  const port = await listening(s);
  await new Promise((done) => s.close(done));
  return port;
};

/** The first draw of two endpoints is the first one; then always low, so that waits are short. */
const low = { random: () => 0 };

const timed = (requestTimeoutMs: number | undefined, backendTimeoutMs: number | undefined, attempts = 0) => ({
  ports: [aPort({ rules: [aRule({ requestTimeoutMs, backendTimeoutMs, retry: { attempts, codes: [], backoffMs: 1 } })] })],
});

test("a dead endpoint: the next one takes the request, with its body", async () => {
  await using rig = createRig({ world: low });
  await using server = await backend((req, res) => void req.pipe(res));
  rig.backends("reviews", [await closedPort(), server.port]);
  const answer = await ask(await rig.entry(), { method: "POST", body: "payload" });
  assert.deepEqual([answer.status, answer.body.toString()], [200, "payload"]);
  assert.equal(rig.seen[0]?.ctx.report.attempts, 2);
});

test("all dead: 503 UF after two more attempts", async () => {
  await using rig = createRig();
  rig.backends("reviews", [await closedPort()]);
  assert.equal((await ask(await rig.entry())).status, 503);
  assert.deepEqual([rig.seen[0]?.ctx.report.attempts, rig.seen[0]?.ctx.report.failure?.rescue.l7Flag], [3, "UF"]);
});

test("a reset before the answer is repeated for GET, not for POST", async () => {
  await using rig = createRig();
  let seen = 0;
  const server = createTcp((s: Socket) => {
    s.on("error", () => undefined);
    s.once("data", () => {
      seen += 1;
      if (seen % 2 === 1) s.resetAndDestroy();
      else s.end("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    });
  });
  rig.backends("reviews", [await listening(server)]);
  const entry = await rig.entry();
  assert.equal((await ask(entry)).status, 200);
  assert.equal((await ask(entry, { method: "POST", body: "x" })).status, 503);
  assert.equal(seen, 3);
  server.close();
});

test("a kept connection that the backend closes is not the caller's trouble", async () => {
  await using rig = createRig();
  const server = createTcp((s: Socket) => {
    s.on("error", () => undefined);
    // Answers once, then closes on the next request without a word.
    s.once("data", () => {
      s.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
      s.once("data", () => s.resetAndDestroy());
    });
  });
  rig.backends("reviews", [await listening(server)]);
  rig.push({ ports: [aPort({ rules: [aRule({ retry: { attempts: 0, codes: [], backoffMs: 1 } })] })] });
  const entry = await rig.entry();
  for (let i = 0; i < 4; i++) assert.equal((await ask(entry)).status, 200);
  server.close();
});

test("statuses that the route names are retried, and the last one is delivered", async () => {
  await using rig = createRig();
  let seen = 0;
  await using server = await backend((req, res) => {
    seen += 1;
    req.resume();
    req.on("end", () => res.writeHead(req.url === "/always" || seen % 3 !== 0 ? 503 : 200).end(`n${seen}`));
  });
  rig.backends("reviews", [server.port]);
  rig.push({ ports: [aPort({ rules: [aRule({ retry: { attempts: 2, codes: [503], backoffMs: 1 } })] })] });
  const entry = await rig.entry();
  const good = await ask(entry, { method: "POST", body: "b" });
  assert.deepEqual([good.status, good.body.toString()], [200, "n3"]);
  const bad = await ask(entry, { path: "/always" });
  assert.deepEqual([bad.status, bad.body.toString(), seen], [503, "n6", 6]);
  rig.push({});
  assert.equal((await ask(entry, { path: "/always" })).status, 503);
  assert.equal(seen, 7);
});

test("a body too large to be held back is sent once", async () => {
  await using rig = createRig();
  let seen = 0;
  await using server = await backend((req, res) => {
    seen += 1;
    req.resume();
    req.on("end", () => res.writeHead(503).end());
  });
  rig.backends("reviews", [server.port]);
  rig.push({ ports: [aPort({ rules: [aRule({ retry: { attempts: 2, codes: [503], backoffMs: 1 } })] })] });
  assert.equal((await ask(await rig.entry(), { method: "PUT", body: Buffer.alloc(256 * 1024) })).status, 503);
  assert.equal(seen, 1);
});

test("timeouts: 504 for the whole exchange and for one attempt; a late body is cut", async () => {
  await using rig = createRig();
  let seen = 0;
  await using server = await backend((req, res) => {
    seen += 1;
    if (req.url === "/body") res.writeHead(200).write("begun");
  });
  rig.backends("reviews", [server.port]);
  const entry = await rig.entry();
  rig.push(timed(50, undefined));
  const late = await ask(entry);
  assert.deepEqual(
    [late.status, late.body.toString(), rig.seen[0]?.ctx.report.failure?.rescue.l7Flag],
    [504, "upstream request timeout", "UT"],
  );
  rig.push(timed(undefined, 30, 1));
  seen = 0;
  assert.deepEqual([(await ask(entry)).status, seen], [504, 2]);
  rig.push(timed(50, undefined));
  const cut = await raw(entry, "GET /body HTTP/1.1\r\nhost: a\r\n\r\n").catch((e: Error) => e.message);
  assert.doesNotMatch(cut, /0\r\n\r\n$/);
});
