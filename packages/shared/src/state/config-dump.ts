// How does the mesh's state look in /config_dump? (the JSON of ztunnel's admin server, which istioctl and the CLI read)

import { formatCidr } from "../addr/cidr.ts";
import { addressKey } from "../addr/socket.ts";
import type { Match, Policy, PolicyReach, StringMatch } from "../authz/types.ts";
import { type Endpoint, type GatewayAddress, gatewayName, type Service, type WaypointRules, type Workload } from "./types.ts";

export type DumpGateway = { readonly destination: string; readonly hboneMtlsPort: number };
export type DumpWorkload = {
  readonly uid: string;
  readonly workloadIps: readonly string[];
  readonly waypoint?: DumpGateway;
  readonly protocol: "HBONE" | "TCP";
  readonly name: string;
  readonly namespace: string;
  readonly trustDomain: string;
  readonly serviceAccount: string;
  readonly workloadName: string;
  readonly workloadType: string;
  readonly canonicalName: string;
  readonly canonicalRevision: string;
  readonly network: string;
  readonly node: string;
  readonly clusterId: string;
  readonly status: "Healthy" | "Unhealthy";
  readonly services: readonly string[];
  readonly authorizationPolicies: readonly string[];
  readonly locality: { readonly region: string; readonly zone: string; readonly subzone: string };
  readonly networkMode: string;
  readonly capacity: number;
  readonly hostname: string;
};
export type DumpEndpoint = {
  readonly workloadUid: string;
  readonly port: Readonly<Record<string, number>>;
  readonly status: "Healthy" | "Unhealthy";
};
export type DumpService = {
  readonly name: string;
  readonly namespace: string;
  readonly hostname: string;
  /** "network/ip", or "network/ip/length" for a block. */
  readonly vips: readonly string[];
  readonly ports: Readonly<Record<string, number>>;
  readonly endpoints: Readonly<Record<string, DumpEndpoint>>;
  readonly subjectAltNames: readonly string[];
  readonly waypoint?: DumpGateway;
  readonly loadBalancer?: Service["loadBalancing"];
  readonly ipFamilies: string;
  readonly canonical: boolean;
  /** Ambit's own: what holds for the waypoint beyond Istio's rules. */
  readonly waypointRules?: WaypointRules;
};
export type DumpPolicy = {
  readonly name: string;
  readonly namespace: string;
  readonly scope: "Global" | "Namespace" | "WorkloadSelector";
  readonly action: "Allow" | "Deny";
  readonly dryRun: boolean;
  /** It came and could not be read: everything that it would have held for is denied until it changes or goes. */
  readonly refused?: true;
  /** rules → clauses → matches; only the fields that are set. */
  readonly rules: readonly (readonly (readonly Readonly<Record<string, unknown>>[])[])[];
};
export type DumpCertificate = {
  readonly identity: string;
  readonly state: string;
  readonly certChain: readonly DumpPem[];
  readonly rootCerts: readonly DumpPem[];
};
/** pem is base64 of the PEM text; times are RFC 3339. */
export type DumpPem = { readonly pem: string; readonly serialNumber: string; readonly validFrom: string; readonly expirationTime: string };
export type DumpConnection = {
  readonly src: string;
  readonly originalDst: string;
  readonly actualDst: string;
  readonly protocol: "HBONE" | "TCP";
};
export type DumpWorkloadState = {
  readonly state: "Pending" | "Up";
  readonly connections: { readonly inbound: readonly DumpConnection[]; readonly outbound: readonly DumpConnection[] };
  readonly info: { readonly name: string; readonly namespace: string; readonly serviceAccount: string };
};
export type ConfigDump = {
  readonly workloads: readonly DumpWorkload[];
  readonly services: readonly DumpService[];
  readonly policies: readonly DumpPolicy[];
  readonly stagedServices: Readonly<Record<string, unknown>>;
  readonly staticConfig: Readonly<Record<string, unknown>>;
  readonly version: Readonly<Record<string, string>>;
  readonly config: Readonly<Record<string, unknown>>;
  readonly certificates: readonly DumpCertificate[];
  readonly workloadState: Readonly<Record<string, DumpWorkloadState>>;
};

