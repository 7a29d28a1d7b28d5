// How does a connection reach a pod of the same process without a tunnel? (nothing of it leaves the process, so nothing goes in clear)

import type { Socket } from "node:net";
import type { SocketAddr } from "@ambit/shared/addr/socket.ts";
import type { Meter } from "@ambit/shared/copy/splice.ts";
import { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import { saysElsewhere } from "@ambit/shared/hbone/elsewhere.ts";
import type { TunnelHeaders } from "@ambit/shared/hbone/types.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { Pod } from "../../pod.ts";
import { within } from "../within.ts";
import type { LocalPod } from "./store.ts";

/** The connection is carried by the inbound side: bytes to count, and its end to wait for. */
export type Handed = {
  /** Counts from now on, with what has passed already. */
  count(meters: { readonly fromClient: Meter; readonly fromServer: Meter }): void;
  /** Resolves when both directions have ended. */
  readonly ended: Promise<void>;
};

export type HandOver = {
  readonly client: Socket;
  readonly from: SocketAddr;
  /** The address of the neighbour's tunnel: what it would have been reached at. */
  readonly via: SocketAddr;
  readonly authority: string;
  readonly headers: TunnelHeaders;
  /** Gives up while there is no answer. */
  readonly signal: AbortSignal;
  /** Called when the neighbour takes it, before anything is carried. */
  readonly opened: (() => void) | undefined;
  /** Ends the connection later on. */
  readonly cut: AbortSignal;
};

/** A meter that keeps its count until there is somebody to tell. */
const lateMeter = (): Meter & { bind(to: Meter): void } => {
  let held = 0;
  let target: Meter | undefined;
  return {
    add: (n) => {
      if (target === undefined) held += n;
      else target.add(n);
    },
    bind: (to) => {
      target = to;
      if (held > 0) to.add(held);
      held = 0;
    },
  };
};

/** Gives the client's socket to the neighbour's inbound side. Throws MeshError as a tunnel would: HTTP_STATUS with the status. */
export const handOver = (caller: Pod, local: LocalPod, over: HandOver): Promise<Handed> =>
  new Promise((resolve, reject) => {
    const fromClient = lateMeter();
    const fromServer = lateMeter();
    const done = Promise.withResolvers<void>();
    let answered = false;
    const refused = (status: number, headers: TunnelHeaders = {}): void => {
      if (answered) return;
      answered = true;
      const error = saysElsewhere(status, headers)
        ? new MeshError("ELSEWHERE", `the peer asks to take CONNECT ${over.authority} elsewhere`, undefined, { status })
        : new MeshError("HTTP_STATUS", `the peer answered ${status} to CONNECT ${over.authority}`, undefined, { status });
      reject(error);
    };
    const accept = (): Socket => {
      answered = true;
      over.opened?.();
      resolve({
        count: (meters) => {
          fromClient.bind(meters.fromClient);
          fromServer.bind(meters.fromServer);
        },
        ended: done.promise,
      });
      return over.client;
    };
    void local
      .serve({
        method: "CONNECT",
        authority: over.authority,
        headers: over.headers,
        peer: caller.identity,
        remote: over.from,
        local: over.via,
        signal: over.signal,
        accept,
        open: accept,
        reject: refused,
        joined: { fromClient, fromServer, signal: over.cut },
      })
      .then(() => {
        refused(503);
        done.resolve();
      });
  });

/** How long one successful dial of a neighbour's 15008 stands for the next connections to it. */
const PROVED_MS = 10_000;
const DIAL_MS = 1_000;
/** Pairs remembered; the oldest are forgotten first. */
const PAIRS = 10_000;

export type Reachability = {
  /** True when the caller may dial the neighbour's tunnel now. */
  reaches(caller: Pod, via: SocketAddr, signal: AbortSignal): Promise<boolean>;
};

/**
 * A NetworkPolicy that forbids a pod its neighbour's 15008 is enforced on the network, which a hand-over never touches. So the
 * port is dialled once in ten seconds for each pair: where that fails, the tunnel is taken, and fails as it should.
 */
export const createReachability = (world: World): Reachability => {
  const proved = new Map<string, number>();
  const asking = new Map<string, Promise<boolean>>();
  const never = new AbortController().signal;

  const remember = (key: string): void => {
    proved.delete(key);
    proved.set(key, world.now());
    const oldest = proved.size > PAIRS ? proved.keys().next() : undefined;
    if (oldest?.done === false) proved.delete(oldest.value);
  };
  const ask = async (key: string, caller: Pod, via: SocketAddr): Promise<boolean> => {
    using limit = within(world, DIAL_MS, { signal: never, late: () => new Error(`no answer within ${DIAL_MS} ms`) });
    try {
      const socket = await caller.net.dial(via, { signal: limit.signal, halfOpen: false });
      socket.destroy();
      remember(key);
      return true;
    } catch {
      // Why it cannot be dialled is told by the tunnel that is taken instead.
      proved.delete(key);
      return false;
    } finally {
      asking.delete(key);
    }
  };
  return {
    reaches: (caller, via, signal) => {
      const key = `${caller.uid} ${via.ip} ${via.port}`;
      const at = proved.get(key);
      if (at !== undefined && world.now() - at < PROVED_MS) return Promise.resolve(true);
      signal.throwIfAborted();
      const pending = asking.get(key) ?? ask(key, caller, via);
      asking.set(key, pending);
      return pending;
    },
  };
};
