// For whom would a policy hold that cannot be read whole? (so that it denies there, rather than be absent)

import { type PolicyReach, policyKey } from "../authz/types.ts";
import { codecOf } from "../proto/schema.ts";
import { scopes } from "./policy.ts";

type WireClaim = { name: string; namespace: string; scope: number; dryRun: boolean };
const codec = codecOf<WireClaim>("istio.security.Authorization");

const EVERYWHERE: PolicyReach = { scope: "GLOBAL" };

/**
 * What the resource says of its scope, whatever else is wrong with it; everywhere when not even that can be believed.
 * A policy that is only tried out never decides, so it holds for nobody.
 */
export const claimedReach = (resourceName: string, bytes: Uint8Array): PolicyReach => {
  const read = codec.decode(bytes);
  if (!read.ok || policyKey(read.value) !== resourceName) return EVERYWHERE;
  const { namespace, dryRun } = read.value;
  const scope = scopes.read("scope", read.value.scope);
  if (!scope.ok) return EVERYWHERE;
  if (dryRun) return { scope: "WORKLOAD_SELECTOR" };
  if (scope.value === "NAMESPACE") return namespace === "" ? EVERYWHERE : { scope: "NAMESPACE", namespace };
  return { scope: scope.value };
};
