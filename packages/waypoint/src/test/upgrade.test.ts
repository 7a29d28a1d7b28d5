// Attacks through Upgrade: a raw pipe past routes and policies is opened only for an asked websocket.
import assert from "node:assert/strict";
import { createServer, type Socket } from "node:net";
import { test } from "node:test";
import { parseRequestHead } from "../http1/head.ts";
import { ask, raw } from "./helpers.ts";
import { createRig, listening } from "./rig.ts";

/** A backend that answers everything with `answer`, and what it was asked. */
const granting = async (answer: string) => {
  let got = "";
  const sockets = new Set<Socket>();
  const server = createServer((s) => {
    sockets.add(s);
    s.on("error", () => undefined);
    s.on("data", (c: Buffer) => {
      got += c.toString("latin1");
      if (got.includes("\r\n\r\n")) s.write(answer);
    });
  });
  return {
    port: await listening(server),
    got: () => got,
    [Symbol.asyncDispose]: async () => {
      for (const s of sockets) s.destroy();
      server.close();
    },
  };
};

const SWITCH = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

test("only a websocket, alone and by GET, is asked for on the caller's behalf", async () => {
  const table: [request: string, passed: boolean][] = [
    ["GET / HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket", true],
    ["GET / HTTP/1.1\r\nhost: a\r\nconnection: keep-alive, upgrade\r\nupgrade: WebSocket", true],
    ["GET / HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: foo", false],
    ["GET / HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: h2c", false],
    ["GET / HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: foo, h2c", false],
    ["GET / HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket, h2c", false],
    ["GET / HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\nupgrade: h2c", false],
    ["GET / HTTP/1.1\r\nhost: a\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk", false],
    ["POST / HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket", false],
    ["GET / HTTP/1.1\r\nhost: a\r\nupgrade: websocket", false],
    ["GET / HTTP/1.0\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket", false],
  ];
  for (const [request, passed] of table) {
    await using rig = createRig();
    await using server = await granting(OK);
    rig.backends("reviews", [server.port]);
    await raw(
      await rig.entry(),
      `${request.replace(/connection: /, "connection: close, ")}\r\n${/connection/.test(request) ? "" : "connection: close\r\n"}\r\n`,
    );
    const parsed = parseRequestHead(Buffer.from(server.got()));
    assert.ok(parsed.kind === "head", request);
    assert.equal(
      parsed.head.fields.some(([n]) => n === "upgrade" || n === "http2-settings"),
      passed,
      request,
    );
  }
});

test("a 101 that nobody asked for, or for another protocol, is 502, and the pipe is not opened", async () => {
  const asked = { headers: { connection: "Upgrade", upgrade: "websocket" } };
  const table: [answer: string, asking: Parameters<typeof ask>[1]][] = [
    [SWITCH, {}],
    ["HTTP/1.1 101 Switching Protocols\r\n\r\n", {}],
    ["HTTP/1.1 101 Switching Protocols\r\n\r\n", asked],
    [SWITCH.replace("websocket", "h2c"), asked],
    [SWITCH.replace("websocket", "websocket, h2c"), asked],
  ];
  for (const [answer, asking] of table) {
    await using rig = createRig();
    await using server = await granting(answer);
    rig.backends("reviews", [server.port]);
    const got = await ask(await rig.entry(), asking);
    assert.deepEqual([got.status, rig.seen[0]?.ctx.report.failure?.code], [502, "UPSTREAM_PROTOCOL"], answer);
  }
});
