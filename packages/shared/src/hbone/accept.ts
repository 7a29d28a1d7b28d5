// How are tunnels taken from peers? (mTLS, HTTP/2, CONNECT)

import type { WorkloadCert } from "../ca/types.ts";
import type { World } from "../runtime/world.ts";
import type { TunnelRequest, TunnelServer } from "./types.ts";

export type TunnelServerLimits = {
  readonly maxStreams: number;
  readonly handshakeMs: number;
  readonly pingEveryMs: number;
  readonly pingTimeoutMs: number;
};
export type ServeTunnelsOptions = {
  readonly listen: { readonly fd: number } | { readonly port: number; readonly host: string };
  /** Our certificate now: asked for every connection. undefined: there is none, and the connection is closed. */
  readonly certs: () => WorkloadCert | undefined;
  /** Peers of another trust domain are closed after the handshake. */
  readonly trustDomain: string;
  /** Must accept or reject; a throw rejects with 503 (or its code's status) and is logged. */
  readonly onRequest: (request: TunnelRequest) => Promise<void> | void;
  readonly world: World;
  readonly limits?: Partial<TunnelServerLimits>;
  readonly log: (event: string, fields: object) => void;
};
export const serveTunnels = (_options: ServeTunnelsOptions): Promise<TunnelServer> => {
  throw new Error("not written yet");
};
