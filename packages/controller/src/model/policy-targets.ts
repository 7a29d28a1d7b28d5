// To what is a policy attached, and may it be? (waypoint-l7 section 3.1)

import type { PolicyTargetReference } from "@ambit/shared/kube/objects/istio.ts";
import { err, ok, type Result } from "@ambit/shared/runtime/result.ts";
import type { L7Policy } from "./authorization.ts";
import { WAYPOINT_CLASS } from "./labels.ts";

/** "Service/ns/name", "Gateway/ns/name" or "GatewayClass/name"; an error says why nothing can come of the reference. */
export const targetKey = (ref: PolicyTargetReference, namespace: string, rootNamespace: string): Result<string> => {
  const group = ref.group ?? "";
  if (ref.namespace !== undefined && ref.namespace !== "" && ref.namespace !== namespace)
    return err(`${ref.kind} ${ref.namespace}/${ref.name} is in another namespace: a policy is attached in its own only`);
  if (ref.kind === "Service" && (group === "" || group === "core")) return ok(`Service/${namespace}/${ref.name}`);
  if (ref.kind === "Gateway" && group === "gateway.networking.k8s.io") return ok(`Gateway/${namespace}/${ref.name}`);
  if (ref.kind === "GatewayClass" && group === "gateway.networking.k8s.io") {
    if (namespace !== rootNamespace) return err(`GatewayClass ${ref.name} can only be targeted from namespace ${rootNamespace}`);
    if (ref.name !== WAYPOINT_CLASS) return err(`GatewayClass ${ref.name} is not ${WAYPOINT_CLASS}`);
    return ok(`GatewayClass/${ref.name}`);
  }
  return err(`target kind ${group === "" ? ref.kind : `${ref.kind}.${group}`} is not supported: use Service, Gateway or GatewayClass`);
};

export const policyTargetKeys = (p: Pick<L7Policy, "namespace" | "targets">, rootNamespace: string): readonly string[] => [
  ...new Set(
    p.targets.flatMap((t) => {
      const key = targetKey(t, p.namespace, rootNamespace);
      return key.ok ? [key.value] : [];
    }),
  ),
];
