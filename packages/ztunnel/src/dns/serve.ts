// How are a pod's DNS queries taken, over UDP and TCP? (15053 on loopback in the pod's namespace)

import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { setReceiveBuffer } from "@ambit/shared/linux/buffers.ts";
import { socketFamily } from "@ambit/shared/linux/domain.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { Handler } from "./handle.ts";
import { MAX_MESSAGE } from "./message.ts";
import { createFrames, frame } from "./stream.ts";

/** A connection on which nothing has been asked or answered for so long is closed, as Istio's is; so is one that dribbles a message. */
const IDLE_MS = 5_000;
const MAX_CONNECTIONS = 256;
/** Queries of one connection that may wait at a time; it is not read meanwhile. */
const MAX_PIPELINED = 32;
/** A burst waits here while the thread does something else; what the kernel drops costs its client a second or more. */
const RECEIVE_BUFFER = 1 << 20;

/** Sockets in the pod's namespace: bound for UDP, listening for TCP. They are the server's to close. */
export type DnsFds = { readonly udp: readonly number[]; readonly tcp: readonly number[] };

export type DnsServer = {
  /** No new connections; resolves when what was asked is answered, at the latest at the deadline. Then everything is closed. */
  drain(deadlineMs: number): Promise<void>;
  /** Closes everything now; queries under way get no answer. */
  close(): void;
};

export type DnsServerDeps = {
  readonly handler: Handler;
  readonly world: World;
  readonly onError: (e: Error) => void;
};

type Stop = () => void;

const serveUdp = (fd: number, deps: DnsServerDeps, signal: AbortSignal): Stop => {
  const socket = createSocket({ type: socketFamily(fd) === "ipv4" ? "udp4" : "udp6" });
  setReceiveBuffer(fd, RECEIVE_BUFFER);
  socket.on("error", deps.onError);
  socket.on("message", async (bytes, from) => {
    const answer = await deps.handler.handle(bytes, { protocol: "udp", signal });
    if (answer === undefined || signal.aborted) return;
    socket.send(answer, from.port, from.address, () => {}); // a client that has gone is not told
  });
  socket.bind({ fd });
  return () => socket.close();
};

/** Serves one connection to its end. Answers go out as they come (RFC 7766 section 6.2.1.1). */
const serveConnection = (socket: Socket, deps: DnsServerDeps, signal: AbortSignal): void => {
  const frames = createFrames(MAX_MESSAGE);
  let waiting = 0;
  let deadline: AbortController | undefined;
  const end = (): void => void socket.destroy();
  /** Running only while it is the client's turn: not reset by a byte, only by a whole message. */
  const watch = (): void => {
    deadline?.abort();
    if (waiting > 0 || socket.destroyed) return;
    const timer = new AbortController();
    deadline = timer;
    deps.world.sleep(IDLE_MS, timer.signal).then(end, () => {}); // stopped: something was asked
  };
  const queue: Buffer[] = []; // what one read held beyond the limit: the next read waits for these
  const pump = (): void => {
    while (waiting < MAX_PIPELINED) {
      const next = queue.shift();
      if (next === undefined) break;
      waiting++;
      void answer(next);
    }
    if (queue.length > 0 || waiting >= MAX_PIPELINED || socket.writableNeedDrain) socket.pause();
    else socket.resume();
  };
  const answer = async (bytes: Buffer): Promise<void> => {
    const out = await deps.handler.handle(bytes, { protocol: "tcp", signal });
    waiting--;
    if (socket.destroyed) return;
    if (out === undefined) return end();
    socket.write(frame(out));
    pump();
    finish();
    watch();
  };
  /** A client that says no more still gets what it asked for (RFC 7766 section 6.2.4). */
  const finish = (): void => {
    if (socket.readableEnded && waiting === 0 && queue.length === 0) socket.end();
  };
  socket.on("end", finish);
  socket.on("error", end);
  socket.on("drain", pump);
  socket.on("close", () => {
    deadline?.abort();
    queue.length = 0;
    signal.removeEventListener("abort", end);
  });
  signal.addEventListener("abort", end, { once: true });
  socket.on("data", (chunk: Buffer) => {
    const messages = frames.push(chunk);
    if (messages === "too-long") return end();
    queue.push(...messages);
    pump();
    if (messages.length > 0) watch();
  });
  watch();
};

const serveTcp = async (fd: number, deps: DnsServerDeps, signal: AbortSignal): Promise<Server> => {
  const server = createServer({ allowHalfOpen: true }, (socket) => serveConnection(socket, deps, signal));
  server.maxConnections = MAX_CONNECTIONS;
  server.listen({ fd });
  await once(server, "listening");
  server.on("error", deps.onError);
  return server;
};

/** Serves on the sockets given. Rejects when one cannot be served; then all are closed. */
export const serveDns = async (fds: DnsFds, deps: DnsServerDeps): Promise<DnsServer> => {
  const stop = new AbortController();
  const udp: Stop[] = [];
  const tcp: Server[] = [];
  const close = (): void => {
    if (stop.signal.aborted) return;
    stop.abort(new Error("the pod's DNS is served no more"));
    for (const stopUdp of udp) stopUdp();
    for (const server of tcp) server.close();
  };
  try {
    for (const fd of fds.udp) udp.push(serveUdp(fd, deps, stop.signal));
    for (const fd of fds.tcp) tcp.push(await serveTcp(fd, deps, stop.signal));
  } catch (e) {
    close();
    throw e;
  }
  return {
    close,
    drain: async (deadlineMs) => {
      for (const server of tcp) server.close();
      const until = new AbortController();
      const late = deps.world.sleep(deadlineMs, until.signal).then(
        () => {},
        () => {}, // everything was answered before
      );
      await Promise.race([deps.handler.idle(), late]);
      until.abort();
      close();
    },
  };
};
