// Both ends of a connection over loopback, and what tests ask of streams (used by tests only).

import { createHash } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { Duplex, Readable } from "node:stream";
import { realWorld } from "../../runtime/run.ts";
import type { AnswerHead } from "./fields.ts";
import { H2Session, type H2SessionOptions } from "./session.ts";
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

export const session = (socket: Duplex, role: "client" | "server", options: Partial<H2SessionOptions> = {}): H2Session =>
  new H2Session(socket, { role, world: realWorld(), maxStreams: 200, ...options });

/** A server of ours; `onSession` is called before anything is read. */
export const serve = (t: Cleaner, onSession: (s: H2Session) => void, options: Partial<H2SessionOptions> = {}): Promise<{ port: number }> =>
  listen(t, (socket) => onSession(session(socket, "server", options)));

/** Answers every CONNECT with 200 and gives back what comes; everything else gets 400. */
export const echo = (s: H2Session): void => {
  s.on("request", (stream, head) => {
    stream.on("error", () => undefined);
    if (head.method !== "CONNECT") return stream.respond(400, {}, "end");
    stream.respond(200, {}, "tunnel");
    stream.pipe(stream);
  });
};

/** A client of ours whose peer's settings have come. */
export const dialSession = async (t: Cleaner, port: number): Promise<{ client: H2Session; socket: Socket }> => {
  const socket = await dial(t, port);
  const client = session(socket, "client");
  await once(client, "settings");
  return { client, socket };
};

/** An open tunnel of ours. */
export const open = (client: H2Session, authority = "10.0.0.9:80"): Promise<{ stream: H2Stream; head: AnswerHead }> =>
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
