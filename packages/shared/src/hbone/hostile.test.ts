// Does the tunnel server live through peers that have a certificate and no manners?

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect as connectHttp2, constants } from "node:http2";
import { connect as connectTcp } from "node:net";
import { test } from "node:test";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { echo, quietly, type TunnelWorld, tunnelWorld } from "./fixture.ts";

const secured = async (w: TunnelWorld): Promise<TLSSocket> => {
  const cert = w.authority.cert(w.client);
  const socket = connectTls({
    host: "127.0.0.1",
    port: w.server.address.port,
    secureContext: cert.clientContext,
    ALPNProtocols: ["h2"],
    checkServerIdentity: () => undefined,
  });
  socket.on("error", () => undefined);
  await once(socket, "secureConnect");
  return socket;
};
const closed = (socket: { once(event: "close", f: () => void): unknown }): Promise<void> =>
  new Promise((resolve) => socket.once("close", () => resolve()));
const works = async (w: TunnelWorld): Promise<void> => {
  const { stream } = quietly(await w.connect());
  stream.end("alive");
  assert.equal(String(await once(stream, "data")), "alive");
};

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const frame = (type: number, flags: number, id: number, payload: Uint8Array): Buffer => {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, payload]);
};
const settings = frame(4, 0, 0, Buffer.alloc(0));

const rude: { name: string; send: Buffer }[] = [
  { name: "random bytes instead of HTTP/2", send: randomBytes(4096) },
  { name: "HTTP/1.1", send: Buffer.from("GET / HTTP/1.1\r\nhost: x\r\n\r\n") },
  { name: "a frame larger than was allowed", send: Buffer.concat([Buffer.from(PREFACE), settings, frame(0, 0, 1, Buffer.alloc(2 << 20))]) },
  {
    name: "DATA on a stream that was never opened",
    send: Buffer.concat([Buffer.from(PREFACE), settings, frame(0, 0, 1, Buffer.alloc(10))]),
  },
  { name: "HEADERS that are no HPACK", send: Buffer.concat([Buffer.from(PREFACE), settings, frame(1, 4, 1, randomBytes(64))]) },
  {
    name: "a window that overflows",
    send: Buffer.concat([
      Buffer.from(PREFACE),
      settings,
      ...Array.from({ length: 4 }, () => frame(8, 0, 0, Buffer.from([0x7f, 0xff, 0xff, 0xff]))),
    ]),
  },
  { name: "a flood of SETTINGS", send: Buffer.concat([Buffer.from(PREFACE), ...Array.from({ length: 50_000 }, () => settings)]) },
  {
    name: "a flood of CONTINUATION",
    send: Buffer.concat([
      Buffer.from(PREFACE),
      settings,
      frame(1, 0, 1, Buffer.from([0x82])),
      ...Array.from({ length: 2000 }, () => frame(9, 0, 1, Buffer.from([0x82]))),
    ]),
  },
];
for (const c of rude) {
  test(`closed, and the server lives: ${c.name}`, { timeout: 10_000 }, async (t) => {
    const w = await tunnelWorld(t, { onRequest: echo });
    const socket = await secured(w);
    socket.resume();
    socket.write(c.send);
    await closed(socket);
    await works(w);
  });
}

test("a flood of streams that are opened and reset ends the connection", { timeout: 20_000 }, async (t) => {
  const w = await tunnelWorld(t, { onRequest: (r) => r.reject(400) });
  const session = connectHttp2("https://x", await over(w));
  session.on("error", () => undefined);
  const ended = closed(session);
  let opened = 0;
  const more = (): void => {
    for (let i = 0; i < 90 && !session.destroyed && !session.closed; i++) {
      const stream = session.request({ ":method": "CONNECT", ":authority": "10.0.0.1:80" });
      stream.on("error", () => undefined);
      stream.close(constants.NGHTTP2_CANCEL);
      opened += 1;
    }
    if (!session.destroyed && opened < 50_000) setImmediate(more);
  };
  more();
  await ended;
  assert.ok(opened < 50_000, `${opened} streams were put up with`);
});
const over = async (w: TunnelWorld) => {
  const socket = await secured(w);
  return { createConnection: () => socket };
};

test("headers of more than was allowed are refused, the connection's other tunnels go on", { timeout: 10_000 }, async (t) => {
  const w = await tunnelWorld(t, { onRequest: echo });
  const { stream } = quietly(await w.connect());
  const big = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`x-${i}`, "v".repeat(8000)]));
  await assert.rejects(w.connect({ headers: big }));
  stream.end("still");
  assert.equal(String(await once(stream, "data")), "still");
});

test("a peer that connects and never speaks TLS is closed in time", { timeout: 10_000 }, async (t) => {
  const w = await tunnelWorld(t, { onRequest: echo, serverLimits: { handshakeMs: 50 } });
  const socket = connectTcp(w.server.address.port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.resume();
  await closed(socket);
  await works(w);
});

test("a peer that does not answer PINGs is closed", { timeout: 10_000 }, async (t) => {
  const w = await tunnelWorld(t, { onRequest: echo, serverLimits: { pingEveryMs: 30, pingTimeoutMs: 50 } });
  const socket = await secured(w);
  socket.write(Buffer.concat([Buffer.from(PREFACE), settings]));
  socket.resume();
  await closed(socket);
  assert.match(JSON.stringify(w.logs), /did not answer a PING within 50 ms/);
});
