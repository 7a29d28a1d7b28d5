// What do we say to a route about each of its Services?

import type { HTTPRoute } from "@ambit/shared/kube/objects/gateway.ts";
import type { Binding } from "../model/waypoints.ts";
import { condition, type WantedParent, type WantedStatus } from "./conditions.ts";
import type { CompiledRoute, RouteAtParent } from "./routes.ts";

/** The binding of a Service, by "ns/name"; undefined when there is no such Service. */
export type BindingLookup = (service: string) => Binding | undefined;

const waypointCondition = (p: RouteAtParent, bindings: BindingLookup) => {
  const binding = p.service === undefined ? undefined : bindings(p.service);
  if (binding?.kind === "bound")
    return condition("ResolvedWaypoints", true, {
      reason: "ResolvedWaypoints",
      message: `requests go through waypoint ${binding.waypoint.namespace}/${binding.waypoint.name}`,
    });
  const message =
    binding?.kind === "refused"
      ? binding.message
      : `Service ${p.service ?? ""} uses no waypoint, so the route has no effect: label it (or its namespace) with istio.io/use-waypoint`;
  return condition("ResolvedWaypoints", false, { reason: "WaypointMissing", message });
};

const parentStatus = (p: RouteAtParent, bindings: BindingLookup): WantedParent => ({
  parentRef: p.parentRef,
  conditions: [
    p.accepted.ok
      ? condition("Accepted", true, { reason: "Accepted", message: "Route was valid" })
      : condition("Accepted", false, { reason: p.accepted.reason, message: p.accepted.message }),
    p.resolved.ok
      ? condition("ResolvedRefs", true, { reason: "ResolvedRefs", message: "All references resolved" })
      : condition("ResolvedRefs", false, { reason: p.resolved.reason, message: p.resolved.message }),
    waypointCondition(p, bindings),
  ],
});

export const routeStatus = (route: HTTPRoute, compiled: CompiledRoute, bindings: BindingLookup): WantedStatus => ({
  resource: "httpRoutes",
  object: compiled.key,
  fieldManager: "istio-gateway",
  generation: route.metadata.generation,
  owned: [],
  conditions: [],
  parents: compiled.parents.map((p) => parentStatus(p, bindings)),
});
