// Is a GatewayClass ours, and what do we say to it?

import type { GatewayClass } from "@ambit/shared/kube/objects/gateway.ts";
import { MESH_CONTROLLER, WAYPOINT_CLASS } from "../model/labels.ts";
import { condition, type WantedStatus } from "./conditions.ts";

/** Nothing for a class that names another controller. */
export const classStatus = (c: GatewayClass): WantedStatus | undefined => {
  if (c.spec.controllerName !== MESH_CONTROLLER) return undefined;
  const accepted =
    c.spec.parametersRef === undefined
      ? condition("Accepted", true, { reason: "Accepted", message: "Gateways of this class are deployed as waypoints" })
      : condition("Accepted", false, { reason: "InvalidParameters", message: "spec.parametersRef is not supported: remove it" });
  return {
    resource: "gatewayClasses",
    object: c.metadata.name,
    fieldManager: "istio-gateway",
    generation: c.metadata.generation,
    owned: ["Accepted"],
    conditions: [accepted],
  };
};

/** The class that Gateways name to become waypoints; it is made when the kind is served and nobody has made it. */
export const missingClass = (known: { readonly served: boolean; readonly there: GatewayClass | undefined }): GatewayClass | undefined =>
  known.served && known.there === undefined
    ? {
        metadata: { name: WAYPOINT_CLASS },
        spec: { controllerName: MESH_CONTROLLER, description: "Gateways of this class are waypoints of the ambient mesh" },
      }
    : undefined;
