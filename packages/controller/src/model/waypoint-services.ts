// What does a waypoint need to know of each service it owns?

import type { Policy } from "@ambit/shared/authz/types.ts";
import type { BrokenPolicy, RouteRule, WaypointPort, WaypointService, WeightedBackend } from "@ambit/shared/route/types.ts";
import { serviceKey } from "@ambit/shared/state/types.ts";
import type { Collection, Graph } from "../collections/core.ts";
import { derive } from "../collections/derive.ts";
import { sameData } from "../collections/equal.ts";
import type { L7Policy } from "./authorization.ts";
import { WAYPOINT_CLASS } from "./labels.ts";
import { waypointProtocol } from "./protocols.ts";
import type { BoundService, NamedPort } from "./services.ts";
import { type MeshSettings, serviceHostname } from "./settings.ts";
import { type Binding, type Waypoint, waypointKey } from "./waypoints.ts";

/** The rules of all routes on one service port, in order of precedence. */
export type PortRoutes = {
  readonly routed: boolean;
  readonly rules: readonly RouteRule[];
  readonly tcpBackends: readonly WeightedBackend[];
};

export type OwnedService = {
  readonly service: WaypointService;
  /** "ns/name" of the waypoints that serve it: the one in use, and its canary. */
  readonly owners: readonly string[];
};

/** What a policy may be attached to, as a key: the service, its waypoint's Gateway, or the class. */
const targetKeys = (service: { readonly namespace: string; readonly name: string }, owners: readonly string[]): readonly string[] => [
  `Service/${service.namespace}/${service.name}`,
  ...owners.map((o) => `Gateway/${o}`),
  `GatewayClass/${WAYPOINT_CLASS}`,
];

export const ownersOf = (binding: Binding): readonly string[] => {
  if (binding.kind !== "bound") return [];
  const canary = binding.canary?.kind === "bound" ? [waypointKey(binding.canary.waypoint)] : [];
  return [waypointKey(binding.waypoint), ...canary];
};

/** Policies by what becomes of them; one that decides nothing is left out. */
const attachedPolicies = (
  policies: readonly L7Policy[],
): { readonly policies: readonly Policy[]; readonly brokenPolicies: readonly BrokenPolicy[] } => {
  const unique = [...new Map(policies.map((p) => [`${p.namespace}/${p.name}`, p])).values()];
  return {
    policies: unique.flatMap((p) => (p.outcome.kind === "enforced" ? [p.outcome.policy] : [])),
    brokenPolicies: unique.flatMap((p) =>
      p.outcome.kind === "broken" ? [{ key: `${p.namespace}/${p.name}`, reason: p.outcome.reason }] : [],
    ),
  };
};

const toOwnedService = (
  bound: BoundService,
  policies: readonly L7Policy[],
  routes: (port: NamedPort) => PortRoutes | undefined,
): OwnedService | undefined => {
  const owners = ownersOf(bound.binding);
  if (owners.length === 0) return undefined;
  const { service } = bound;
  const ports = bound.ports.map((p): WaypointPort => {
    const r = routes(p);
    return {
      port: p.port,
      name: p.name,
      protocol: waypointProtocol(p.appProtocol),
      routed: r?.routed ?? false,
      rules: r?.rules ?? [],
      tcpBackends: r?.tcpBackends ?? [],
    };
  });
  return {
    owners,
    service: {
      namespace: service.namespace,
      hostname: service.hostname,
      name: service.name,
      addresses: service.addresses,
      ports,
      ...attachedPolicies(policies),
    },
  };
};

export type OwnedServiceSources = {
  readonly services: Collection<BoundService>;
  /** L7 policies by target key. */
  readonly policiesByTarget: Collection<readonly L7Policy[]>;
  /** By "ns/hostname port". */
  readonly routes: Collection<PortRoutes & { readonly key: string }>;
};

export const portKey = (service: string, port: number): string => `${service} ${port}`;

export const ownedServices = (graph: Graph, from: OwnedServiceSources): Collection<OwnedService> =>
  derive(
    {
      graph,
      name: "WaypointServices",
      from: from.services,
      reads: [from.policiesByTarget, from.routes],
      key: (o) => serviceKey(o.service),
      equal: sameData,
    },
    (get, bound) => {
      const owners = ownersOf(bound.binding);
      if (owners.length === 0) return [];
      const policies = targetKeys(bound.service, owners).flatMap((key) => get.one(from.policiesByTarget, key) ?? []);
      const owned = toOwnedService(bound, policies, (p) => get.one(from.routes, portKey(serviceKey(bound.service), p.port)));
      return owned === undefined ? [] : [owned];
    },
  );

/** A waypoint for workloads serves pods by address: one record, without ports, carries the policies of its Gateway and class. */
export const gatewayServices = (
  graph: Graph,
  from: { readonly waypoints: Collection<Waypoint>; readonly policiesByTarget: Collection<readonly L7Policy[]> },
  settings: MeshSettings,
): Collection<OwnedService> =>
  derive(
    {
      graph,
      name: "WaypointGateways",
      from: from.waypoints,
      reads: [from.policiesByTarget],
      key: (o) => serviceKey(o.service),
      equal: sameData,
    },
    (get, w) => {
      if (w.trafficType !== "workload" && w.trafficType !== "all") return [];
      const targets = [`Gateway/${waypointKey(w)}`, `GatewayClass/${WAYPOINT_CLASS}`];
      const policies = targets.flatMap((key) => get.one(from.policiesByTarget, key) ?? []);
      const hostname = serviceHostname(w, settings);
      return [
        {
          owners: [waypointKey(w)],
          service: { namespace: w.namespace, hostname, name: w.name, addresses: [], ports: [], ...attachedPolicies(policies) },
        },
      ];
    },
  );
