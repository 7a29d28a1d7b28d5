// How does a connection get from the data thread that accepted it to the one that serves it?

import { Socket } from "node:net";
import type { MessagePort } from "node:worker_threads";
import { closeFd, dupFd } from "@ambit/shared/linux/socket.ts";
import { fdOf } from "../tcp/fd.ts";
import { type ConnectionKind, chooseThread, WEIGHT } from "./balance.ts";
import type { PeerMessage } from "./messages.ts";

/** On which listener of which pod a connection came. */
export type Place = { readonly key: number; readonly listener: string; readonly kind: ConnectionKind; readonly halfOpen: boolean };

export type Handover = {
  /**
   * For every socket that was just accepted, in the turn in which it was (nothing has been read). True: serve it here; it counts as
   * this thread's load until `over` is told (a tunnel: until it closes). False: another thread has it; the socket is destroyed, the
   * connection is not. `may`: every thread serves the pod, so it may be passed on.
   */
  keep(place: Place, socket: Socket, may: "pass-on" | "only-keep"): boolean;
  /**
   * A captured connection that is served here has ended. Told and not listened for: a listener would keep the net.Socket, 2 KB, for as
   * long as its connection is open.
   */
  over(place: Place): void;
  /** The way to another thread; replaces the one before. */
  connect(index: number, port: MessagePort): void;
};

export type HandoverOptions = {
  readonly self: number;
  readonly loads: Int32Array;
  /** Serves a connection that another thread accepted. False: not served here (any more); then the socket was not made. */
  readonly serve: (place: Place, open: () => Socket) => boolean;
  readonly onError: (error: Error) => void;
};

type Offered = { readonly place: Place; readonly fd: number; readonly to: number; readonly port: MessagePort };

const asError = (e: unknown): Error => (e instanceof Error ? e : new Error(String(e)));

/**
 * The offering thread keeps the connection open until it is taken: should the other thread refuse or die, it serves the
 * connection itself, so that none is lost.
 */
export const createHandover = ({ self, loads, serve, onError }: HandoverOptions): Handover => {
  const peers = new Map<number, MessagePort>();
  const offered = new Map<number, Offered>();
  let next = 0;

  const countUntilClosed = (kind: ConnectionKind, socket: Socket): void => {
    if (kind === "tunnel") socket.once("close", () => Atomics.sub(loads, self, WEIGHT[kind]));
  };
  const socketOf = (fd: number, place: Place): Socket => {
    const socket = new Socket({ fd, allowHalfOpen: place.halfOpen, readable: true, writable: true });
    socket.on("error", () => {}); // an error also closes the socket, and the close is what is acted on
    countUntilClosed(place.kind, socket);
    return socket;
  };

  const takeBack = (id: number): void => {
    const back = offered.get(id);
    if (back === undefined) return;
    offered.delete(id);
    Atomics.add(loads, self, WEIGHT[back.place.kind]);
    if (serve(back.place, () => socketOf(back.fd, back.place))) return;
    // Its pod is served no more: as if it had never been accepted.
    Atomics.sub(loads, self, WEIGHT[back.place.kind]);
    closeFd(back.fd);
  };

  const onOffer = (port: MessagePort, { id, place, fd }: Extract<PeerMessage, { kind: "offer" }>): void => {
    const own = dupFd(fd);
    let taken = false;
    let opened = false;
    try {
      taken = serve(place, () => {
        opened = true;
        return socketOf(own, place);
      });
    } finally {
      if (!opened) closeFd(own);
      port.postMessage({ kind: taken ? "taken" : "refused", id } satisfies PeerMessage);
    }
  };

  const onMessage = (port: MessagePort, message: PeerMessage): void => {
    if (message.kind === "offer") {
      onOffer(port, message);
      return;
    }
    const o = offered.get(message.id);
    if (o === undefined) return;
    if (message.kind === "refused") {
      Atomics.sub(loads, o.to, WEIGHT[o.place.kind]);
      takeBack(message.id);
      return;
    }
    offered.delete(message.id);
    closeFd(o.fd);
  };

  return {
    keep: (place, socket, may) => {
      const target = may === "pass-on" ? chooseThread(loads, self, place.kind) : self;
      const port = target === self ? undefined : peers.get(target);
      const open = port === undefined ? undefined : fdOf(socket);
      if (port === undefined || open === undefined) {
        Atomics.add(loads, self, WEIGHT[place.kind]);
        countUntilClosed(place.kind, socket);
        return true;
      }
      const fd = dupFd(open);
      const id = next++;
      offered.set(id, { place, fd, to: target, port });
      Atomics.add(loads, target, WEIGHT[place.kind]);
      socket.destroy();
      port.postMessage({ kind: "offer", id, place, fd } satisfies PeerMessage);
      return false;
    },
    over: ({ kind }) => void Atomics.sub(loads, self, WEIGHT[kind]),
    connect: (index, port) => {
      peers.get(index)?.close();
      peers.set(index, port);
      port.on("message", (message: PeerMessage) => {
        try {
          onMessage(port, message);
        } catch (e) {
          onError(asError(e));
        }
      });
      port.on("close", () => {
        if (peers.get(index) === port) peers.delete(index);
        for (const [id, o] of [...offered]) if (o.port === port) takeBack(id);
      });
    },
  };
};