const gateway = (g: GatewayAddress | undefined): { waypoint: DumpGateway } | object =>
  g === undefined ? {} : { waypoint: { destination: gatewayName(g), hboneMtlsPort: g.hboneMtlsPort } };

const status = (w: Workload): "Healthy" | "Unhealthy" => (w.status === "HEALTHY" ? "Healthy" : "Unhealthy");

export const dumpWorkload = (w: Workload): DumpWorkload => ({
  uid: w.uid,
  workloadIps: w.addresses,
  ...gateway(w.waypoint),
  protocol: w.tunnelProtocol === "HBONE" ? "HBONE" : "TCP",
  name: w.name,
  namespace: w.namespace,
  trustDomain: w.trustDomain,
  serviceAccount: w.serviceAccount,
  workloadName: w.workloadName,
  workloadType: w.workloadType.toLowerCase(),
  canonicalName: w.canonicalName,
  canonicalRevision: w.canonicalRevision,
  network: w.network,
  node: w.node,
  clusterId: w.clusterId,
  status: status(w),
  services: Object.keys(w.services),
  authorizationPolicies: w.authorizationPolicies,
  locality: w.locality,
  networkMode: w.networkMode === "HOST_NETWORK" ? "HostNetwork" : "Standard",
  capacity: w.capacity,
  hostname: w.hostname,
});

const portMap = (ports: Service["ports"]): Record<string, number> =>
  Object.fromEntries(ports.map((p) => [String(p.servicePort), p.targetPort]));

export const dumpService = (s: Service, endpoints: readonly Endpoint[]): DumpService => ({
  name: s.name,
  namespace: s.namespace,
  hostname: s.hostname,
  vips: [...s.addresses.map((a) => addressKey(a.network, a.ip)), ...s.cidrs.map((c) => `${c.network}/${formatCidr(c.cidr)}`)],
  ports: portMap(s.ports),
  endpoints: Object.fromEntries(
    endpoints.map((e) => [e.workload.uid, { workloadUid: e.workload.uid, port: portMap(e.ports), status: status(e.workload) }]),
  ),
  subjectAltNames: s.subjectAltNames,
  ...gateway(s.waypoint),
  ...(s.loadBalancing === undefined ? {} : { loadBalancer: s.loadBalancing }),
  ipFamilies: s.ipFamilies,
  canonical: s.canonical,
  ...(s.waypointRules === undefined ? {} : { waypointRules: s.waypointRules }),
});

const stringMatch = (m: StringMatch): Record<string, unknown> =>
  m.kind === "presence" ? { Presence: {} } : { [`${m.kind.charAt(0).toUpperCase()}${m.kind.slice(1)}`]: m.value };

const dumpMatch = (m: Match): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    Object.entries(m).flatMap(([field, values]) => {
      if (values.length === 0) return [];
      const shown = (values as readonly unknown[]).map((v) => {
        if (typeof v !== "object" || v === null) return v;
        if ("kind" in v) return stringMatch(v as StringMatch);
        return "bytes" in v ? formatCidr(v as Parameters<typeof formatCidr>[0]) : v;
      });
      return [[field, shown]];
    }),
  );

const SCOPES = { GLOBAL: "Global", NAMESPACE: "Namespace", WORKLOAD_SELECTOR: "WorkloadSelector" } as const;

export const dumpPolicy = (p: Policy): DumpPolicy => ({
  name: p.name,
  namespace: p.namespace,
  scope: SCOPES[p.scope],
  action: p.action === "ALLOW" ? "Allow" : "Deny",
  dryRun: p.dryRun,
  rules: p.rules.map((r) => r.clauses.map((c) => c.matches.map(dumpMatch))),
});

/** A policy that could not be read, in the form of one that denies. */
export const dumpRefused = ({ key, reach }: { readonly key: string; readonly reach: PolicyReach }): DumpPolicy => ({
  name: key.slice(key.indexOf("/") + 1),
  namespace: key.slice(0, Math.max(0, key.indexOf("/"))),
  scope: SCOPES[reach.scope],
  action: "Deny",
  dryRun: false,
  refused: true,
  rules: [],
});
