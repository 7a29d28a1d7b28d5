// Which connections to endpoints are kept, and how is a request sent over one?

import { formatSocketAddr } from "@ambit/shared/addr/socket.ts";
import { asMeshError, type MeshError } from "@ambit/shared/errors/mesh-error.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import { byteStream } from "../bytes/stream.ts";
import { type Http1Client, http1Client } from "../http1/client.ts";
import { type Http2Client, http2Client } from "../http2/client.ts";
import type { Chosen } from "./choose.ts";
import type { Dial } from "./connect.ts";
import type { Outcome, Outgoing } from "./outcome.ts";

export type UpstreamPool = {
  /** Sends over a kept connection or a new one. `fresh`: not over one that has carried an exchange. */
  send(to: Chosen, request: Outgoing, how: { version: "http1" | "http2"; fresh: boolean; signal: AbortSignal }): Promise<Outcome>;
  /** Exchanges in flight to a workload. */
  active(uid: string): number;
  /** Closes what has been idle too long, or leads to a workload that has gone, or does not answer; to be called now and then. */
  sweep(): void;
  close(): void;
  stats(): { readonly idle: number; readonly sessions: number };
};

export type UpstreamPoolOptions = {
  readonly dial: Dial;
  readonly world: Pick<World, "now">;
  readonly idleMs: number;
  readonly maxIdlePerEndpoint: number;
  /** Whether the workload is still there. */
  known(uid: string): boolean;
};

type Idle = { readonly client: Http1Client; readonly uid: string; readonly until: number };
type Session = { readonly client: Http2Client; readonly uid: string; usedAt: number };

/** Connections are shared only where the peer, its address and how it is reached are the same. */
const keyOf = (to: Chosen): string => `${to.via}|${to.expect.uri}|${to.workload.uid}|${formatSocketAddr(to.address)}`;

const failed = (e: unknown): Outcome => ({ kind: "failed", error: asMeshError(e, "CONNECT"), processed: "no", reused: false });

export const createUpstreamPool = (o: UpstreamPoolOptions): UpstreamPool => {
  const idle = new Map<string, Idle[]>();
  const sessions = new Map<string, Session[]>();
  const opening = new Map<string, Promise<Session>>();
  const active = new Map<string, number>();

  const count = (uid: string, by: 1 | -1): void => {
    const n = (active.get(uid) ?? 0) + by;
    if (n > 0) active.set(uid, n);
    else active.delete(uid);
  };
  const drop = <T>(map: Map<string, T[]>, key: string, gone: (item: T) => boolean): void => {
    const rest = (map.get(key) ?? []).filter((i) => !gone(i));
    if (rest.length === 0) map.delete(key);
    else map.set(key, rest);
  };
  /** The most recently used one: the others may then grow old and close. */
  const takeIdle = (key: string): Http1Client | undefined => {
    const list = idle.get(key) ?? [];
    for (let i = list.pop(); i !== undefined; i = list.pop()) {
      if (list.length === 0) idle.delete(key);
      if (i.client.open && i.until > o.world.now()) return i.client;
      i.client.close();
    }
    return undefined;
  };
  const keep = (key: string, to: Chosen, client: Http1Client, keptMs: number | undefined): void => {
    const list = idle.get(key) ?? [];
    const until = o.world.now() + Math.min(o.idleMs, keptMs ?? o.idleMs);
    if (list.length >= o.maxIdlePerEndpoint) client.close();
    else idle.set(key, [...list, { client, uid: to.workload.uid, until }]);
  };
  const openHttp1 = async (key: string, to: Chosen, signal: AbortSignal): Promise<Http1Client> => {
    const client = http1Client(byteStream(await o.dial(to, signal)));
    client.onClosed(() => {
      // A busy one ends with its exchange, which may still have bytes to read.
      if ((idle.get(key) ?? []).some((i) => i.client === client)) client.close();
      drop(idle, key, (i) => i.client === client);
    });
    return client;
  };
  const openHttp2 = async (key: string, to: Chosen, signal: AbortSignal): Promise<Session> => {
    const opened: Session = { client: http2Client(await o.dial(to, signal)), uid: to.workload.uid, usedAt: o.world.now() };
    sessions.set(key, [...(sessions.get(key) ?? []), opened]);
    opened.client.onClosed(() => drop(sessions, key, (s) => s === opened));
    return opened;
  };
  /** Callers at one moment share one new session; whoever opens it does so for all, so no single caller's end may stop it. */
  const session = (key: string, to: Chosen): Promise<Session> => {
    const known = (sessions.get(key) ?? []).find((s) => s.client.open);
    if (known !== undefined) return Promise.resolve(known);
    const pending = opening.get(key);
    if (pending !== undefined) return pending;
    const opened = openHttp2(key, to, new AbortController().signal).finally(() => opening.delete(key));
    opening.set(key, opened);
    return opened;
  };
  const sendHttp1 = async (key: string, to: Chosen, use: { request: Outgoing; fresh: boolean; signal: AbortSignal; over: () => void }) => {
    const client = (use.fresh ? undefined : takeIdle(key)) ?? (await openHttp1(key, to, use.signal));
    return client.send(use.request, use.signal, (free, keptMs) => {
      use.over();
      if (free) keep(key, to, client, keptMs);
    });
  };
  const sendHttp2 = async (key: string, to: Chosen, use: { request: Outgoing; signal: AbortSignal; over: () => void }) => {
    const s = await abortable(session(key, to), use.signal);
    return s.client.send(use.request, use.signal, () => {
      s.usedAt = o.world.now();
      use.over();
    });
  };
  const sweepIdle = (now: number): void => {
    const over = (i: Idle): boolean => i.until <= now || !o.known(i.uid);
    for (const [key, list] of [...idle]) {
      for (const i of list.filter(over)) i.client.close();
      drop(idle, key, over);
    }
  };
  const sweepSessions = (now: number): void => {
    for (const s of [...sessions.values()].flat()) {
      const idleTooLong = s.client.streams === 0 && now - s.usedAt >= o.idleMs;
      if (idleTooLong || !o.known(s.uid)) s.client.drain();
      s.client.tend(now);
    }
  };

  return {
    send: async (to, request, { version, fresh, signal }) => {
      const key = keyOf(to);
      const { uid } = to.workload;
      let counted = true;
      const over = (): void => {
        if (counted) count(uid, -1);
        counted = false;
      };
      count(uid, 1);
      try {
        return await (version === "http2"
          ? sendHttp2(key, to, { request, signal, over })
          : sendHttp1(key, to, { request, fresh, signal, over }));
      } catch (e) {
        over();
        return failed(e);
      }
    },
    active: (uid) => active.get(uid) ?? 0,
    sweep: () => {
      sweepIdle(o.world.now());
      sweepSessions(o.world.now());
    },
    close: () => {
      for (const list of [...idle.values()]) for (const i of [...list]) i.client.close();
      for (const list of [...sessions.values()]) for (const s of [...list]) s.client.close();
    },
    stats: () => ({
      idle: [...idle.values()].reduce((n, list) => n + list.length, 0),
      sessions: [...sessions.values()].reduce((n, list) => n + list.length, 0),
    }),
  };
};

/** The promise, or the signal's reason when that comes first; the work itself goes on for others. */
const abortable = <T>(work: Promise<T>, signal: AbortSignal): Promise<T> =>
  new Promise((resolve, reject) => {
    const onAbort = (): void => reject(asMeshError(signal.reason, "CLIENT_GONE") satisfies MeshError);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
