// How do a tls.Server's handshakes run over streams of our own, so that our records can take the connections over?

import type { Socket } from "node:net";
import type { TLSSocket, Server as TlsServer } from "node:tls";
import { Handshake, recordLayer } from "./handshake.ts";

export type Arrival = { readonly raw: Socket; readonly handshake: Handshake };

export type ServerHandshakes = {
  /** Begins a handshake; the server's own events tell how it ends. */
  accept(raw: Socket): void;
  /** What a TLSSocket of the server runs over; undefined before its first record, and where there is no record layer. */
  of(socket: TLSSocket): Arrival | undefined;
};

/** For a server that does not listen itself. */
export const serverHandshakes = (server: TlsServer): ServerHandshakes => {
  const arrivals = new WeakMap<TLSSocket, Arrival>();
  /** What TLS is fed with right now: what it emits meanwhile is about this one. */
  let feeding: Arrival | undefined;
  const link = (socket: TLSSocket): Arrival | undefined => {
    if (feeding !== undefined && !arrivals.has(socket)) arrivals.set(socket, feeding);
    return arrivals.get(socket);
  };
  // Its secrets and its connection become known together: neither can be another's.
  server.on("keylog", (line, socket) => link(socket)?.handshake.keylog(line));
  server.prependListener("tlsClientError", (_error, socket) => void link(socket));
  return {
    of: (socket) => arrivals.get(socket),
    accept(raw) {
      if ("error" in recordLayer()) return void server.emit("connection", raw);
      let outer: Arrival | undefined;
      const handshake = new Handshake(raw, {
        role: "server",
        feeding: (now) => {
          if (now) outer = feeding;
          feeding = now ? arrival : outer;
        },
      });
      const arrival = { raw, handshake };
      server.emit("connection", handshake);
    },
  };
};
