// The mesh of Istio's DNS tests (ztunnel dns/server.rs), for tables of names and for the server.

import type { Ip } from "@ambit/shared/addr/ip.ts";
import { aService, aWorkload, ip } from "@ambit/shared/state/fixtures.ts";
import { createMeshStore, type MeshStore } from "@ambit/shared/state/store.ts";
import type { Service, Workload } from "@ambit/shared/state/types.ts";

const NW1 = "nw1";
const NW2 = "nw2";
export const SEARCH = ["ns1.svc.cluster.local", "svc.cluster.local", "cluster.local"];
export const RULES = { clusterDomain: "cluster.local", preferredNamespace: "preferred-ns", search: SEARCH, ipv6: true };

const on = (network: string, ...addresses: string[]) => addresses.map((a) => ({ network, ip: ip(a) }));
type Vips = readonly { readonly network: string; readonly ip: Ip }[];

const kube = (name: string, namespace: string, addresses: Vips, over: Partial<Service> = {}): Service =>
  aService(name, "", { namespace, addresses, canonical: false, ...over });
const external = (hostname: string, addresses: Vips, over: Partial<Service> = {}): Service =>
  aService(hostname, "", { namespace: "ns1", hostname, addresses, canonical: false, ...over });

const endpoint = (name: string, service: string, addresses: string[], over: Partial<Workload> = {}): Workload =>
  aWorkload(name, "", { namespace: "ns1", network: NW1, addresses: addresses.map(ip), services: { [`ns1/${service}`]: [] }, ...over });

export const CLIENT = aWorkload("client", "10.0.0.1", { namespace: "ns1", network: NW1 });

const SERVICES: readonly Service[] = [
  external("www.google.com", on(NW1, "1.1.1.1")),
  kube("productpage", "ns1", on(NW1, "9.9.9.9")),
  kube("example", "ns2", on(NW1, "10.10.10.10")),
  external("everywhere.io", on(NW1, "10.10.10.110"), { namespace: "ns2" }),
  external("preferred.io", on(NW1, "10.10.10.210"), { namespace: "ns2" }),
  external("everywhere.io", on(NW1, "10.10.10.111"), { namespace: "preferred-ns" }),
  external("preferred.io", on(NW1, "10.10.10.211"), { namespace: "preferred-ns" }),
  external("everywhere.io", on(NW1, "10.10.10.112")),
  external("canonical.svc", on(NW1, "10.10.10.140"), { namespace: "ns2" }),
  external("canonical.svc", on(NW1, "10.10.10.141"), { namespace: "ns3", canonical: true }),
  external("canonical.with.local", on(NW1, "10.10.10.150")),
  external("canonical.with.local", on(NW1, "10.10.10.151"), { namespace: "ns2", canonical: true }),
  kube("details", "ns2", on(NW1, "11.11.11.11", "12.12.12.12", "13.13.13.13", "14.14.14.14"), {
    hostname: "details.ns2.svc.cluster.remote",
  }),
  external("ipv4.localhost", on(NW1, "2.2.2.2")),
  external("ipv6.localhost", on(NW1, "2001:db8::ff00:42:8329")),
  external("dual.localhost", on(NW1, "2.2.2.2", "2001:db8::ff00:42:8329")),
  external("*.wildcard", on(NW1, "10.10.10.10")),
  external("*.b.wildcard", on(NW1, "11.11.11.11")),
  external("*.svc.mesh.company.net", on(NW1, "10.1.2.3")),
  kube("nw2-only", "ns1", on(NW2, "20.20.20.20")),
  kube("both-networks", "ns1", [...on(NW1, "21.21.21.21"), ...on(NW2, "22.22.22.22")]),
  kube("headless", "ns1", []),
  kube("empty", "ns1", []),
  external("headless.example.com", []),
  external("headless-no-endpoints.example.com", []),
  kube("headless-ipv6", "ns1", [], { ipFamilies: "IPV6_ONLY" }),
  // Beyond Istio's table.
  external("secret.io", on(NW1, "10.10.10.200"), { namespace: "ns2", visibility: "NAMESPACE" }),
  external("private.io", on(NW1, "10.10.10.201"), { visibility: "NAMESPACE" }),
  kube("all", "ns1", [], {
    loadBalancing: { routingPreference: [], mode: "UNSPECIFIED_MODE", healthPolicy: "ALLOW_ALL" },
  }),
];

const headless = "headless.ns1.svc.cluster.local";
const WORKLOADS: readonly Workload[] = [
  CLIENT,
  endpoint("pod-0", headless, ["30.30.30.30", "2001:db8::30"]),
  endpoint("headless1", headless, ["31.31.31.31", "2001:db8::31"], { hostname: "named" }),
  endpoint("headless-external", "headless.example.com", ["32.32.32.32", "2001:db8::32"]),
  endpoint("headless2", "headless-ipv6.ns1.svc.cluster.local", ["33.33.33.33", "2001:db8::33"]),
  endpoint("far", headless, ["34.34.34.34"], { network: NW2 }),
  endpoint("sick", headless, ["35.35.35.35"], { status: "UNHEALTHY" }),
  endpoint("starting", "all.ns1.svc.cluster.local", ["36.36.36.36"], { status: "UNHEALTHY" }),
];

export const istioMesh = (): MeshStore => {
  const store = createMeshStore();
  store.commit([
    ...SERVICES.map((service) => ({ kind: "service" as const, service })),
    ...WORKLOADS.map((workload) => ({ kind: "workload" as const, workload })),
  ]);
  return store;
};
