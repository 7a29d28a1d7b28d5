// Which listening sockets does a pod have, and which data thread accepts from which?

import type { Netns } from "@ambit/shared/linux/netns.ts";
import { closeFd } from "@ambit/shared/linux/socket.ts";
import { HBONE_PORT, OUTBOUND_PORT, PASSTHROUGH_PORT, SOCKS_PORT } from "../ports.ts";
import type { ListenerFds } from "../thread/messages.ts";
import { createListener, type SocketConfig } from "./listen.ts";
import type { TrafficListener } from "./names.ts";

export type ListenerSpec = {
  /** How the thread that serves it knows it. */
  readonly name: string;
  readonly kind: "tcp" | "udp";
  readonly port: number;
  /** Every address of the pod, or its loopback of one family; one that the namespace does not have is left out. */
  readonly at: "any" | "127.0.0.1" | "::1";
};

const tcp = (name: TrafficListener, port: number): ListenerSpec => ({ name, kind: "tcp", port, at: "any" });

/** What every pod has. */
export const TRAFFIC_LISTENERS: readonly ListenerSpec[] = [
  tcp("outbound", OUTBOUND_PORT),
  tcp("passthrough", PASSTHROUGH_PORT),
  tcp("hbone", HBONE_PORT),
];

/** Where an application may ask for connections by SOCKS. */
export const SOCKS_LISTENER: ListenerSpec = { name: "socks", kind: "tcp", port: SOCKS_PORT, at: "127.0.0.1" };

/** A socket that listens, or waits for datagrams, in the pod's namespace. */
export type Listening = {
  readonly kind: "tcp" | "udp";
  readonly port: number;
  /** Where it is bound; another address than these serves no listener of ours. */
  readonly at: ListenerSpec["at"] | "elsewhere";
  readonly fd: number;
};

export type PodListeners = {
  /** What the thread takes dups of and accepts from. */
  of(thread: number): ListenerFds;
  list(): readonly Listening[];
  /** The sockets live on in the threads until these have closed their own. */
  close(): void;
};

/**
 * Every socket is accepted from by one thread at least, and every thread accepts from one socket at least: with as many sockets as
 * threads each has its own, else they are dealt out. Pure.
 */
export const deal = <T>(sockets: readonly T[], threads: number, thread: number): readonly T[] => {
  if (sockets.length >= threads) return sockets.filter((_, i) => i % threads === thread);
  const one = sockets[thread % Math.max(1, sockets.length)];
  return one === undefined ? [] : [one];
};

export type OpenOptions = {
  readonly specs: readonly ListenerSpec[];
  readonly sockets: SocketConfig;
  readonly threads: number;
  /** Sockets that another process gave us: used for their ports, instead of ones of our own. */
  readonly inherited: readonly Listening[];
};

/** Opens what is not inherited. Throws when one cannot be opened; then none is left open, and the inherited ones are closed too. */
export const openListeners = (netns: Pick<Netns, "fd">, { specs, sockets, threads, inherited }: OpenOptions): PodListeners => {
  const held = new Map<string, Listening[]>();
  const close = (): void => {
    for (const list of held.values()) for (const { fd } of list) closeFd(fd);
    held.clear();
  };
  const unused = new Set(inherited);
  try {
    for (const spec of specs) {
      const given = [...unused].filter((l) => l.kind === spec.kind && l.port === spec.port && l.at === spec.at);
      for (const l of given) unused.delete(l);
      held.set(spec.name, given);
      // Without SO_REUSEPORT there can be one socket only: all threads accept from it.
      for (let left = given.length > 0 ? 0 : sockets.portReuse ? threads : 1; left > 0; left--) {
        const fd = createListener(netns.fd, sockets, spec);
        if (fd !== undefined) given.push({ kind: spec.kind, port: spec.port, at: spec.at, fd });
      }
    }
  } catch (e) {
    close();
    throw e;
  } finally {
    for (const { fd } of unused) closeFd(fd);
  }
  return {
    of: (thread) => Object.fromEntries([...held].map(([name, list]) => [name, deal(list, threads, thread).map((l) => l.fd)])),
    list: () => [...held.values()].flat(),
    close,
  };
};
