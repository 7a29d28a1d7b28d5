// Small workloads and services for tables of decisions, in every package's tests.
import type { Ip } from "../addr/ip.ts";
import { parseIp } from "../addr/ip.ts";
import { unwrap } from "../runtime/result.ts";
import type { GatewayAddress, Port, Service, Workload } from "./types.ts";

export const ip = (text: string): Ip => unwrap(parseIp(text));

/** A healthy HBONE pod `ns/name` at the address, serving nothing, unless overridden. */
export const aWorkload = (name: string, address: string, over: Partial<Workload> = {}): Workload => {
  const namespace = over.namespace ?? "ns";
  return {
    uid: `Kubernetes//Pod/${namespace}/${name}`,
    name,
    namespace,
    addresses: address === "" ? [] : [ip(address)],
    network: "",
    tunnelProtocol: "HBONE",
    trustDomain: "cluster.local",
    serviceAccount: "default",
    waypoint: undefined,
    node: "node1",
    canonicalName: name,
    canonicalRevision: "latest",
    workloadType: "POD",
    workloadName: name,
    nativeTunnel: false,
    authorizationPolicies: [],
    status: "HEALTHY",
    clusterId: "Kubernetes",
    networkGateway: undefined,
    hostname: "",
    services: {},
    applicationTunnel: undefined,
    locality: { region: "", zone: "", subzone: "" },
    networkMode: "STANDARD",
    capacity: 1,
    ...over,
  };
};

/** Service `ns/name.ns.svc.cluster.local` with the VIP and port 80 → 8080, unless overridden. */
export const aService = (name: string, vip: string, over: Partial<Service> = {}): Service => {
  const namespace = over.namespace ?? "ns";
  return {
    name,
    namespace,
    hostname: `${name}.${namespace}.svc.cluster.local`,
    addresses: vip === "" ? [] : [{ network: "", ip: ip(vip) }],
    cidrs: [],
    ports: [aPort(80, 8080)],
    subjectAltNames: [],
    waypoint: undefined,
    weightedWaypoints: [],
    loadBalancing: undefined,
    ipFamilies: "AUTOMATIC",
    canonical: true,
    ingressUseWaypoint: false,
    visibility: "PUBLIC",
    ...over,
  };
};

export const aPort = (servicePort: number, target: number): Port => ({ servicePort, targetPort: target, appProtocol: "UNKNOWN" });

export const waypointByHost = (namespace: string, hostname: string): GatewayAddress => ({
  destination: { kind: "hostname", namespace, hostname },
  hboneMtlsPort: 15008,
});

export const waypointByIp = (address: string): GatewayAddress => ({
  destination: { kind: "address", network: "", ip: ip(address) },
  hboneMtlsPort: 15008,
});
