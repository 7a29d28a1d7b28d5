// What does the mesh know: workloads, services, endpoints, gateways? (domain form of istio.workload, ambient-l4 section 3.1)

import type { Cidr } from "../addr/cidr.ts";
import type { Ip } from "../addr/ip.ts";
import { type SpiffeId, spiffeId } from "../identity/spiffe.ts";

export type NetworkAddress = { readonly network: string; readonly ip: Ip };

export type GatewayDestination =
  | { readonly kind: "hostname"; readonly namespace: string; readonly hostname: string }
  | { readonly kind: "address"; readonly network: string; readonly ip: Ip };

export type GatewayAddress = { readonly destination: GatewayDestination; readonly hboneMtlsPort: number };

export type AppProtocol = "UNKNOWN" | "HTTP11" | "HTTP2" | "GRPC" | "TCP" | "TLS";

/** targetPort 0 means: named, ask the endpoint's own list. */
export type Port = { readonly servicePort: number; readonly targetPort: number; readonly appProtocol: AppProtocol };

export type Locality = { readonly region: string; readonly zone: string; readonly subzone: string };

export type WorkloadStatus = "HEALTHY" | "UNHEALTHY";
export type WorkloadType = "DEPLOYMENT" | "CRONJOB" | "POD" | "JOB";
export type TunnelProtocol = "NONE" | "HBONE";
export type NetworkMode = "STANDARD" | "HOST_NETWORK";
export type ApplicationTunnel = { readonly protocol: "NONE" | "PROXY"; readonly port: number };

export type Workload = {
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly addresses: readonly Ip[];
  readonly network: string;
  readonly tunnelProtocol: TunnelProtocol;
  readonly trustDomain: string;
  readonly serviceAccount: string;
  readonly waypoint: GatewayAddress | undefined;
  readonly node: string;
  readonly canonicalName: string;
  readonly canonicalRevision: string;
  readonly workloadType: WorkloadType;
  readonly workloadName: string;
  readonly nativeTunnel: boolean;
  /** "ns/name" of workload-selector policies; each must be held, or the workload denies. */
  readonly authorizationPolicies: readonly string[];
  readonly status: WorkloadStatus;
  readonly clusterId: string;
  readonly networkGateway: GatewayAddress | undefined;
  /** For workloads without addresses: resolved on demand. */
  readonly hostname: string;
  /** Ports by service key "ns/hostname". */
  readonly services: Readonly<Record<string, readonly Port[]>>;
  readonly applicationTunnel: ApplicationTunnel | undefined;
  readonly locality: Locality;
  readonly networkMode: NetworkMode;
  /** Weight in load balancing; 1 unless said otherwise. */
  readonly capacity: number;
};

export type LoadBalancingScope = "REGION" | "ZONE" | "SUBZONE" | "NODE" | "CLUSTER" | "NETWORK";
export type LoadBalancing = {
  readonly routingPreference: readonly LoadBalancingScope[];
  readonly mode: "UNSPECIFIED_MODE" | "STRICT" | "FAILOVER" | "PASSTHROUGH";
  readonly healthPolicy: "ONLY_HEALTHY" | "ALLOW_ALL";
};
export type IpFamilies = "AUTOMATIC" | "IPV4_ONLY" | "IPV6_ONLY" | "DUAL";
export type WeightedWaypoint = { readonly destination: GatewayAddress; readonly weight: number };

/** What Ambit asks of those who call a service with a waypoint, beyond Istio's rules (ambit.dev/require-waypoint, ambit.dev/uncaptured). */
export type WaypointRules = {
  /** Never passed by: while it cannot be had, the service is not reached at all. */
  readonly required: boolean;
  /** Why it cannot be had now; "" while it can. Nothing reaches a service that requires one meanwhile. */
  readonly missing: string;
  /** What its endpoints do with clients that come in plaintext, past the waypoint: take them, refuse them, or send them through it. */
  readonly uncaptured: "allow" | "refuse" | "hairpin";
};

export type Service = {
  readonly name: string;
  readonly namespace: string;
  readonly hostname: string;
  readonly addresses: readonly NetworkAddress[];
  /** VIPs given as blocks (ServiceEntry). */
  readonly cidrs: readonly { readonly network: string; readonly cidr: Cidr }[];
  readonly ports: readonly Port[];
  readonly subjectAltNames: readonly string[];
  readonly waypoint: GatewayAddress | undefined;
  readonly weightedWaypoints: readonly WeightedWaypoint[];
  readonly loadBalancing: LoadBalancing | undefined;
  readonly ipFamilies: IpFamilies;
  readonly canonical: boolean;
  readonly ingressUseWaypoint: boolean;
  readonly visibility: "PUBLIC" | "NAMESPACE";
  /** Absent: as in Istio, where a service whose waypoint is not told of is reached directly. */
  readonly waypointRules?: WaypointRules;
};

/** A workload as an endpoint of a service, with the ports it serves it on. */
export type Endpoint = { readonly workload: Workload; readonly ports: readonly Port[] };

/** The resource name of a service and the key of `Workload.services`: "ns/hostname". */
export const serviceKey = (s: { readonly namespace: string; readonly hostname: string }): string => `${s.namespace}/${s.hostname}`;

export const identityOf = (w: Pick<Workload, "trustDomain" | "namespace" | "serviceAccount">): SpiffeId =>
  spiffeId(w.trustDomain, w.namespace, w.serviceAccount);

/** The address part a reader can follow: "ns/hostname" or "network/ip". */
export const gatewayName = (g: GatewayAddress): string =>
  g.destination.kind === "hostname"
    ? `${g.destination.namespace}/${g.destination.hostname}`
    : `${g.destination.network}/${g.destination.ip}`;
