// Both ends of a connection over loopback, and what tests ask of streams (used by tests only).

import { createHash } from "node:crypto";
import { EventEmitter, once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { Duplex, Readable } from "node:stream";
import { EndDuplex } from "../../copy/duplex.ts";
import { realWorld } from "../../runtime/run.ts";
import { duplexWire } from "../wire.ts";
import type { AnswerHead, PlainFields, RequestHead } from "./fields.ts";
import { type H2Events, H2Session, type H2SessionOptions } from "./session.ts";
import type { PeerSettings } from "./settings.ts";
import type { H2Stream } from "./stream.ts";

export type Cleaner = { after(f: () => void): void };

export const listen = async (t: Cleaner, onSocket: (socket: Socket) => void): Promise<{ server: Server; port: number }> => {
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    t.after(() => socket.destroy());
    onSocket(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return { server, port: (server.address() as { port: number }).port };
};

export const dial = async (t: Cleaner, port: number): Promise<Socket> => {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  t.after(() => socket.destroy());
  await once(socket, "connect");
  return socket;
};

/** A stream as a Node stream, with what a tunnel's opener and server ask of it. */
export class TestStream extends EndDuplex {
  readonly core: H2Stream;

  constructor(core: H2Stream) {
    super(core);
    this.core = core;
  }

  get id(): number {
    return this.core.id;
  }

  get remoteEnded(): boolean {
    return this.core.remoteEnded;
  }

  respond(status: number, headers: PlainFields, then: "tunnel" | "end"): void {
    this.core.respond(status, headers, then);
    if (then === "end") this.destroy();
  }
}

type TestEvents = Omit<H2Events, "request"> & { request: [stream: TestStream, head: RequestHead] };

/** A session whose streams are Node streams. */
export class TestSession extends EventEmitter<TestEvents> {
  readonly core: H2Session;

  constructor(socket: Duplex, options: H2SessionOptions) {
    super();
    this.core = new H2Session(duplexWire(socket), options);
    this.core.on("request", (stream, head) => this.emit("request", new TestStream(stream), head));
    this.core.on("settings", (settings) => this.emit("settings", settings));
    this.core.on("goaway", (code) => this.emit("goaway", code));
    this.core.on("failed", (error) => this.emit("failed", error));
    this.core.on("close", (error) => this.emit("close", error));
  }

  get closed(): boolean {
    return this.core.closed;
  }

  get destroyed(): boolean {
    return this.core.destroyed;
  }

  get streams(): number {
    return this.core.streams;
  }

  get peerSettings(): PeerSettings {
    return this.core.peerSettings;
  }

  connect(authority: string, headers: PlainFields, onAnswer: (head: AnswerHead) => void): TestStream {
    return new TestStream(this.core.connect(authority, headers, onAnswer));
  }

  ping(): Promise<boolean> {
    return this.core.ping();
  }

  close(): void {
    this.core.close();
  }

  destroy(error?: Error): void {
    this.core.destroy(error);
  }
}

export const session = (socket: Duplex, role: "client" | "server", options: Partial<H2SessionOptions> = {}): TestSession =>
  new TestSession(socket, { role, world: realWorld(), maxStreams: 200, ...options });

/** A server of ours; `onSession` is called before anything is read. */
export const serve = (
  t: Cleaner,
  onSession: (s: TestSession) => void,
  options: Partial<H2SessionOptions> = {},
): Promise<{ port: number }> => listen(t, (socket) => onSession(session(socket, "server", options)));

/** Answers every CONNECT with 200 and gives back what comes; everything else gets 400. */
export const echo = (s: TestSession): void => {
  s.on("request", (stream, head) => {
    stream.on("error", () => undefined);
    if (head.method !== "CONNECT") return stream.respond(400, {}, "end");
    stream.respond(200, {}, "tunnel");
    stream.pipe(stream);
  });
};

/** A client of ours whose peer's settings have come. */
export const dialSession = async (t: Cleaner, port: number): Promise<{ client: TestSession; socket: Socket }> => {
  const socket = await dial(t, port);
  const client = session(socket, "client");
  await once(client, "settings");
  return { client, socket };
};

/** An open tunnel of ours. */
export const open = (client: TestSession, authority = "10.0.0.9:80"): Promise<{ stream: TestStream; head: AnswerHead }> =>
  new Promise((resolve, reject) => {
    const stream = client.connect(authority, {}, (head) => resolve({ stream, head }));
    stream.once("close", () => reject(new Error("closed before its answer")));
    stream.on("error", reject);
  });

export const hashOf = async (stream: Readable): Promise<string> => {
  const hash = createHash("sha256");
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) hash.update(chunk as Buffer);
  return hash.digest("hex");
};

export const sha = (data: Buffer): string => createHash("sha256").update(data).digest("hex");

export const text = async (stream: Readable): Promise<string> => {
  let out = "";
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) out += String(chunk);
  return out;
};
