// Which connection carries a tunnel, and when is a new one dialled? (ambient-l4 section 1.9)

import type { Duplex } from "node:stream";
import { formatSocketAddr, type SocketAddr } from "../addr/socket.ts";
import type { WorkloadCert } from "../ca/types.ts";
import { asMeshError, MeshError } from "../errors/mesh-error.ts";
import type { SpiffeId } from "../identity/spiffe.ts";
import type { World } from "../runtime/world.ts";
import type { PeerCheck } from "../tls/revocations.ts";
import { type Connected, connectTunnels } from "./connect.ts";
import { NotProcessed, openTunnel, tunnelStream } from "./open.ts";
import { answersPing, keepAlive } from "./session.ts";
import type { TunnelPool, TunnelStream, TunnelTarget } from "./types.ts";

export type TunnelPoolLimits = {
  /** Streams on one connection, or the peer's own limit where that is lower. */
  readonly maxStreams: number;
  readonly dialMs: number;
  /** From CONNECT to its answer; longer than a peer's own dial. */
  readonly answerMs: number;
  /** A connection without streams for this long is closed. */
  readonly idleMs: number;
  /** A connection that has been silent for this long is asked with a PING before it is used again. */
  readonly checkAfterMs: number;
  readonly checkMs: number;
  /** How long a peer whose address has left the mesh may take to show that it is still there. */
  readonly suspectMs: number;
  readonly pingEveryMs: number;
  readonly pingTimeoutMs: number;
};
const LIMITS: TunnelPoolLimits = {
  maxStreams: 100,
  dialMs: 10_000,
  answerMs: 20_000,
  idleMs: 300_000,
  checkAfterMs: 5_000,
  checkMs: 2_000,
  suspectMs: 5_000,
  pingEveryMs: 10_000,
  pingTimeoutMs: 20_000,
};

/** A request that peers keep refusing unseen is given up. */
const ATTEMPTS = 3;

export type TunnelPoolOptions = {
  readonly cert: (self: SpiffeId) => Promise<WorkloadCert>;
  /** A connected TCP socket; from is the source address to bind, or "" for none. Throws when it cannot be made. */
  readonly dial: (to: SocketAddr, from: string, signal: AbortSignal) => Promise<Duplex>;
  readonly world: World;
  readonly limits?: Partial<TunnelPoolLimits>;
  /** Asked of every peer, and of those of live connections when it has news. */
  readonly peers?: PeerCheck;
};

type Pooled = Connected & {
  readonly to: SocketAddr;
  streams: number;
  /** When a stream last opened or closed, and when the peer last showed itself. */
  usedAt: number;
  aliveAt: number;
  /** A PING that decides whether the connection may be used. */
  checking: Promise<boolean> | undefined;
  /** A PING is under way that decides whether the peer is still there. */
  suspected: boolean;
};
/** All connections of one key. */
type Group = { readonly key: string; readonly connections: Set<Pooled>; dialing: Promise<Pooled> | undefined };

/** Connections are shared only between equal keys: same own identity, same acceptable peers, same address both ends. */
const keyOf = (t: TunnelTarget): string => {
  const [only] = t.expect;
  const expected =
    t.expect.length === 1 && only !== undefined
      ? only.uri
      : t.expect
          .map((e) => e.uri)
          .sort()
          .join(",");
  return `${t.self.uri}|${expected}|${formatSocketAddr(t.to)}|${t.from}`;
};

