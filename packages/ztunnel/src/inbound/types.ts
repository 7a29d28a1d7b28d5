// What does the inbound side take: a CONNECT from a tunnel, or one handed over by a pod of the same process?

import type { Meter } from "@ambit/shared/copy/splice.ts";
import type { TunnelRequest } from "@ambit/shared/hbone/types.ts";

/** The caller's side of a connection that never left the process. */
export type Joined = {
  /** The caller counts the same bytes. */
  readonly fromClient: Meter;
  readonly fromServer: Meter;
  /** Aborts when the caller's side must end: its pod has gone, or it is shutting down. */
  readonly signal: AbortSignal;
};

export type IncomingRequest = TunnelRequest & { readonly joined?: Joined };
