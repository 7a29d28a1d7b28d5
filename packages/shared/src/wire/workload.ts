// How is a workload written and read? (istio.workload.Workload, with the defaults of ambient-l4 section 3.1)

import { ipBytes } from "../addr/ip.ts";
import { all, allOf, err, mapOk, ok, type Result } from "../runtime/result.ts";
import type { ApplicationTunnel, Locality, NetworkMode, Port, Workload, WorkloadStatus, WorkloadType } from "../state/types.ts";
import { readOptionalGateway, readServicePort, type WireGatewayAddress, type WirePort, writeGateway, writePort } from "./gateway.ts";
import { at, each, names, readIp, readName, readPort } from "./read.ts";

export type WireWorkload = {
  name: string;
  namespace: string;
  addresses: Uint8Array[];
  network: string;
  tunnelProtocol: number;
  trustDomain: string;
  serviceAccount: string;
  waypoint?: WireGatewayAddress | null;
  node: string;
  canonicalName: string;
  canonicalRevision: string;
  workloadType: number;
  workloadName: string;
  nativeTunnel: boolean;
  authorizationPolicies: string[];
  status: number;
  clusterId: string;
  networkGateway?: WireGatewayAddress | null;
  uid: string;
  hostname: string;
  services: Record<string, { ports: WirePort[] }>;
  applicationTunnel?: { protocol: number; port: number } | null;
  locality?: Locality | null;
  networkMode: number;
  capacity?: { value: number } | null;
};

const status = names<WorkloadStatus>("HEALTHY", "UNHEALTHY");
const workloadType = names<WorkloadType>("DEPLOYMENT", "CRONJOB", "POD", "JOB");
const networkMode = names<NetworkMode>("STANDARD", "HOST_NETWORK");
const appTunnel = names<ApplicationTunnel["protocol"]>("NONE", "PROXY");

const LEGACY_ISTIO_MTLS = 2;
const readTunnelProtocol = (n: number): Result<Workload["tunnelProtocol"]> =>
  n === LEGACY_ISTIO_MTLS
    ? err("tunnel_protocol: LEGACY_ISTIO_MTLS is not supported")
    : names<Workload["tunnelProtocol"]>("NONE", "HBONE").read("tunnel_protocol", n);

const readAppTunnel = (t: WireWorkload["applicationTunnel"]): Result<ApplicationTunnel | undefined> =>
  t === null || t === undefined
    ? ok(undefined)
    : at("application_tunnel", allOf({ protocol: appTunnel.read("protocol", t.protocol), port: readPort("port", t.port) }));

const readServices = (services: WireWorkload["services"]): Result<Record<string, readonly Port[]>> =>
  mapOk(
    all(
      Object.entries(services).map(([key, list]) =>
        mapOk(each(`services[${JSON.stringify(key)}]`, list.ports, readServicePort), (ports) => [key, ports] as const),
      ),
    ),
    Object.fromEntries,
  );

const or = (s: string, fallback: string): string => (s === "" ? fallback : s);

export const writeWorkload = (w: Workload): WireWorkload => ({
  name: w.name,
  namespace: w.namespace,
  addresses: w.addresses.map(ipBytes),
  network: w.network,
  tunnelProtocol: w.tunnelProtocol === "HBONE" ? 1 : 0,
  // The defaults are written as absent, as istiod does.
  trustDomain: w.trustDomain === "cluster.local" ? "" : w.trustDomain,
  serviceAccount: w.serviceAccount === "default" ? "" : w.serviceAccount,
  waypoint: w.waypoint === undefined ? null : writeGateway(w.waypoint),
  node: w.node,
  canonicalName: w.canonicalName,
  canonicalRevision: w.canonicalRevision,
  workloadType: workloadType.write(w.workloadType),
  workloadName: w.workloadName,
  nativeTunnel: w.nativeTunnel,
  authorizationPolicies: [...w.authorizationPolicies],
  status: status.write(w.status),
  clusterId: w.clusterId,
  networkGateway: w.networkGateway === undefined ? null : writeGateway(w.networkGateway),
  uid: w.uid,
  hostname: w.hostname,
  // Sorted, so that equal workloads have equal bytes and so equal versions.
  services: Object.fromEntries(
    Object.keys(w.services)
      .sort()
      .map((key) => [key, { ports: (w.services[key] ?? []).map(writePort) }]),
  ),
  applicationTunnel:
    w.applicationTunnel === undefined ? null : { protocol: appTunnel.write(w.applicationTunnel.protocol), port: w.applicationTunnel.port },
  locality: w.locality.region === "" && w.locality.zone === "" && w.locality.subzone === "" ? null : w.locality,
  networkMode: networkMode.write(w.networkMode),
  capacity: w.capacity === 1 ? null : { value: w.capacity },
});

export const readWorkload = (w: WireWorkload): Result<Workload> =>
  mapOk(
    allOf({
      uid: readName("uid", w.uid),
      addresses: each("addresses", w.addresses, readIp),
      tunnelProtocol: readTunnelProtocol(w.tunnelProtocol),
      waypoint: readOptionalGateway("waypoint", w.waypoint),
      workloadType: workloadType.read("workload_type", w.workloadType),
      status: status.read("status", w.status),
      networkGateway: readOptionalGateway("network_gateway", w.networkGateway),
      services: readServices(w.services),
      applicationTunnel: readAppTunnel(w.applicationTunnel),
      networkMode: networkMode.read("network_mode", w.networkMode),
    }),
    (read) => ({
      ...read,
      name: w.name,
      namespace: w.namespace,
      network: w.network,
      trustDomain: or(w.trustDomain, "cluster.local"),
      serviceAccount: or(w.serviceAccount, "default"),
      node: w.node,
      canonicalName: w.canonicalName,
      canonicalRevision: w.canonicalRevision,
      workloadName: w.workloadName,
      nativeTunnel: w.nativeTunnel,
      authorizationPolicies: [...w.authorizationPolicies],
      clusterId: or(w.clusterId, "Kubernetes"),
      hostname: w.hostname,
      locality: { region: w.locality?.region ?? "", zone: w.locality?.zone ?? "", subzone: w.locality?.subzone ?? "" },
      capacity: w.capacity?.value ?? 1,
    }),
  );
