// A policy that starts to deny ends what is in flight, not only what comes next.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request } from "node:http";
import { connect as connectHttp2, createServer as createHttp2, type ServerHttp2Stream } from "node:http2";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { EMPTY_MATCH } from "@ambit/shared/authz/types.ts";
import { backend } from "./helpers.ts";
import { aPort, createRig, listening, policy, type Rig } from "./rig.ts";

const denied = { policies: [policy({ rules: [{ clauses: [] }] })] };
const others = {
  policies: [policy({ rules: [{ clauses: [{ matches: [{ ...EMPTY_MATCH, paths: [{ kind: "prefix" as const, value: "/other" }] }] }] }] })],
};
const failures = (rig: Rig): (string | undefined)[] =>
  rig.seen.map(({ ctx, end }) => {
    const error = ctx.report.failure ?? end.failure;
    return error !== undefined && "code" in error ? String(error.code) : error?.message;
  });
const closed = (s: Socket): Promise<void> =>
  new Promise((resolve) => {
    s.on("error", () => undefined);
    s.on("close", () => resolve());
    s.resume();
  });

test("an upgraded connection is cut on both sides when a policy starts to deny it, and not by one for others", async () => {
  await using rig = createRig();
  const gone = Promise.withResolvers<void>();
  const server = createServer();
  server.on("upgrade", (_req, socket: Socket) => {
    socket.on("error", () => undefined);
    socket.on("close", () => gone.resolve());
    socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n");
    socket.on("data", (c: Buffer) => socket.write(c.toString().toUpperCase()));
  });
  rig.backends("reviews", [await listening(server)]);
  const req = request({ port: await rig.entry(), host: "127.0.0.1", headers: { connection: "Upgrade", upgrade: "websocket" } });
  req.end();
  const [, socket] = (await once(req, "upgrade")) as [unknown, Socket];
  rig.push(others);
  socket.write("abc");
  assert.equal(String((await once(socket, "data"))[0]), "ABC");
  rig.push(denied);
  await Promise.all([closed(socket), gone.promise]);
  assert.deepEqual(failures(rig), ["DENY_LATE"]);
  server.close();
});

test("an endless gRPC stream is reset on both sides", async () => {
  await using rig = createRig({ service: { ports: [aPort({ protocol: "GRPC" })] } });
  const reset = Promise.withResolvers<void>();
  const server = createHttp2();
  server.on("stream", (s: ServerHttp2Stream) => {
    s.on("error", () => undefined);
    s.on("close", () => reset.resolve());
    s.respond({ ":status": 200, "content-type": "application/grpc" });
    s.write("tick");
  });
  rig.backends("reviews", [await listening(server)], "GRPC");
  const session = connectHttp2(`http://127.0.0.1:${await rig.entry()}`);
  const stream = session.request({ ":method": "POST", ":path": "/s/Watch", ":authority": "reviews", "content-type": "application/grpc" });
  await once(stream, "data");
  rig.push(others);
  rig.push(denied);
  await assert.rejects(once(stream, "end"), /INTERNAL_ERROR|CANCEL/);
  await reset.promise;
  assert.deepEqual(failures(rig), ["DENY_LATE"]);
  session.destroy();
  server.close();
});

test("a request that waits for its answer is refused, and its backend hears no more of it", async () => {
  await using rig = createRig();
  const [arrived, gone] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  await using server = await backend((_req, res) => {
    res.on("close", () => gone.resolve());
    arrived.resolve();
  });
  rig.backends("reviews", [server.port]);
  const s = connect(await rig.entry(), "127.0.0.1");
  s.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  await arrived.promise;
  rig.push(denied);
  assert.match(String((await once(s, "data"))[0]), /^HTTP\/1\.1 403 [\s\S]*RBAC: access denied/);
  await gone.promise;
  s.destroy();
});

test("a request whose service is served elsewhere now goes on for a while, then ends", async () => {
  let now = 0;
  await using rig = createRig({ world: { now: () => now } });
  const arrived = Promise.withResolvers<void>();
  await using server = await backend((_req, res) => {
    res.write("first");
    arrived.resolve();
  });
  rig.backends("reviews", [server.port]);
  const s = connect(await rig.entry(), "127.0.0.1");
  s.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  await once(s, "data");
  await arrived.promise;
  rig.push({ ports: [] });
  now = 29_999;
  rig.proxy.recheck();
  assert.equal(failures(rig).length, 0);
  now = 30_000;
  rig.proxy.recheck();
  await closed(s);
  assert.deepEqual(failures(rig), ["UNOWNED_DESTINATION"]);
});
