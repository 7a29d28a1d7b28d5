// May this connection or request pass, and which policy decided? (deny, then allow, then default; ambient-l4 section 2)

import type { Workload } from "../state/types.ts";
import type { MeshView } from "../state/view.ts";
import { ruleMatches } from "./match.ts";
import { type AuthzSubject, type Policy, type PolicyAction, policyKey } from "./types.ts";

/** The policies in force, and the names of those that should be but are not held: while any is missing, all is denied. */
export type PolicySet = { readonly policies: readonly Policy[]; readonly missing: readonly string[] };

export type Verdict =
  | { readonly allowed: true; readonly why: "no-allow-policies" }
  | { readonly allowed: true; readonly why: "allow-policy"; readonly policy: string; readonly rule: number }
  | { readonly allowed: false; readonly why: "deny-policy"; readonly policy: string; readonly rule: number }
  | { readonly allowed: false; readonly why: "no-allow-match"; readonly policies: readonly string[] }
  | { readonly allowed: false; readonly why: "missing-policy"; readonly policy: string };

/** The index of the first rule that holds, or undefined. */
export const matchingRule = (p: Policy, s: AuthzSubject): number | undefined => {
  const i = p.rules.findIndex((r) => ruleMatches(r, s));
  return i < 0 ? undefined : i;
};

/** The policies for a workload: GLOBAL, those of its namespace, and those it names. */
export const policiesFor = (view: MeshView, workload: Workload): PolicySet => {
  const named = workload.authorizationPolicies.map((key) => ({ key, policy: view.policy(key) }));
  return {
    policies: [...view.policiesForNamespace(workload.namespace), ...named.flatMap((n) => (n.policy === undefined ? [] : [n.policy]))],
    missing: [...view.refusedForNamespace(workload.namespace), ...named.flatMap((n) => (n.policy === undefined ? [n.key] : []))],
  };
};

const firstMatch = (policies: readonly Policy[], action: PolicyAction, s: AuthzSubject): { policy: string; rule: number } | undefined => {
  for (const p of policies) {
    if (p.action !== action) continue;
    const rule = matchingRule(p, s);
    if (rule !== undefined) return { policy: policyKey(p), rule };
  }
  return undefined;
};

/** Any DENY that matches denies; without ALLOW policies all else passes; with them one must match. Dry-run policies never decide. */
export const authorize = (set: PolicySet, s: AuthzSubject): Verdict => {
  const [missing] = set.missing;
  if (missing !== undefined) return { allowed: false, why: "missing-policy", policy: missing };
  const enforced = set.policies.filter((p) => !p.dryRun);
  const deny = firstMatch(enforced, "DENY", s);
  if (deny !== undefined) return { allowed: false, why: "deny-policy", ...deny };
  const allows = enforced.filter((p) => p.action === "ALLOW");
  if (allows.length === 0) return { allowed: true, why: "no-allow-policies" };
  const allow = firstMatch(allows, "ALLOW", s);
  return allow === undefined
    ? { allowed: false, why: "no-allow-match", policies: allows.map(policyKey) }
    : { allowed: true, why: "allow-policy", ...allow };
};

/** What one policy says of the subject, for `ambit explain` and dry-run logs. */
export type PolicyFinding = {
  readonly policy: string;
  readonly action: PolicyAction;
  readonly dryRun: boolean;
  /** Which rule matched; undefined: none did. */
  readonly rule: number | undefined;
  readonly rules: number;
};

export const explainPolicies = (set: PolicySet, s: AuthzSubject): readonly PolicyFinding[] =>
  set.policies.map((p) => ({ policy: policyKey(p), action: p.action, dryRun: p.dryRun, rule: matchingRule(p, s), rules: p.rules.length }));

/** One sentence for a log line or an error body. */
export const verdictText = (v: Verdict): string => {
  switch (v.why) {
    case "no-allow-policies":
      return "allowed: no ALLOW policy applies";
    case "allow-policy":
      return `allowed by: ${v.policy} (rule ${v.rule})`;
    case "deny-policy":
      return `explicitly denied by: ${v.policy} (rule ${v.rule})`;
    case "no-allow-match":
      return `allow policies exist, but none allowed: ${v.policies.join(", ")}`;
    case "missing-policy":
      return `denied: policy ${v.policy} applies to this workload but has not been received, or could not be read`;
  }
};
