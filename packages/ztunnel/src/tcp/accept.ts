// How are TCP connections taken from listening sockets, with the destination they were meant for?

import { createServer, type Server, type Socket } from "node:net";
import { type Ip, parseIp } from "@ambit/shared/addr/ip.ts";
import type { SocketAddr } from "@ambit/shared/addr/socket.ts";
import { originalDestination } from "@ambit/shared/linux/sockopt.ts";
import { fdOf } from "./fd.ts";

export type Accepted = {
  readonly socket: Socket;
  readonly from: SocketAddr;
  /** Where the client dialled, before any redirect. */
  readonly to: SocketAddr;
};

export type TcpListener = {
  /** Takes no more connections and closes the listening sockets; those taken are not touched. */
  stop(): void;
};

/** Texts of addresses that were read already: the same few come with every connection. */
const read = new Map<string, Ip>();
const MOST_READ = 4_096;

const ipOf = (text: string): Ip | undefined => {
  const known = read.get(text);
  if (known !== undefined) return known;
  const parsed = parseIp(text.replace(/%.*$/, ""));
  if (!parsed.ok) return undefined;
  if (read.size >= MOST_READ) read.clear();
  read.set(text, parsed.value);
  return parsed.value;
};

const addr = (text: string | undefined, port: number | undefined): SocketAddr | undefined => {
  const ip = text === undefined || port === undefined ? undefined : ipOf(text);
  return ip === undefined || port === undefined ? undefined : { ip, port };
};

/** Who connected and where to, as the kernel's connection tracking knows it; undefined when the connection has ended already. */
export const acceptedFrom = (socket: Socket): Accepted | undefined => {
  const fd = fdOf(socket);
  const from = addr(socket.remoteAddress, socket.remotePort);
  if (fd === undefined || from === undefined) return undefined;
  const original = originalDestination(fd);
  const to = original === undefined ? addr(socket.localAddress, socket.localPort) : addr(original.ip, original.port);
  return to === undefined ? undefined : { socket, from, to };
};

export type AcceptHandlers = {
  /** Owns the socket. Called in the turn in which it was accepted: nothing has been read. */
  onSocket(socket: Socket): void;
  onError(error: Error): void;
  /** True: each direction of a connection ends on its own. */
  readonly halfOpen: boolean;
};

const listenOn = (fd: number, handlers: AcceptHandlers): Promise<Server> =>
  new Promise((resolve, reject) => {
    const server: Server = createServer({ allowHalfOpen: handlers.halfOpen }, (socket) => {
      socket.on("error", () => {}); // an error also closes the socket, and the close is what is acted on
      try {
        handlers.onSocket(socket);
      } catch (e) {
        socket.destroy();
        handlers.onError(e instanceof Error ? e : new Error(String(e)));
      }
    });
    server.once("error", reject);
    server.listen({ fd }, () => {
      server.removeListener("error", reject);
      server.on("error", handlers.onError);
      resolve(server);
    });
  });

/** Serves the listening sockets, which are its own from here on. Rejects when one cannot be served; then none is. */
export const acceptOn = async (fds: readonly number[], handlers: AcceptHandlers): Promise<TcpListener> => {
  const started = await Promise.allSettled(fds.map((fd) => listenOn(fd, handlers)));
  const stop = (): void => {
    for (const s of started) if (s.status === "fulfilled") s.value.close();
  };
  const failed = started.find((s) => s.status === "rejected");
  if (failed !== undefined) {
    stop();
    throw failed.reason;
  }
  return { stop };
};
