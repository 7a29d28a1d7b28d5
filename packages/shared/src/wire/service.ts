// How is a service written and read? (istio.workload.Service)

import type { Cidr } from "../addr/cidr.ts";
import { ipBytes } from "../addr/ip.ts";
import { allOf, err, mapOk, ok, type Result } from "../runtime/result.ts";
import type { IpFamilies, LoadBalancing, LoadBalancingScope, NetworkAddress, Service } from "../state/types.ts";
import {
  readGateway,
  readOptionalGateway,
  readServicePort,
  type WireGatewayAddress,
  type WireNetworkAddress,
  type WirePort,
  writeGateway,
  writePort,
} from "./gateway.ts";
import { at, each, names, readCidr, readIp, readName } from "./read.ts";

import { readWaypointRules, type WireExtension, writeWaypointRules } from "./waypoint-rules.ts";

export type WireService = {
  name: string;
  namespace: string;
  hostname: string;
  addresses: WireNetworkAddress[];
  ports: WirePort[];
  subjectAltNames: string[];
  waypoint?: WireGatewayAddress | null;
  loadBalancing?: { routingPreference: number[]; mode: number; healthPolicy: number } | null;
  ipFamilies: number;
  canonical: boolean;
  ingressUseWaypoint: boolean;
  weightedWaypoints: { destination?: WireGatewayAddress | null; weight: number }[];
  visibility: number;
  extensions: WireExtension[];
};

type Block = { readonly network: string; readonly cidr: Cidr };

const scopes = names<LoadBalancingScope | "UNSPECIFIED_SCOPE">(
  "UNSPECIFIED_SCOPE",
  "REGION",
  "ZONE",
  "SUBZONE",
  "NODE",
  "CLUSTER",
  "NETWORK",
);
const modes = names<LoadBalancing["mode"]>("UNSPECIFIED_MODE", "STRICT", "FAILOVER", "PASSTHROUGH");
const healthPolicies = names<LoadBalancing["healthPolicy"]>("ONLY_HEALTHY", "ALLOW_ALL");
const ipFamilies = names<IpFamilies>("AUTOMATIC", "IPV4_ONLY", "IPV6_ONLY", "DUAL");
const visibilities = names<Service["visibility"]>("PUBLIC", "NAMESPACE");

const readScope = (n: number): Result<LoadBalancingScope> => {
  const scope = scopes.read("scope", n);
  if (!scope.ok) return scope;
  return scope.value === "UNSPECIFIED_SCOPE" ? err("the scope is not given") : ok(scope.value);
};

const readLoadBalancing = (lb: WireService["loadBalancing"]): Result<LoadBalancing | undefined> =>
  lb === null || lb === undefined
    ? ok(undefined)
    : at(
        "load_balancing",
        allOf({
          routingPreference: each("routing_preference", lb.routingPreference, readScope),
          mode: modes.read("mode", lb.mode),
          healthPolicy: healthPolicies.read("health_policy", lb.healthPolicy),
        }),
      );

const isBlock = (a: WireNetworkAddress): boolean => a.length !== null && a.length !== undefined;

const readVip = (a: WireNetworkAddress): Result<NetworkAddress> => mapOk(readIp(a.address), (ip) => ({ network: a.network, ip }));
const readBlock = (a: WireNetworkAddress): Result<Block> =>
  mapOk(readCidr(a.address, a.length ?? 0), (cidr) => ({ network: a.network, cidr }));

const readWeighted = (w: WireService["weightedWaypoints"][number]): Result<Service["weightedWaypoints"][number]> =>
  w.destination
    ? mapOk(readGateway("destination", w.destination), (destination) => ({ destination, weight: w.weight }))
    : err("destination is empty");

export const writeService = (s: Service): WireService => ({
  name: s.name,
  namespace: s.namespace,
  hostname: s.hostname,
  addresses: [
    ...s.addresses.map((a) => ({ network: a.network, address: ipBytes(a.ip) })),
    ...s.cidrs.map((c) => ({ network: c.network, address: c.cidr.bytes, length: c.cidr.bits })),
  ],
  ports: s.ports.map(writePort),
  subjectAltNames: [...s.subjectAltNames],
  waypoint: s.waypoint === undefined ? null : writeGateway(s.waypoint),
  loadBalancing:
    s.loadBalancing === undefined
      ? null
      : {
          routingPreference: s.loadBalancing.routingPreference.map(scopes.write),
          mode: modes.write(s.loadBalancing.mode),
          healthPolicy: healthPolicies.write(s.loadBalancing.healthPolicy),
        },
  ipFamilies: ipFamilies.write(s.ipFamilies),
  canonical: s.canonical,
  ingressUseWaypoint: s.ingressUseWaypoint,
  weightedWaypoints: s.weightedWaypoints.map((w) => ({ destination: writeGateway(w.destination), weight: w.weight })),
  visibility: visibilities.write(s.visibility),
  extensions: writeWaypointRules(s.waypointRules),
});

export const readService = (s: WireService): Result<Service> =>
  mapOk(
    allOf({
      namespace: readName("namespace", s.namespace),
      hostname: readName("hostname", s.hostname),
      addresses: each(
        "addresses",
        s.addresses.filter((a) => !isBlock(a)),
        readVip,
      ),
      cidrs: each("addresses with a length", s.addresses.filter(isBlock), readBlock),
      ports: each("ports", s.ports, readServicePort),
      waypoint: readOptionalGateway("waypoint", s.waypoint),
      loadBalancing: readLoadBalancing(s.loadBalancing),
      ipFamilies: ipFamilies.read("ip_families", s.ipFamilies),
      weightedWaypoints: each("weighted_waypoints", s.weightedWaypoints, readWeighted),
      visibility: visibilities.read("visibility", s.visibility),
      waypointRules: readWaypointRules(s.extensions),
    }),
    ({ waypointRules, ...read }) => ({
      ...read,
      ...(waypointRules === undefined ? {} : { waypointRules }),
      name: s.name,
      subjectAltNames: [...s.subjectAltNames],
      canonical: s.canonical,
      ingressUseWaypoint: s.ingressUseWaypoint,
    }),
  );
