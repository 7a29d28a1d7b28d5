// Does an upgraded connection carry bytes both ways?

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request } from "node:http";
import type { Socket } from "node:net";
import { test } from "node:test";
import { createRig, listening } from "./rig.ts";

test("an upgraded connection carries bytes both ways, early ones too", async () => {
  await using rig = createRig();
  const server = createServer();
  server.on("upgrade", (req, socket: Socket) => {
    assert.equal(req.headers.upgrade, "websocket");
    socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: x\r\n\r\nhello");
    socket.on("data", (c: Buffer) => socket.write(c.toString().toUpperCase()));
    socket.on("end", () => socket.end());
  });
  rig.backends("reviews", [await listening(server)]);
  const req = request({
    port: await rig.entry(),
    host: "127.0.0.1",
    headers: { connection: "Upgrade", upgrade: "websocket", "sec-websocket-key": "k" },
  });
  req.end();
  const [res, socket, head] = (await once(req, "upgrade")) as [{ statusCode: number; headers: Record<string, string> }, Socket, Buffer];
  assert.equal(res.statusCode, 101);
  assert.equal(res.headers["sec-websocket-accept"], "x");
  const first = head.length > 0 ? head : ((await once(socket, "data"))[0] as Buffer);
  assert.equal(first.toString(), "hello");
  socket.write("abc");
  assert.equal(((await once(socket, "data"))[0] as Buffer).toString(), "ABC");
  socket.end();
  await once(socket, "close");
  server.close();
});

test("an upgrade that the backend declines is an ordinary answer", async () => {
  await using rig = createRig();
  const server = createServer((_req, res) => res.writeHead(426).end("no"));
  server.on("upgrade", (_req, socket: Socket) =>
    socket.end("HTTP/1.1 426 Upgrade Required\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno"),
  );
  rig.backends("reviews", [await listening(server)]);
  const req = request({ port: await rig.entry(), host: "127.0.0.1", headers: { connection: "Upgrade", upgrade: "websocket" } });
  req.end();
  const [res] = (await once(req, "response")) as [{ statusCode: number; resume(): void }];
  assert.equal(res.statusCode, 426);
  res.resume();
  server.close();
});
