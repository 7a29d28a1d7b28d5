// What would policies that are only tried out have said of a connection?

import { matchingRule, type PolicySet } from "@ambit/shared/authz/authorize.ts";
import { type AuthzSubject, policyKey } from "@ambit/shared/authz/types.ts";

/** One line per dry-run policy that would have decided, in the order of the policies; empty when none would. */
export const dryRunFindings = (set: PolicySet, subject: AuthzSubject): readonly { readonly message: string; readonly policy: string }[] => {
  const tried = set.policies.filter((p) => p.dryRun);
  const allows = tried.filter((p) => p.action === "ALLOW");
  const allowed = allows.some((p) => matchingRule(p, subject) !== undefined);
  return tried.flatMap((p) => {
    const matches = matchingRule(p, subject) !== undefined;
    if (p.action === "DENY") return matches ? [{ message: "dry-run: deny policy match", policy: policyKey(p) }] : [];
    if (matches) return [{ message: "dry-run: allow policy match", policy: policyKey(p) }];
    return allowed ? [] : [{ message: "dry-run: allow policy no match", policy: policyKey(p) }];
  });
};
