// What should every object's status say? (one collection; status/ writes it)

import type { Gateway, GatewayClass, HTTPRoute } from "@ambit/shared/kube/objects/gateway.ts";
import type { AuthorizationPolicy } from "@ambit/shared/kube/objects/istio.ts";
import type { Collection, Graph } from "../collections/core.ts";
import { derive } from "../collections/derive.ts";
import { sameData } from "../collections/equal.ts";
import { join } from "../collections/join.ts";
import { classStatus } from "../gateway/classes.ts";
import { statusKey, type WantedStatus } from "../gateway/conditions.ts";
import { gatewayStatus } from "../gateway/gateways.ts";
import { routeStatus } from "../gateway/route-status.ts";
import type { CompiledRoute } from "../gateway/routes.ts";
import type { Inputs } from "./inputs.ts";
import { policyStatus } from "./policy-status.ts";
import { serviceStatus } from "./service-status.ts";
import type { BoundService } from "./services.ts";
import { type MeshSettings, serviceHostname } from "./settings.ts";
import { isWaypointGateway, type Waypoint } from "./waypoints.ts";

export type StatusSources = {
  readonly inputs: Inputs;
  readonly services: Collection<BoundService>;
  readonly waypoints: Collection<Waypoint>;
  readonly routes: Collection<CompiledRoute>;
};

/** "ns/name" → "ns/hostname" */
const serviceCollectionKey = (key: string, settings: MeshSettings): string => {
  const [namespace = "", name = ""] = key.split("/");
  return `${namespace}/${serviceHostname({ namespace, name }, settings)}`;
};

export const wantedStatuses = (graph: Graph, from: StatusSources, settings: MeshSettings): Collection<WantedStatus> => {
  const { inputs, services, waypoints, routes } = from;
  const equal = sameData;
  const key = statusKey;
  const one = (s: WantedStatus | undefined): readonly WantedStatus[] => (s === undefined ? [] : [s]);
  return join({
    graph,
    name: "Statuses",
    equal,
    from: [
      derive<BoundService, WantedStatus>({ graph, name: "ServiceStatuses", from: services, key, equal }, (_, s) => [serviceStatus(s)]),
      derive<GatewayClass, WantedStatus>({ graph, name: "ClassStatuses", from: inputs.gatewayClasses, key, equal }, (_, c) =>
        one(classStatus(c)),
      ),
      derive<Gateway, WantedStatus>(
        {
          graph,
          name: "GatewayStatuses",
          from: inputs.gateways,
          reads: [inputs.gatewayClasses, inputs.services, inputs.deployments, inputs.serviceAccounts],
          key,
          equal,
        },
        (get, g, name) =>
          isWaypointGateway(g, get.one(inputs.gatewayClasses, g.spec.gatewayClassName))
            ? [
                gatewayStatus(
                  g,
                  {
                    service: get.one(inputs.services, name),
                    deployment: get.one(inputs.deployments, name),
                    serviceAccount: get.one(inputs.serviceAccounts, name),
                  },
                  settings,
                ),
              ]
            : [],
      ),
      derive<HTTPRoute, WantedStatus>(
        { graph, name: "RouteStatuses", from: inputs.httpRoutes, reads: [routes, services], key, equal },
        (get, route, name) => {
          const compiled = get.one(routes, name);
          if (compiled === undefined) return [];
          return [routeStatus(route, compiled, (s) => get.one(services, serviceCollectionKey(s, settings))?.binding)];
        },
      ),
      derive<AuthorizationPolicy, WantedStatus>(
        { graph, name: "PolicyStatuses", from: inputs.authorizationPolicies, reads: [services, waypoints], key, equal },
        (get, ap) => [
          policyStatus(
            ap,
            {
              service: (s) => get.one(services, serviceCollectionKey(s, settings))?.binding,
              isWaypoint: (w) => get.one(waypoints, w) !== undefined,
            },
            settings.rootNamespace,
          ),
        ],
      ),
    ],
  });
};
