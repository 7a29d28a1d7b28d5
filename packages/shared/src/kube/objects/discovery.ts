// What do EndpointSlices and Leases look like, as far as we read them? (discovery.k8s.io, coordination.k8s.io) (unknown fields stay in the values, untyped)

import type { KubeObject, ObjectReference } from "./meta.ts";

export type Endpoint = {
  readonly addresses: readonly string[];
  readonly conditions?: { readonly ready?: boolean; readonly serving?: boolean; readonly terminating?: boolean };
  readonly hostname?: string;
  readonly targetRef?: ObjectReference;
  readonly nodeName?: string;
  readonly zone?: string;
};
export type EndpointPort = {
  readonly name?: string;
  readonly port?: number | null;
  readonly protocol?: string;
  readonly appProtocol?: string;
};
export type EndpointSlice = KubeObject & {
  readonly addressType: string;
  readonly endpoints: readonly Endpoint[] | null;
  readonly ports?: readonly EndpointPort[] | null;
};
export type Lease = KubeObject & {
  readonly spec?: {
    readonly holderIdentity?: string | null;
    readonly leaseDurationSeconds?: number | null;
    /** RFC 3339 with microseconds. */
    readonly acquireTime?: string | null;
    readonly renewTime?: string | null;
    readonly leaseTransitions?: number | null;
  };
};
