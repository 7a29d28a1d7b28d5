// What does the data path know of the pod it serves?

import type { SocketAddr } from "@ambit/shared/addr/socket.ts";
import type { AuthzSubject } from "@ambit/shared/authz/types.ts";
import type { SpiffeId } from "@ambit/shared/identity/spiffe.ts";
import type { Live } from "@ambit/shared/live/store.ts";
import type { Workload } from "@ambit/shared/state/types.ts";
import type { LocalWorkload } from "@ambit/shared/state/view.ts";
import type { PodNet } from "./inpod/listen.ts";

export type InboundConnection = {
  /** As it was when the connection came; policies are asked for what it is now. */
  readonly workload: Workload;
  readonly subject: AuthzSubject;
  readonly from: SocketAddr;
  readonly to: SocketAddr;
  readonly protocol: "HBONE" | "TCP";
};

export type OutboundConnection = {
  readonly from: SocketAddr;
  readonly originalDst: SocketAddr;
  /** What was dialled: the endpoint, or the peer of the tunnel. */
  readonly actualDst: SocketAddr;
  readonly protocol: "HBONE" | "TCP";
};

/** A connection that somebody opened, whatever becomes of it. */
export type TakenConnection = { readonly from: SocketAddr; readonly to: SocketAddr };

export type Pod = {
  readonly uid: string;
  readonly who: LocalWorkload;
  readonly identity: SpiffeId;
  readonly net: PodNet;
  /** True from the moment the pod has been told to end. */
  readonly dying: () => boolean;
  /** Every connection from the moment it is taken to its end: also those that still wait to know who the pod is, or dial. */
  readonly taken: Live<TakenConnection>;
  /** Those that were decided: policies are asked again for the inbound ones. */
  readonly inbound: Live<InboundConnection>;
  readonly outbound: Live<OutboundConnection>;
  /** The pod's own workload; waits a while for it to arrive. Throws MeshError UNKNOWN_SOURCE. */
  workload(signal: AbortSignal): Promise<Workload>;
};
