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
  const of = (socket: TLSSocket): Arrival | undefined => {
    const known = arrivals.get(socket);
    if (known !== undefined || feeding === undefined) return known;
    arrivals.set(socket, feeding);
    return feeding;
  };
  server.on("keylog", (line, socket) => of(socket)?.handshake.keylog(line));
  return {
    of,
    accept(raw) {
      if ("error" in recordLayer()) return void server.emit("connection", raw);
      const handshake = new Handshake(raw, {
        role: "server",
        feeding: (now) => {
          feeding = now ? arrival : undefined;
        },
      });
      const arrival = { raw, handshake };
      server.emit("connection", handshake);
    },
  };
};
