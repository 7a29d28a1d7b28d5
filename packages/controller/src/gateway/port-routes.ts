// Which rules stand on a service's port, from all routes together?

import type { Service as KubeService } from "@ambit/shared/kube/objects/core.ts";
import type { HTTPRoute } from "@ambit/shared/kube/objects/gateway.ts";
import type { Collection, Graph } from "../collections/core.ts";
import { derive } from "../collections/derive.ts";
import { sameData } from "../collections/equal.ts";
import { lookup } from "../collections/lookup.ts";
import { isTcp } from "../model/services.ts";
import { type MeshSettings, serviceHostname } from "../model/settings.ts";
import { type PortRoutes, portKey } from "../model/waypoint-services.ts";
import { byPrecedence } from "./precedence.ts";
import { type CompiledRoute, compileRoute, type RouteService } from "./routes.ts";

export type KeyedPortRoutes = PortRoutes & { readonly key: string };

const toRouteService = (s: KubeService, settings: MeshSettings): RouteService | undefined => {
  if (s.spec.type === "ExternalName") return undefined;
  const { namespace = "", name } = s.metadata;
  const ports = (s.spec.ports ?? []).filter(isTcp).map((p) => ({ name: p.name ?? "", port: p.port }));
  return { namespace, name, hostname: serviceHostname({ namespace, name }, settings), ports };
};

/** "ns/hostname port" for every port of every Service the route is accepted on. */
export const portsOf = (route: CompiledRoute, services: (key: string) => RouteService | undefined): readonly string[] => [
  ...new Set(
    route.parents.flatMap((p) => {
      const service = p.service === undefined ? undefined : services(p.service);
      // A rule that cannot be honoured still stands (it answers 500): a route with a fault must not become no route.
      return service === undefined || p.ports.length === 0
        ? []
        : p.ports.map((n) => portKey(`${service.namespace}/${service.hostname}`, n));
    }),
  ),
];

/** All rules on one port. Producer routes (of the service's namespace) hold for everyone, others for callers of their own. */
const mergeRoutes = (routes: readonly CompiledRoute[], serviceNamespace: string): PortRoutes => ({
  routed: routes.length > 0,
  tcpBackends: [],
  rules: routes
    .flatMap((r) => r.ranked)
    .toSorted(byPrecedence)
    .map((ranked) => {
      const [namespace = ""] = ranked.route.split("/");
      return { ...ranked.rule, consumerNamespace: namespace === serviceNamespace ? undefined : namespace };
    }),
});

export type RouteGraph = { readonly compiled: Collection<CompiledRoute>; readonly byPort: Collection<KeyedPortRoutes> };

export const httpRoutes = (
  graph: Graph,
  from: { readonly httpRoutes: Collection<HTTPRoute>; readonly services: Collection<KubeService> },
  settings: MeshSettings,
): RouteGraph => {
  const services = derive<KubeService, RouteService>(
    { graph, name: "RouteServices", from: from.services, key: (s) => `${s.namespace}/${s.name}`, equal: sameData },
    (_, s) => {
      const service = toRouteService(s, settings);
      return service === undefined ? [] : [service];
    },
  );
  const compiled = derive<HTTPRoute, CompiledRoute>(
    { graph, name: "CompiledRoutes", from: from.httpRoutes, reads: [services], key: (r) => r.key, equal: sameData },
    (get, route) => [compileRoute(route, (key) => get.one(services, key))],
  );
  const attached = derive<CompiledRoute, { readonly key: string; readonly route: CompiledRoute; readonly ports: readonly string[] }>(
    { graph, name: "AttachedRoutes", from: compiled, reads: [services], key: (a) => a.key, equal: sameData },
    (get, route) => {
      const ports = portsOf(route, (key) => get.one(services, key));
      return ports.length === 0 ? [] : [{ key: route.key, route, ports }];
    },
  );
  const grouped = lookup({ graph, name: "RoutesByPort", from: attached, keysOf: (a) => a.ports, equal: sameData });
  const byPort = derive<readonly { readonly route: CompiledRoute }[], KeyedPortRoutes>(
    { graph, name: "PortRoutes", from: grouped, key: (p) => p.key, equal: sameData },
    (_, routes, key) => {
      const [namespace = ""] = key.split("/");
      return [
        {
          key,
          ...mergeRoutes(
            routes.map((r) => r.route),
            namespace,
          ),
        },
      ];
    },
  );
  return { compiled, byPort };
};
