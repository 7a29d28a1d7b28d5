// How are redirected TCP connections taken from a listener, with the destination they were meant for?

import { createServer, type Server, type Socket } from "node:net";
import { type Ip, parseIp } from "@ambit/shared/addr/ip.ts";
import type { SocketAddr } from "@ambit/shared/addr/socket.ts";
import { originalDestination } from "@ambit/shared/linux/sockopt.ts";
import { unwrap } from "@ambit/shared/runtime/result.ts";

export type Accepted = {
  readonly socket: Socket;
  readonly from: SocketAddr;
  /** Where the client dialled, before any redirect. */
  readonly to: SocketAddr;
};

export type TcpListener = {
  /** Takes no more connections; those taken are not touched. */
  stop(): void;
};

const addr = (ip: string | undefined, port: number | undefined): SocketAddr | undefined => {
  const parsed = ip === undefined || port === undefined ? undefined : parseIp(ip.replace(/%.*$/, ""));
  return parsed?.ok === true && port !== undefined ? { ip: parsed.value as Ip, port } : undefined;
};

/** The fd under an accepted socket; Node has no public name for it. */
const fdOf = (socket: Socket): number | undefined => {
  const handle = (socket as unknown as { readonly _handle?: { readonly fd?: number } | null })._handle;
  return handle?.fd !== undefined && handle.fd >= 0 ? handle.fd : undefined;
};

const accepted = (socket: Socket): Accepted | undefined => {
  const fd = fdOf(socket);
  const from = addr(socket.remoteAddress, socket.remotePort);
  const local = addr(socket.localAddress, socket.localPort);
  if (fd === undefined || from === undefined || local === undefined) return undefined;
  const original = originalDestination(fd);
  return { socket, from, to: original === undefined ? local : { ip: unwrap(parseIp(original.ip)), port: original.port } };
};

/** Serves the listening fd. `onConnection` owns the socket; a connection that ended before it was looked at is dropped. */
export const acceptOn = (
  fd: number,
  handlers: { onConnection(connection: Accepted): void; onError(error: Error): void },
): Promise<TcpListener> =>
  new Promise((resolve, reject) => {
    const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on("error", () => {}); // an error also closes the socket, and the close is what is acted on
      try {
        const connection = accepted(socket);
        if (connection === undefined) socket.destroy();
        else handlers.onConnection(connection);
      } catch (e) {
        socket.destroy();
        handlers.onError(e instanceof Error ? e : new Error(String(e)));
      }
    });
    server.once("error", reject);
    server.listen({ fd }, () => {
      server.removeListener("error", reject);
      server.on("error", handlers.onError);
      resolve({ stop: () => void server.close() });
    });
  });