/** One pool per place that tunnels are opened from. */
export const createTunnelPool = (options: TunnelPoolOptions): TunnelPool => {
  const limits = { ...LIMITS, ...options.limits };
  const { world } = options;
  const groups = new Map<string, Group>();
  const stopped = new AbortController();
  let draining = false;

  const groupOf = (key: string): Group => {
    const held = groups.get(key) ?? { key, connections: new Set<Pooled>(), dialing: undefined };
    groups.set(key, held);
    return held;
  };
  const remove = (group: Group, c: Pooled): void => {
    group.connections.delete(c);
    if (group.connections.size === 0 && group.dialing === undefined) groups.delete(group.key);
  };

  const adopt = (group: Group, to: SocketAddr, connected: Connected): Pooled => {
    const { session } = connected;
    const now = world.now();
    const c: Pooled = { ...connected, to, streams: 0, usedAt: now, aliveAt: now, checking: undefined, suspected: false };
    group.connections.add(c);
    const closed = new AbortController();
    session.once("close", () => {
      remove(group, c);
      closed.abort();
    });
    // A GOAWAY: the streams it has finish, no new ones.
    session.once("goaway", () => session.close());
    const tick = (): void => {
      const expired = world.now() >= c.notAfter;
      if (c.streams === 0 && (expired || world.now() - c.usedAt >= limits.idleMs)) session.close();
    };
    const alive = (): void => {
      c.aliveAt = world.now();
    };
    const signal = AbortSignal.any([closed.signal, stopped.signal]);
    void keepAlive(session, world, { everyMs: limits.pingEveryMs, timeoutMs: limits.pingTimeoutMs, signal, tick, alive });
    return c;
  };

  /** At most one dial per key: a burst of tunnels waits for it and then shares it. */
  const dial = (group: Group, target: TunnelTarget): Promise<Pooled> => {
    if (group.dialing !== undefined) return group.dialing;
    const connecting = connectTunnels(target, { ...options, dialMs: limits.dialMs }, stopped.signal).then((connected) => {
      const going = stopped.signal.aborted || draining ? new MeshError("DRAINED", "the proxy is shutting down") : undefined;
      // Again: the lists may have changed since the handshake.
      const no = going ?? options.peers?.refuse(connected.chain);
      if (no === undefined) return adopt(group, target.to, connected);
      connected.session.destroy();
      throw no;
    });
    group.dialing = connecting.finally(() => {
      group.dialing = undefined;
      if (group.connections.size === 0) groups.delete(group.key);
    });
    return group.dialing;
  };

  const room = (c: Pooled): boolean => {
    const { session } = c;
    const allowed = Math.min(limits.maxStreams, session.peerSettings.maxConcurrentStreams);
    return !session.closed && !session.destroyed && c.streams < allowed && world.now() < c.notAfter;
  };

  const free = (group: Group): Pooled | undefined => {
    for (const c of group.connections) if (room(c)) return c;
    return undefined;
  };

  /** Asks a silent connection whether it still lives; all who want it wait for the one answer. */
  const answers = (c: Pooled): Promise<boolean> => {
    c.checking ??= answersPing(c.session, world, limits.checkMs, stopped.signal).then((alive) => {
      c.checking = undefined;
      if (alive) c.aliveAt = world.now();
      return alive;
    });
    return c.checking;
  };

  /** A connection with one stream reserved on it. */
  const acquire = async (target: TunnelTarget, signal: AbortSignal | undefined): Promise<Pooled> => {
    for (;;) {
      if (draining) throw new MeshError("DRAINED", "the proxy is shutting down");
      if (signal?.aborted) throw asMeshError(signal.reason, "CLIENT_GONE");
      const group = groupOf(keyOf(target));
      const c = free(group);
      if (c === undefined) {
        await orAbort(dial(group, target), signal);
        continue;
      }
      c.streams += 1;
      if (world.now() - c.aliveAt < limits.checkAfterMs || (await answers(c))) return c;
      c.streams -= 1;
      c.session.destroy();
    }
  };

  const connect: TunnelPool["connect"] = async (target, request, signal): Promise<TunnelStream> => {
    if (target.expect.length === 0)
      throw new MeshError("TLS", `no identity is expected of ${formatSocketAddr(target.to)}: nobody would do`);
    for (let attempt = 1; ; attempt++) {
      const c = await acquire(target, signal);
      const released = (): void => {
        c.streams -= 1;
        c.usedAt = world.now();
      };
      c.usedAt = world.now();
      try {
        const opened = await openTunnel({ session: c.session, request, world, answerMs: limits.answerMs, signal }, released);
        c.aliveAt = world.now();
        return tunnelStream(opened.end, c.peer, opened.headers);
      } catch (e) {
        if (!(e instanceof NotProcessed)) throw e;
        if (attempt >= ATTEMPTS)
          throw new MeshError("H2_HANDSHAKE", `${formatSocketAddr(target.to)} refused the tunnel ${attempt} times`, e);
      }
    }
  };

  const all = (): Pooled[] => [...groups.values()].flatMap((g) => [...g.connections].filter((c) => !c.session.destroyed));
  const suspect = (gone: (to: SocketAddr) => boolean): void => {
    for (const c of all()) {
      if (c.suspected || !gone(c.to)) continue;
      c.suspected = true;
      void answersPing(c.session, world, limits.suspectMs, stopped.signal).then((alive) => {
        c.suspected = false;
        if (!alive && !stopped.signal.aborted)
          c.session.destroy(Object.assign(new Error(`the peer has left the mesh and gives no sign of life`), { code: "ETIMEDOUT" }));
      });
    }
  };
  const unsubscribe = options.peers?.onChange(() => {
    for (const c of all()) {
      const no = options.peers?.refuse(c.chain);
      if (no !== undefined) c.session.destroy(no);
    }
  });
  const close = (): void => {
    draining = true;
    unsubscribe?.();
    stopped.abort(new MeshError("DRAINED", "the proxy is shutting down"));
    for (const c of all()) c.session.destroy();
    groups.clear();
  };
  const drain = async (deadlineMs: number): Promise<void> => {
    draining = true;
    const over = new AbortController();
    const idle = Promise.all(
      all().map(
        ({ session }) =>
          new Promise<void>((resolve) => {
            session.once("close", () => resolve());
            session.close();
          }),
      ),
    );
    const late = world.sleep(deadlineMs, over.signal).then(
      () => undefined,
      () => undefined,
    );
    await Promise.race([idle, late]);
    over.abort();
    close();
  };
  return {
    connect,
    suspect,
    drain,
    close,
    stats: () => ({ connections: all().length, streams: all().reduce((n, c) => n + c.streams, 0) }),
  };
};

/** The promise's value, or the signal's reason when that aborts first; the work itself goes on for others. */
const orAbort = <T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> => {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(asMeshError(signal.reason, "CLIENT_GONE"));
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
};
