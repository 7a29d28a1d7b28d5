// What do we say to an AuthorizationPolicy: is it in force, and where? (ambient-l4 section 7.3)

import type { AuthorizationPolicy } from "@ambit/shared/kube/objects/istio.ts";
import { condition, type Wanted, type WantedStatus } from "../gateway/conditions.ts";
import type { L7Policy } from "./authorization.ts";
import { toL4Policy, toL7Policy } from "./authorization.ts";
import { targetKey } from "./policy-targets.ts";
import type { Binding } from "./waypoints.ts";
import { waypointKey } from "./waypoints.ts";

/** What is known of a target by its key. */
export type TargetLookup = {
  /** By "ns/name"; undefined when there is no such Service. */
  service(key: string): Binding | undefined;
  isWaypoint(key: string): boolean;
};

type Attachment = { readonly ok: true; readonly to: string } | { readonly ok: false; readonly reason: string; readonly message: string };

const attachment = (key: string, look: TargetLookup): Attachment => {
  const [kind = "", ...rest] = key.split("/");
  const name = rest.join("/");
  if (kind === "GatewayClass") return { ok: true, to: `all waypoints of class ${name}` };
  if (kind === "Gateway")
    return look.isWaypoint(name)
      ? { ok: true, to: name }
      : { ok: false, reason: "TargetNotFound", message: `there is no waypoint ${name}` };
  const binding = look.service(name);
  if (binding === undefined) return { ok: false, reason: "TargetNotFound", message: `Service ${name} does not exist` };
  if (binding.kind === "bound") return { ok: true, to: waypointKey(binding.waypoint) };
  const why = binding.kind === "refused" ? binding.message : "label it (or its namespace) with istio.io/use-waypoint";
  return { ok: false, reason: "AncestorNotBound", message: `Service ${name} is not bound to a waypoint: ${why}` };
};

const waypointCondition = (p: L7Policy, look: TargetLookup, rootNamespace: string): Wanted => {
  const attached: readonly Attachment[] = p.targets.map((t) => {
    const key = targetKey(t, p.namespace, rootNamespace);
    return key.ok ? attachment(key.value, look) : { ok: false, reason: "Invalid", message: key.error };
  });
  const bound = [...new Set(attached.flatMap((a) => (a.ok ? [a.to] : [])))];
  const lost = attached.flatMap((a) => (a.ok ? [] : [a]));
  const [first] = lost;
  const said = [...p.problems, ...lost.map((l) => l.message)];
  const boundTo = bound.length === 0 ? [] : [`bound to ${bound.join(", ")}`];
  if (first === undefined && p.problems.length === 0)
    return condition("WaypointAccepted", true, { reason: "Accepted", message: boundTo.join("") });
  const reason = bound.length > 0 ? (p.outcome.kind === "enforced" ? "PartiallyInvalid" : "Invalid") : (first?.reason ?? "Invalid");
  return condition("WaypointAccepted", false, { reason, message: [...said, ...boundTo].join("; ") });
};

export const policyStatus = (ap: AuthorizationPolicy, look: TargetLookup, rootNamespace: string): WantedStatus => {
  const l7 = toL7Policy(ap);
  const l4 = toL4Policy(ap, rootNamespace);
  return {
    resource: "authorizationPolicies",
    object: `${ap.metadata.namespace}/${ap.metadata.name}`,
    fieldManager: l7 === undefined ? "istio-ambient-ztunnel-policy" : "istio-ambient-waypoint-policy",
    generation: ap.metadata.generation,
    owned: ["ZtunnelAccepted", "WaypointAccepted"],
    conditions: [
      ...(l4 === undefined ? [] : [{ type: "ZtunnelAccepted", ...l4.condition }]),
      ...(l7 === undefined ? [] : [waypointCondition(l7, look, rootNamespace)]),
    ],
  };
};
