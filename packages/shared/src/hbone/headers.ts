// Which headers does a CONNECT carry: baggage, forwarded, traceparent? (ambient-l4 section 1.7)

import type { SocketAddr } from "../addr/socket.ts";
import type { WorkloadType } from "../state/types.ts";

/** Who a workload is, in words; "" where not known. */
export type Baggage = {
  readonly clusterId: string;
  readonly namespace: string;
  readonly workloadType: WorkloadType;
  readonly workloadName: string;
  readonly canonicalName: string;
  readonly canonicalRevision: string;
  readonly region: string;
  readonly zone: string;
};
export const formatBaggage = (_b: Baggage): string => {
  throw new Error("not written yet");
};
/** What can be read of it; unknown keys are ignored. For telemetry only, never for a decision. */
export const parseBaggage = (_text: string): Partial<Baggage> => {
  throw new Error("not written yet");
};
/** `for="ip:port";host=name`. */
export const formatForwarded = (_source: SocketAddr, _host?: string): string => {
  throw new Error("not written yet");
};
export const parseForwarded = (_text: string): { readonly source?: SocketAddr; readonly host?: string } => {
  throw new Error("not written yet");
};
/** A new trace, from uniform numbers in [0, 1). */
export const mintTraceparent = (_random: () => number): string => {
  throw new Error("not written yet");
};
