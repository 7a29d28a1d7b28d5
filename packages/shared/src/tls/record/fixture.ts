// Both ends of record connections, and a peer that sends what it likes (used by tests only).

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectTcp, createServer, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls, createServer as createTls, type SecureContextOptions, type TlsOptions } from "node:tls";
import { tcpEnd } from "../../copy/tcp.ts";
import { BlockPool } from "./blocks.ts";
import { RecordConnection, type RecordDeps } from "./connection.ts";
import { type Evp, findEvp } from "./evp.ts";
import { Handshake } from "./handshake.ts";
import { HEADER, MAX_RECORD } from "./limits.ts";
import { Protection } from "./protect.ts";
import { suiteOf } from "./schedule.ts";
import { Gather, sealRecord } from "./seal.ts";
import { serverHandshakes } from "./server.ts";

type Test = { after(f: () => void): void };

const found = findEvp();
assert.ok("evp" in found, "this node has EVP");
/** Counts the contexts that are open. */
export const contexts = { open: 0 };
export const evp: Evp = {
  ...found.evp,
  open(suite, key, encrypt) {
    contexts.open += 1;
    return found.evp.open(suite, key, encrypt);
  },
  free(context) {
    contexts.open -= 1;
    found.evp.free(context);
  },
};
export const deps: RecordDeps = { evp, inbound: new BlockPool(evp, 4), outbound: new BlockPool(evp, 4) };
const suite = suiteOf("TLS_AES_256_GCM_SHA384");
assert.ok(suite);

export const portOf = (server: { address(): unknown }): number => (server.address() as { port: number }).port;

