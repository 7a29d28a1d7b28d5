// What do we say to a Service about its waypoint? (istio.io/WaypointBound, ambient-l4 section 7.3)

import { condition, type WantedStatus } from "../gateway/conditions.ts";
import { REQUIRE_WAYPOINT } from "./require-waypoint.ts";
import type { BoundService } from "./services.ts";
import { waypointKey } from "./waypoints.ts";

const WAYPOINT_BOUND = "istio.io/WaypointBound";

const boundMessage = (b: BoundService): string => {
  if (b.binding.kind !== "bound") return "";
  const ingress = b.service.ingressUseWaypoint
    ? ". Ingress traffic will traverse the waypoint"
    : ". Ingress traffic is not using the waypoint, set the istio.io/ingress-use-waypoint label to true if desired.";
  const canary = b.binding.canary?.kind === "refused" ? ` Canary waypoint not attached: ${b.binding.canary.message}` : "";
  return `Successfully attached to waypoint ${waypointKey(b.binding.waypoint)}${ingress}${canary}`;
};

/** What becomes of its traffic meanwhile, when the waypoint is a must. */
const refusedMessage = (b: BoundService, message: string): string =>
  b.requirement.because === undefined
    ? message
    : `${message}. Traffic to this service is refused until then, because ${b.requirement.because} (${REQUIRE_WAYPOINT}: "false" would let it pass by)`;

const problems = (b: BoundService): string => b.requirement.problems.map((p) => ` ${p}.`).join("");

/** A Service that asked for no waypoint gets no condition; one that it had is taken away. */
export const serviceStatus = (b: BoundService): WantedStatus => ({
  resource: "services",
  object: `${b.service.namespace}/${b.service.name}`,
  fieldManager: "istio-ambient-service",
  generation: undefined,
  owned: [WAYPOINT_BOUND],
  conditions:
    b.binding.kind === "bound"
      ? [condition(WAYPOINT_BOUND, true, { reason: "WaypointAccepted", message: `${boundMessage(b)}${problems(b)}` })]
      : b.binding.kind === "refused"
        ? [condition(WAYPOINT_BOUND, false, { reason: b.binding.reason, message: `${refusedMessage(b, b.binding.message)}${problems(b)}` })]
        : b.requirement.because === undefined
          ? []
          : [
              condition(WAYPOINT_BOUND, false, {
                reason: "WaypointIsNotReady",
                message: `${refusedMessage(b, b.requirement.rules?.missing ?? "")}${problems(b)}`,
              }),
            ],
});
