// How does a test speak from inside a pod's network namespace?
import { createHash } from "node:crypto";
import { once } from "node:events";
import { request } from "node:http";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { Socket } from "node:net";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import { openNetns } from "@ambit/shared/linux/netns.ts";
import { socketIn } from "@ambit/shared/linux/socket.ts";
import type { Cluster } from "./cluster.ts";
import { within } from "./until.ts";

export type To = { readonly host: string; readonly port: number };
export type Place = { readonly netns: string };

export const podPlace = (cluster: Cluster, pod: Pod): Place => ({
  netns: `/run/netns/ambit-${cluster.id}-p-${(pod.metadata.uid ?? "").replaceAll("-", "").slice(0, 10)}`,
});
export const nodePlace = (cluster: Cluster, node: number): Place => ({ netns: `/run/netns/ambit-${cluster.id}-node${node}` });

/** A connected TCP socket whose end is in the place; rejects with the dial's error. */
export const dial = async (place: Place, to: To, options: { deadlineMs?: number; allowHalfOpen?: boolean } = {}): Promise<Socket> => {
  using netns = openNetns(place.netns);
  const fd = socketIn({ netns: netns.fd, family: to.host.includes(":") ? "ipv6" : "ipv4" });
  const socket = new Socket({ fd, readable: true, writable: true, allowHalfOpen: options.allowHalfOpen ?? true });
  socket.connect(to);
  try {
    await within(`a connection to ${to.host}:${to.port}`, once(socket, "connect"), options.deadlineMs ?? 10_000);
  } catch (e) {
    socket.destroy();
    throw e;
  }
  return socket;
};

/** Everything until the end of the stream; rejects when it is reset. */
export const readAll = async (socket: Socket): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
};

/** Reads until the text contains the mark, leaving the stream open. */
export const readUntil = (socket: Socket, mark: string, deadlineMs = 10_000): Promise<string> =>
  within(
    `${JSON.stringify(mark)} from ${socket.remoteAddress}`,
    new Promise((resolve, reject) => {
      let text = "";
      const onData = (d: Buffer): void => {
        text += String(d);
        if (!text.includes(mark)) return;
        done();
        resolve(text);
      };
      const onEnd = (): void => {
        done();
        reject(new Error(`ended after ${JSON.stringify(text)}`));
      };
      const onError = (e: Error): void => {
        done();
        reject(e);
      };
      const done = (): void => void socket.off("data", onData).off("end", onEnd).off("error", onError).pause();
      socket.on("data", onData).on("end", onEnd).on("error", onError).resume();
    }),
    deadlineMs,
  );

/** Resolves when the socket has come to its end, in whatever way; its "error" is then accounted for. */
export const ended = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => resolve();
    socket.once("end", done).once("close", done).once("error", done);
  });

const ENDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "refused",
  ECONNRESET: "reset",
  EPIPE: "reset",
  EHOSTUNREACH: "unreachable",
  ENETUNREACH: "unreachable",
};

const endOf = (e: unknown): string => {
  const code = (e as NodeJS.ErrnoException).code;
  if (code !== undefined) return ENDS[code] ?? code;
  return e instanceof Error && / not within /.test(e.message) ? "silent" : String(e);
};

/** How a call ended, in one word for tables: "open" (it answered), "refused", "reset", "closed" (ended without a byte), "unreachable", "silent". */
export const fate = async (place: Place, to: To, greeting: string): Promise<string> => {
  let socket: Socket;
  try {
    socket = await dial(place, to, { deadlineMs: 5_000 });
  } catch (e) {
    return endOf(e);
  }
  try {
    const answer = new Promise<string>((resolve, reject) => {
      socket
        .once("data", () => resolve("open"))
        .once("end", () => resolve("closed"))
        .once("error", reject);
    });
    socket.write(greeting);
    return await within("an answer", answer, 10_000);
  } catch (e) {
    return endOf(e);
  } finally {
    socket.destroy();
  }
};

export type HttpAnswer = {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: string;
};
export type HttpAsk = {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  readonly socket?: Socket;
};

/** One HTTP/1.1 exchange on a connection of its own, unless a socket is given. */
export const http = async (place: Place, to: To, ask: HttpAsk = {}): Promise<HttpAnswer> => {
  const socket = ask.socket ?? (await dial(place, to));
  const done = Promise.withResolvers<HttpAnswer>();
  const req = request({
    method: ask.method ?? "GET",
    path: ask.path ?? "/",
    host: to.host,
    port: to.port,
    headers: { connection: ask.socket === undefined ? "close" : "keep-alive", ...ask.headers },
    createConnection: () => socket,
  });
  req.on("error", done.reject);
  req.on("response", (res) => {
    let body = "";
    res.setEncoding("utf8").on("data", (d: string) => {
      body += d;
    });
    res.on("error", done.reject);
    res.on("end", () => done.resolve({ status: res.statusCode ?? 0, headers: res.headers, body }));
  });
  req.end(ask.body);
  try {
    return await within(`an HTTP answer from ${to.host}:${to.port}`, done.promise, 20_000);
  } finally {
    if (ask.socket === undefined) socket.destroy();
  }
};

/** An HTTP/2 session with prior knowledge from the place. */
export const http2 = async (place: Place, to: To): Promise<ClientHttp2Session> => {
  const socket = await dial(place, to);
  return connectHttp2(`http://${to.host.includes(":") ? `[${to.host}]` : to.host}:${to.port}`, { createConnection: () => socket });
};

/** Streams `total` bytes of a pattern up and answers its own hash; the other end's answer is left to be read. */
export const pourHashed = async (socket: Socket, total: number): Promise<string> => {
  const block = Buffer.from(Array.from({ length: 65_536 }, (_, i) => (i * 17 + (i >> 7)) & 0xff));
  const hash = createHash("sha256");
  for (let left = total; left > 0; ) {
    const chunk = left >= block.length ? block : block.subarray(0, left);
    left -= chunk.length;
    hash.update(chunk);
    if (!socket.write(chunk)) await once(socket, "drain");
  }
  socket.end();
  return hash.digest("hex");
};

export const hashOf = async (socket: Socket): Promise<{ hash: string; bytes: number }> => {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of socket) {
    hash.update(chunk as Buffer);
    bytes += (chunk as Buffer).length;
  }
  return { hash: hash.digest("hex"), bytes };
};
