// Which connection carries a tunnel, and when is a new one dialled? (ambient-l4 section 1.9)

import type { Duplex } from "node:stream";
import type { SocketAddr } from "../addr/socket.ts";
import type { WorkloadCert } from "../ca/types.ts";
import type { SpiffeId } from "../identity/spiffe.ts";
import type { World } from "../runtime/world.ts";
import type { TunnelPool } from "./types.ts";

export type TunnelPoolLimits = {
  readonly maxStreams: number;
  readonly dialMs: number;
  readonly answerMs: number;
  readonly idleMs: number;
  readonly checkAfterMs: number;
  readonly pingEveryMs: number;
  readonly pingTimeoutMs: number;
};
export type TunnelPoolOptions = {
  readonly cert: (self: SpiffeId) => Promise<WorkloadCert>;
  /** A connected TCP socket; from is the source address to bind, or "" for none. Throws when it cannot be made. */
  readonly dial: (to: SocketAddr, from: string, signal: AbortSignal) => Promise<Duplex>;
  readonly world: World;
  readonly limits?: Partial<TunnelPoolLimits>;
};
export const createTunnelPool = (_options: TunnelPoolOptions): TunnelPool => {
  throw new Error("not written yet");
};
