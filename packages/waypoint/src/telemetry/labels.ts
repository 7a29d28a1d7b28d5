// Which labels does a waypoint's metric carry? (istio_stats, reporter="waypoint"; waypoint-l7 section 5.1)

import type { SpiffeId } from "@ambit/shared/identity/spiffe.ts";
import { identityOf, type Workload } from "@ambit/shared/state/types.ts";

/** In Istio's order. */
export const TCP_LABELS = [
  "reporter",
  "source_workload",
  "source_canonical_service",
  "source_canonical_revision",
  "source_workload_namespace",
  "source_principal",
  "source_app",
  "source_version",
  "source_cluster",
  "destination_workload",
  "destination_workload_namespace",
  "destination_principal",
  "destination_app",
  "destination_version",
  "destination_service",
  "destination_canonical_service",
  "destination_canonical_revision",
  "destination_service_name",
  "destination_service_namespace",
  "destination_cluster",
  "request_protocol",
  "response_flags",
  "connection_security_policy",
] as const;

export const HTTP_LABELS = [
  ...TCP_LABELS.slice(0, -2),
  "response_code",
  "grpc_response_status",
  "response_flags",
  "connection_security_policy",
] as const;

export type TcpLabel = (typeof TCP_LABELS)[number];
export type HttpLabel = TcpLabel | "response_code" | "grpc_response_status";

export type TrafficEnds = {
  readonly peer: SpiffeId;
  /** The caller's workload, found by its address. */
  readonly source: Workload | undefined;
  readonly destination: Workload | undefined;
  readonly service: { readonly namespace: string; readonly hostname: string; readonly name: string };
};

const known = (v: string | undefined): string => (v === undefined || v === "" ? "unknown" : v);

/** The namespace comes from the certificate first: it cannot be claimed. */
const sourceLabels = ({ peer, source }: TrafficEnds) => ({
  source_workload: known(source?.workloadName),
  source_canonical_service: known(source?.canonicalName),
  source_canonical_revision: source === undefined || source.canonicalRevision === "" ? "latest" : source.canonicalRevision,
  source_workload_namespace: peer.namespace,
  source_principal: peer.uri,
  source_app: known(source?.canonicalName),
  source_version: known(source?.canonicalRevision),
  source_cluster: known(source?.clusterId),
});

const destinationLabels = ({ destination: w, service }: TrafficEnds) => ({
  destination_workload: known(w?.workloadName),
  destination_workload_namespace: known(w?.namespace),
  destination_principal: w === undefined ? "unknown" : identityOf(w).uri,
  destination_app: known(w?.canonicalName),
  destination_version: known(w?.canonicalRevision),
  destination_service: known(service.hostname),
  destination_canonical_service: known(w?.canonicalName),
  destination_canonical_revision: known(w?.canonicalRevision),
  destination_service_name: known(service.name),
  destination_service_namespace: known(service.namespace),
  destination_cluster: known(w?.clusterId),
});

export const tcpLabels = (ends: TrafficEnds, flags: string): Record<TcpLabel, string> => ({
  reporter: "waypoint",
  ...sourceLabels(ends),
  ...destinationLabels(ends),
  request_protocol: "tcp",
  response_flags: flags,
  // A caller reaches a waypoint through its mTLS tunnel only.
  connection_security_policy: "mutual_tls",
});

export type HttpResult = { readonly grpc: boolean; readonly status: number; readonly grpcStatus: string; readonly flags: string };

export const httpLabels = (ends: TrafficEnds, r: HttpResult): Record<HttpLabel, string> => ({
  ...tcpLabels(ends, r.flags),
  request_protocol: r.grpc ? "grpc" : "http",
  response_code: String(r.status),
  grpc_response_status: r.grpcStatus,
});
