// How are the connections of a pod's listeners taken: accepted here, or from the thread that accepted them?

import type { Socket } from "node:net";
import { closeFd } from "@ambit/shared/linux/socket.ts";
import { type Accepted, acceptedFrom, acceptOn, type TcpListener } from "../tcp/accept.ts";
import type { ListenerFds } from "../thread/messages.ts";
import { TRAFFIC, type TrafficListener } from "./names.ts";

/** Where a pod's connections come from, and who is told of them. */
export type Arrivals = {
  /** Listening sockets by name (listeners.ts): the proxy's own, which it closes. */
  readonly fds: ListenerFds;
  /** Asked for every connection in the turn in which it is accepted: false when another thread serves it. */
  readonly keep: (listener: TrafficListener, socket: Socket) => boolean;
  /** Told once for every captured connection that was kept, or taken from another thread, when it has ended. */
  readonly over: (listener: TrafficListener) => void;
};

/** The listeners of a pod, each with what becomes of its connections; a captured one is served until the promise resolves. */
export type Serving = Readonly<Record<TrafficListener, { readonly halfOpen: boolean; serve(socket: Socket): Promise<void> | undefined }>>;

/** Serves a redirected connection with its ends known; one that has ended already is dropped. */
export const asAccepted = async (socket: Socket, serve: (connection: Accepted) => Promise<void>): Promise<void> => {
  const connection = acceptedFrom(socket);
  if (connection === undefined) socket.destroy();
  else await serve(connection);
};

/** The listening sockets and what is accepted from them; the fds are closed in the end, served or not. */
export const createFront = ({ fds, keep, over: ended }: Arrivals, serving: Serving, onError: (e: Error) => void) => {
  const served = new Map<TrafficListener, TcpListener>();
  const waiting = new Map<TrafficListener, readonly number[]>(TRAFFIC.map((name) => [name, fds[name] ?? []]));
  /** Those whose connections can be served: also while no new ones are accepted, for those that were just before. */
  const taking = new Set<string>();
  let over = false;
  const serve = (name: TrafficListener, socket: Socket): void => {
    serving[name].serve(socket)?.then(
      () => ended(name),
      (e) => {
        ended(name);
        socket.destroy();
        onError(e);
      },
    );
  };
  return {
    /** Accepts on the named listener. */
    begin: async (name: TrafficListener): Promise<void> => {
      const own = waiting.get(name) ?? [];
      waiting.delete(name);
      const { halfOpen } = serving[name];
      const onSocket = (socket: Socket): void => {
        if (keep(name, socket)) serve(name, socket);
      };
      const listener = await acceptOn(own, { halfOpen, onSocket, onError });
      if (over) return listener.stop();
      served.set(name, listener);
      taking.add(name);
    },
    take: (name: string, open: () => Socket): boolean => {
      const known = TRAFFIC.find((n) => n === name);
      if (known === undefined || !taking.has(known)) return false;
      serve(known, open());
      return true;
    },
    close: () => taking.clear(),
    stop: (): void => {
      over = true;
      for (const listener of served.values()) listener.stop();
      for (const own of waiting.values()) for (const fd of own) closeFd(fd);
      served.clear();
      waiting.clear();
    },
  };
};
