// Does node:tls get the handshake and nothing else, and is nothing left when it fails?

import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { connect as connectTcp, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { connect as connectTls, createServer as createTls, type TLSSocket } from "node:tls";
import { testAuthority } from "../../ca/fixture.ts";
import { spiffeId } from "../../identity/spiffe.ts";
import { contextOptions } from "../context.ts";
import type { RecordConnection } from "./connection.ts";
import { dialRecords, listen, portOf, serveRecords, sockets } from "./fixture.ts";
import { Handshake } from "./handshake.ts";
import { serverHandshakes } from "./server.ts";

type Test = { after(f: () => void): void };
const TIMEOUT = { timeout: 10_000 };
const authority = testAuthority();
const tls = contextOptions(authority.cert(spiffeId("cluster.local", "ns", "peer")));
const mutual = { ...tls, requestCert: true, rejectUnauthorized: true };
const nothing = (): void => undefined;

/** A relay that, when told to hold, keeps what the client sends and lets it through in one piece. */
const relayTo = async (t: Test, port: number) => {
  let held: Buffer[] | undefined;
  let onward: Socket | undefined;
  const relay = createServer({ noDelay: true, allowHalfOpen: true }, (near) => {
    const far = connectTcp({ port, host: "127.0.0.1", noDelay: true });
    onward = far;
    near.on("data", (c: Buffer) => {
      if (held === undefined) far.write(c);
      else held.push(c);
    });
    far.on("data", (c: Buffer) => near.write(c));
    for (const [a, b] of [
      [near, far],
      [far, near],
    ] as [Socket, Socket][]) {
      a.on("error", nothing);
      a.on("close", () => b.destroy());
    }
  }).listen(0, "127.0.0.1");
  await once(relay, "listening");
  t.after(() => relay.close());
  const hold = (): void => {
    held = [];
  };
  const release = (): void => {
    onward?.write(Buffer.concat(held ?? []));
    held = undefined;
  };
  return { port: portOf(relay), hold, release };
};

test("a client's Finished, its first octets and its close_notify in one piece: each goes where it belongs", TIMEOUT, async (t) => {
  const ours = Promise.withResolvers<RecordConnection>();
  const relay = await relayTo(t, await serveRecords(t, mutual, ours.resolve));
  const raw = connectTcp({ port: relay.port, host: "127.0.0.1", allowHalfOpen: true });
  const socket = connectTls({ socket: raw, ...tls, checkServerIdentity: () => undefined }).on("error", nothing);
  raw.on("error", nothing);
  t.after(() => socket.destroy());
  await once(raw, "connect");
  socket.once("keylog", relay.hold);
  await once(socket, "secureConnect");
  await new Promise<void>((written) => socket.write("sent ahead of the server", () => written()));
  socket.end();
  // The client has said everything; the server has not seen its Finished yet.
  await once(socket, "finish");
  relay.release();
  const told = listen(await ours.promise);
  assert.equal((await told.octets(24)).toString(), "sent ahead of the server");
  await told.ended;
  (await ours.promise).destroy();
});

test("TLS 1.2, where it is allowed, stays with node:tls over the same stream", TIMEOUT, async (t) => {
  const server = createTls({ ...mutual, minVersion: "TLSv1.2", maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256" });
  const handshakes = serverHandshakes(server);
  server.on("secureConnection", (socket) => void socket.pipe(socket));
  const tcp = createServer({ noDelay: true, allowHalfOpen: true }, handshakes.accept).listen(0, "127.0.0.1");
  await once(tcp, "listening");
  t.after(() => tcp.close());
  const raw = connectTcp({ port: portOf(tcp), host: "127.0.0.1" });
  await once(raw, "connect");
  const options = { ...tls, minVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256" } as const;
  const socket = connectTls({ socket: new Handshake(raw, { role: "client" }), ...options, checkServerIdentity: () => undefined });
  await once(socket, "secureConnect");
  assert.equal(socket.getProtocol(), "TLSv1.2");
  const chunk = Buffer.alloc(3 << 20, 9);
  let came = 0;
  const all = new Promise<void>((resolve) =>
    socket.on("data", (c: Buffer) => {
      came += c.length;
      if (came === chunk.length) resolve();
    }),
  );
  socket.write(chunk);
  await all;
  socket.destroy();
  await once(raw, "close");
});

const failures: { name: string; begin(port: number): Promise<Socket> }[] = [
  {
    name: "HTTP instead of TLS",
    begin: async (port) => {
      const raw = connectTcp({ port, host: "127.0.0.1" });
      raw.write("GET / HTTP/1.1\r\n\r\n");
      return raw;
    },
  },
  {
    name: "a header that promises more than a record may be",
    begin: async (port) => {
      const raw = connectTcp({ port, host: "127.0.0.1" });
      raw.write(Buffer.concat([Buffer.from([22, 3, 1, 0xff, 0xff]), Buffer.alloc(2000)]));
      return raw;
    },
  },
  {
    name: "half a ClientHello and FIN",
    begin: async (port) => {
      const raw = connectTcp({ port, host: "127.0.0.1" });
      raw.end(Buffer.from([22, 3, 1, 2, 0, 1, 0]));
      return raw;
    },
  },
  {
    name: "a client of another root",
    begin: async (port) => {
      const other = contextOptions(testAuthority().cert(spiffeId("cluster.local", "ns", "stranger")));
      return connectTls({ port, host: "127.0.0.1", ...other, rejectUnauthorized: false });
    },
  },
];
test("a handshake that fails leaves nothing open, and others go on", TIMEOUT, async (t) => {
  const accepted: RecordConnection[] = [];
  const port = await serveRecords(t, mutual, (c) => void accepted.push(c));
  const good = await dialRecords(port, tls);
  const told = listen(good);
  const before = readdirSync("/proc/self/fd").length;
  for (const { name, begin } of failures) {
    const raw = (await begin(port)).on("error", nothing);
    if (!raw.closed) await once(raw.resume(), "close");
    assert.equal(accepted.length, 1, name);
  }
  assert.equal(readdirSync("/proc/self/fd").length, before);
  const first = accepted[0];
  assert.ok(first);
  first.start({ data: nothing, end: nothing, error: nothing, close: nothing });
  first.write([Buffer.from("still here")], nothing);
  assert.equal((await told.octets(10)).toString(), "still here");
  good.destroy();
  first.destroy();
});

test("who sends on and on before the handshake is done is not read on and on", TIMEOUT, async (t) => {
  const [near, far] = await sockets(t);
  const handshake = new Handshake(near, { role: "server" }).on("error", nothing);
  // Nobody takes the records: TLS is not ready for them.
  const record = Buffer.concat([Buffer.from([22, 3, 3, 0x40, 0]), Buffer.alloc(16_384)]);
  const paused = once(near, "pause");
  for (let i = 0; i < 2048; i++) far.write(record);
  await paused;
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(near.bytesRead < 1 << 20, `${near.bytesRead} octets were read`);
  handshake.destroy();
  if (!near.closed) await once(near, "close");
});

test("the connection is lost between the handshake and the records: whoever waits is told, nothing is left", TIMEOUT, async (t) => {
  const server = createTls(mutual);
  const handshakes = serverHandshakes(server);
  const refused = Promise.withResolvers<Error>();
  server.on("secureConnection", (socket: TLSSocket) => {
    const arrival = handshakes.of(socket);
    assert.ok(arrival);
    arrival.raw.destroy();
    arrival.handshake.takeOver(socket).then(
      () => refused.reject(new Error("taken over")),
      (e) => refused.resolve(e),
    );
  });
  const tcp = createServer({ noDelay: true, allowHalfOpen: true }, handshakes.accept).listen(0, "127.0.0.1");
  await once(tcp, "listening");
  t.after(() => tcp.close());
  const raw = connectTcp({ port: portOf(tcp), host: "127.0.0.1" });
  const socket = connectTls({ socket: raw, ...tls, checkServerIdentity: () => undefined }).on("error", nothing);
  t.after(() => socket.destroy());
  assert.ok((await refused.promise) instanceof Error);
});

test("the peer ends right after the handshake: TLS has its goodbye to write, and that is nobody's uncaught error", TIMEOUT, async (t) => {
  const [near, far] = await sockets(t);
  const server = createTls(mutual).on("secureConnection", () => far.end());
  server.emit("connection", far);
  const handshake = new Handshake(near, { role: "client" });
  const socket = connectTls({ socket: handshake, ...tls, checkServerIdentity: () => undefined }).on("error", nothing);
  socket.resume();
  await once(socket, "close");
  if (!near.closed) await once(near, "close");
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(handshake.destroyed);
});