/** Two ends of one TCP connection. */
export const sockets = async (t: Test): Promise<[Socket, Socket]> => {
  const server = createServer({ noDelay: true, allowHalfOpen: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const near = connectTcp({ port: portOf(server), host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
  const [[far]] = await Promise.all([once(server, "connection") as Promise<[Socket]>, once(near, "connect")]);
  server.close();
  t.after(() => {
    near.destroy();
    far.destroy();
  });
  return [near, far];
};

export type Side = "client" | "server";
const FILL = { client: 1, server: 2 } as const;
/** The direction that `from` sends. */
export const direction = (from: Side, options: { encrypt: boolean; wornAfter?: number }): Protection =>
  new Protection(evp, suite, { secret: Buffer.alloc(suite.hashLength, FILL[from]), sequence: 0, ...options });

export const connectionOver = (socket: Socket, role: Side, options: { early?: Buffer; wornAfter?: number } = {}): RecordConnection => {
  const end = tcpEnd(socket);
  assert.ok(end, "the socket can be taken over");
  const { early = Buffer.alloc(0), ...send } = options;
  const other = role === "client" ? "server" : "client";
  const protections = { send: direction(role, { encrypt: true, ...send }), receive: direction(other, { encrypt: false }) };
  return new RecordConnection(end, { role, ...protections, early }, deps);
};

/** What a connection tells, and promises for it. */
export const listen = (connection: RecordConnection, onData: (chunk: Buffer) => void = () => undefined) => {
  const told: string[] = [];
  const received: Buffer[] = [];
  const closed = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  const failed = Promise.withResolvers<Error>();
  let waiting: { n: number; done: () => void } | undefined;
  connection.start({
    data: (chunk) => {
      received.push(Buffer.from(chunk));
      onData(chunk);
      if (waiting !== undefined && Buffer.concat(received).length >= waiting.n) waiting.done();
    },
    end: () => {
      told.push("end");
      ended.resolve();
    },
    error: (e) => {
      told.push("error");
      failed.resolve(e);
    },
    close: () => {
      told.push("close");
      closed.resolve();
    },
  });
  /** What came, when it is n octets. */
  const octets = async (n: number): Promise<Buffer> => {
    if (Buffer.concat(received).length < n) await new Promise<void>((done) => (waiting = { n, done }));
    return Buffer.concat(received);
  };
  return { told, received, octets, closed: closed.promise, ended: ended.promise, failed: failed.promise };
};

export type PeerRecord = { readonly type: number; readonly content: Buffer };

/** The far end of a connection, as a raw socket that knows the keys. */
export const peerOver = (socket: Socket, role: Side) => {
  const send = direction(role, { encrypt: true });
  const receive = direction(role === "client" ? "server" : "client", { encrypt: false });
  const records: PeerRecord[] = [];
  let read = Buffer.alloc(0);
  let notify = (): void => undefined;
  const open = (record: Buffer): PeerRecord => {
    const block = deps.inbound.take(2 * MAX_RECORD);
    record.copy(block.bytes);
    const n = record.length - HEADER - 16;
    const proved = receive.begin(block.address) && receive.prove(block.address + MAX_RECORD, block.address + HEADER, n);
    const inner = Buffer.from(block.bytes.subarray(MAX_RECORD, MAX_RECORD + n));
    block.drop();
    assert.ok(proved, "what we sent is proved");
    // KeyUpdate
    if (inner.at(-1) === 22 && inner[0] === 24) receive.rekey();
    return { type: inner.at(-1) ?? 0, content: inner.subarray(0, -1) };
  };
  socket.on("error", () => undefined);
  socket.on("data", (chunk: Buffer) => {
    read = Buffer.concat([read, chunk]);
    while (read.length >= HEADER && read.length >= HEADER + read.readUInt16BE(3)) {
      const size = HEADER + read.readUInt16BE(3);
      records.push(open(read.subarray(0, size)));
      read = read.subarray(size);
    }
    notify();
  });
  socket.on("close", () => {
    send.end();
    receive.end();
    notify();
  });
  /** A sealed record; `padding` zeros behind its type. */
  const sealed = (type: number, content: Buffer, padding = 0): Buffer => {
    const block = deps.outbound.take(2 * MAX_RECORD);
    const whole = padding === 0 ? content : Buffer.concat([content, Buffer.from([type]), Buffer.alloc(padding - 1)]);
    const from = new Gather([whole]);
    const end = sealRecord(send, block, 0, { type: padding === 0 ? type : 0, from, n: whole.length });
    const record = Buffer.from(block.bytes.subarray(0, end));
    block.drop();
    return record;
  };
  /** The first record that fits, now or later; undefined when the connection ends without it. */
  const next = async (fits: (r: PeerRecord) => boolean): Promise<PeerRecord | undefined> => {
    for (;;) {
      const found = records.find(fits);
      if (found !== undefined || socket.closed) return found;
      await new Promise<void>((resolve) => {
        notify = resolve;
      });
    }
  };
  const data = (text: string): Buffer => sealed(23, Buffer.from(text));
  return { socket, send, records, sealed, data, next };
};

/** A record connection made by a handshake with any TLS server. */
export const recordsOver = async (raw: Duplex, tls: SecureContextOptions): Promise<RecordConnection> => {
  const handshake = new Handshake(raw, { role: "client" });
  const socket = connectTls({ socket: handshake, ...tls, ALPNProtocols: ["h2"], checkServerIdentity: () => undefined });
  socket.on("keylog", (line) => handshake.keylog(line));
  await once(socket, "secureConnect");
  return handshake.takeOver(socket);
};
export const dialRecords = async (port: number, tls: SecureContextOptions): Promise<RecordConnection> => {
  const raw = connectTcp({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
  await once(raw, "connect");
  return recordsOver(raw, tls);
};

/** A server whose connections go on as records after their handshake; gives its port. */
export const serveRecords = async (t: Test, tls: TlsOptions, onConnection: (c: RecordConnection) => void): Promise<number> => {
  const server = createTls({ ...tls, ALPNProtocols: ["h2"] });
  const handshakes = serverHandshakes(server);
  server.on("secureConnection", async (socket) => {
    const arrival = handshakes.of(socket);
    assert.ok(arrival);
    onConnection(await arrival.handshake.takeOver(socket));
  });
  server.on("tlsClientError", (_e, socket) => socket.destroy());
  const tcp = createServer({ noDelay: true, allowHalfOpen: true }, handshakes.accept).listen(0, "127.0.0.1");
  await once(tcp, "listening");
  t.after(() => tcp.close());
  return portOf(tcp);
};
