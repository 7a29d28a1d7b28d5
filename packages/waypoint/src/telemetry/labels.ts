// Which labels does a waypoint's metric carry? (istio_stats, reporter="waypoint"; waypoint-l7 section 5.1)

import type { SpiffeId } from "@ambit/shared/identity/spiffe.ts";
import { destinationLabels, known, SOURCE_LABELS, serviceLabels, sourceLabels } from "@ambit/shared/proxy/labels.ts";
import { identityOf, type Workload } from "@ambit/shared/state/types.ts";

/** In Istio's order. */
export const TCP_LABELS = [
  "reporter",
  ...SOURCE_LABELS,
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
  readonly peer: SpiffeId | undefined;
  /** The caller's workload, found by its address. */
  readonly source: Workload | undefined;
  readonly destination: Workload | undefined;
  readonly service: { readonly namespace: string; readonly hostname: string; readonly name: string };
};

export const tcpLabels = ({ peer, source, destination, service }: TrafficEnds, flags: string): Record<TcpLabel, string> => ({
  reporter: "waypoint",
  ...sourceLabels(source, peer?.uri),
  source_canonical_revision: source === undefined || source.canonicalRevision === "" ? "latest" : source.canonicalRevision,
  // From the certificate, not the address: it cannot be claimed.
  source_workload_namespace: known(peer?.namespace ?? source?.namespace),
  ...destinationLabels(destination, destination && identityOf(destination).uri),
  ...serviceLabels(service),
  request_protocol: "tcp",
  response_flags: flags,
  // A caller reaches a waypoint through its mTLS tunnel only; a client outside the mesh came to the tunnel in plaintext.
  connection_security_policy: peer === undefined ? "unknown" : "mutual_tls",
});

export type HttpResult = { readonly grpc: boolean; readonly status: number; readonly grpcStatus: string; readonly flags: string };

export const httpLabels = (ends: TrafficEnds, r: HttpResult): Record<HttpLabel, string> => ({
  ...tcpLabels(ends, r.flags),
  request_protocol: r.grpc ? "grpc" : "http",
  response_code: String(r.status),
  grpc_response_status: r.grpcStatus,
});
