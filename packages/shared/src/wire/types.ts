// What are the wire messages in domain form, and what are they called?

import type { Ip } from "../addr/ip.ts";
import { addressKey } from "../addr/socket.ts";
import { type Service, serviceKey, type Workload } from "../state/types.ts";

export const ADDRESS_TYPE = "type.googleapis.com/istio.workload.Address";
export const AUTHORIZATION_TYPE = "type.googleapis.com/istio.security.Authorization";
export const WAYPOINT_SERVICE_TYPE = "type.googleapis.com/ambit.waypoint.v1.Service";

export type Address = { readonly kind: "workload"; readonly workload: Workload } | { readonly kind: "service"; readonly service: Service };

/** The xDS resource name (ambient-l4 section 3.2): a workload's uid, a service's "ns/hostname". */
export const addressName = (a: Address): string => (a.kind === "workload" ? a.workload.uid : serviceKey(a.service));

/** The names an on-demand client may ask by instead: "network/ip", and "network/ip/bits" for a service's blocks. */
export const addressAliases = (a: Address): string[] =>
  a.kind === "workload"
    ? a.workload.networkMode === "HOST_NETWORK"
      ? []
      : a.workload.addresses.map((ip) => addressKey(a.workload.network, ip))
    : [
        ...a.service.addresses.map((n) => addressKey(n.network, n.ip)),
        ...a.service.cidrs.map((c) => `${addressKey(c.network, c.cidr.ip)}/${c.cidr.bits}`),
      ];

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };
export type JsonObject = { readonly [key: string]: JsonValue };

/** The caller's description of itself in its first request: "ztunnel~10.0.0.1~name.ns~ns.svc.cluster.local". */
export type Node = { readonly id: string; readonly metadata: JsonObject };

export type DeltaRequest = {
  readonly node?: Node;
  readonly typeUrl: string;
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  /** Only in the first request of a type: what the client still holds, by name. */
  readonly initialVersions: ReadonlyMap<string, string>;
  /** "" when the request answers nothing. */
  readonly responseNonce: string;
  /** Set: the response was refused (NACK). */
  readonly error?: { readonly code: number; readonly message: string };
};

export type DeltaResource = {
  readonly name: string;
  readonly version: string;
  readonly aliases: readonly string[];
  readonly value: Uint8Array;
};
export type DeltaResponse = {
  readonly typeUrl: string;
  readonly nonce: string;
  readonly systemVersion: string;
  readonly resources: readonly DeltaResource[];
  readonly removed: readonly string[];
};

export type CreateCertificateRequest = { readonly csr: string; readonly validitySeconds: number; readonly metadata: JsonObject };
/** Leaf, intermediates, and last the bundle of roots; each element is PEM text. */
export type CreateCertificateResponse = { readonly certChain: readonly string[] };

/** How the kubelet writes a pod's resolv.conf, from its spec: nameservers and searches are those of its dnsConfig. */
export type PodDns = {
  readonly policy: "ClusterFirst" | "Default" | "None";
  readonly searches: readonly string[];
  readonly nameservers: readonly Ip[];
};
/** `dns` is Ambit's own: absent means ClusterFirst with nothing added, and istio-cni never tells it. */
export type ZdsWorkload = {
  readonly name: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly dns?: PodDns;
};
export type ZdsRequest =
  | { readonly kind: "add"; readonly uid: string; readonly workload: ZdsWorkload }
  | { readonly kind: "keep"; readonly uid: string }
  | { readonly kind: "del"; readonly uid: string }
  | { readonly kind: "snapshot-sent" }
  /** Ambit's own: the pod has been told to end. Only for those whose hello understands it. */
  | { readonly kind: "terminating"; readonly uid: string };
/** error "" is success. */
export type ZdsAck = { readonly error: string };
/** What a ztunnel may understand beyond Istio's messages. */
export const ZDS_EXTENSIONS = ["terminating"] as const;
export type ZdsExtension = (typeof ZDS_EXTENSIONS)[number];
export type ZdsHello = { readonly version: "V1"; readonly understands: readonly ZdsExtension[] };
