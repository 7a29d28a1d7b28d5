// How is a connection described in metrics and in the access log? (ambient-l4 sections 6.1 and 6.2)

import { formatSocketAddr, type SocketAddr } from "@ambit/shared/addr/socket.ts";
import type { SpiffeId } from "@ambit/shared/identity/spiffe.ts";
import { destinationLabels, known, SOURCE_LABELS, serviceLabels, sourceLabels } from "@ambit/shared/proxy/labels.ts";
import type { Service, Workload } from "@ambit/shared/state/types.ts";
import { bare, type FieldGroup, type Fields, type LogFields } from "@ambit/shared/telemetry/log-line.ts";
import type { Parties } from "./parties.ts";

/** What is known of a connection once it has been planned. */
export type Traffic = {
  readonly reporter: "source" | "destination";
  readonly source: { readonly addr: SocketAddr; readonly workload: Workload | undefined; readonly identity: SpiffeId | undefined };
  readonly destination: {
    /** What the proxy dialled. */
    readonly addr: SocketAddr;
    /** The tunnel's authority, when there is a tunnel. */
    readonly hboneAddr: string | undefined;
    readonly workload: Workload | undefined;
    readonly identity: SpiffeId | undefined;
    readonly service: Service | undefined;
  };
  /** True: mutual TLS between the two named identities. */
  readonly secured: boolean;
};

/** Istio's order; queries and recording rules rely on the names. */
export const TRAFFIC_LABELS = [
  "reporter",
  ...SOURCE_LABELS,
  "destination_service",
  "destination_service_namespace",
  "destination_service_name",
  "destination_workload",
  "destination_canonical_service",
  "destination_canonical_revision",
  "destination_workload_namespace",
  "destination_principal",
  "destination_app",
  "destination_version",
  "destination_cluster",
  "request_protocol",
  "response_flags",
  "connection_security_policy",
  "source_region",
  "source_zone",
  "destination_region",
  "destination_zone",
] as const;
export type TrafficLabel = (typeof TRAFFIC_LABELS)[number];

/** The labels of a connection; what is not known is "unknown". */
export const trafficLabels = (t: Traffic, responseFlags: string): Record<TrafficLabel, string> => {
  const s = t.source.workload;
  const d = t.destination.workload;
  return {
    reporter: t.reporter,
    ...sourceLabels(s, t.secured ? t.source.identity?.uri : undefined),
    ...serviceLabels(t.destination.service),
    ...destinationLabels(d, t.secured ? t.destination.identity?.uri : undefined),
    request_protocol: "tcp",
    response_flags: responseFlags,
    connection_security_policy: t.secured ? "mutual_tls" : "unknown",
    source_region: known(s?.locality.region),
    source_zone: known(s?.locality.zone),
    destination_region: known(d?.locality.region),
    destination_zone: known(d?.locality.zone),
  };
};

export type Outcome = {
  /** Client to server, and server to client. */
  readonly fromClient: number;
  readonly fromServer: number;
  readonly durationMs: number;
  readonly error: string | undefined;
};

const text = (s: string | undefined): string | undefined => (s === "" ? undefined : s);

/** The fields that tell who talks to whom, in Istio's order. */
const parties = (t: Traffic, p: Parties): readonly (Fields | FieldGroup)[] => [
  { "src.addr": bare(formatSocketAddr(t.source.addr)) },
  p.source(t.source.workload, t.secured ? t.source.identity : undefined).log,
  {
    "dst.addr": bare(formatSocketAddr(t.destination.addr)),
    "dst.hbone_addr": t.destination.hboneAddr === undefined ? undefined : bare(t.destination.hboneAddr),
    "dst.service": text(t.destination.service?.hostname),
  },
  p.destination(t.destination.workload, t.secured ? t.destination.identity : undefined).log,
];

const direction = (t: Traffic): string => (t.reporter === "source" ? "outbound" : "inbound");

export const openedFields = (t: Traffic, p: Parties): LogFields => [...parties(t, p), { direction: direction(t) }];

/** The fields of the completion line. Sent and received are seen from the proxied pod: at the destination, sent is server to client. */
export const completeFields = (t: Traffic, p: Parties, o: Outcome): LogFields => [
  ...parties(t, p),
  {
    direction: direction(t),
    bytes_sent: t.reporter === "source" ? o.fromClient : o.fromServer,
    bytes_recv: t.reporter === "source" ? o.fromServer : o.fromClient,
    duration: `${Math.round(o.durationMs)}ms`,
    error: o.error,
  },
];

/** Equal for connections with the same labels, as long as the parties are remembered. */
export const trafficKey = (t: Traffic, p: Parties, responseFlags: string): string => {
  const { source: s, destination: d, secured } = t;
  const source = p.source(s.workload, secured ? s.identity : undefined).id;
  const destination = p.destination(d.workload, secured ? d.identity : undefined).id;
  return `${t.reporter} ${secured} ${responseFlags} ${source} ${destination} ${p.service(d.service)}`;
};
