// What does an AuthorizationPolicy become for those who enforce it? (ambient-l4 section 2, waypoint-l7 section 3.5)

import type { Clause, Match, Policy, PolicyAction, PolicyScope, Rule } from "@ambit/shared/authz/types.ts";
import type { AuthorizationPolicy, AuthorizationRule, PolicyTargetReference } from "@ambit/shared/kube/objects/istio.ts";
import type { Labels } from "@ambit/shared/kube/objects/meta.ts";
import { type Compiled, compileCondition, compileOperation, compileSource, type Enforcer } from "./authorization-match.ts";
import { ANNOTATION } from "./labels.ts";

export type PolicyCondition = { readonly status: "True" | "False"; readonly reason: string; readonly message: string };

/** A policy for ztunnels, or only the reason why there is none. */
export type L4Policy = {
  readonly namespace: string;
  readonly name: string;
  readonly policy: Policy | undefined;
  /** Which pods it names; undefined when it holds for a whole namespace or mesh. */
  readonly selector: Labels | undefined;
  readonly condition: PolicyCondition;
};

/** A policy for waypoints: exactly one of `policy`, `broken` and `inert` says what becomes of it. */
export type L7Policy = {
  readonly namespace: string;
  readonly name: string;
  readonly targets: readonly PolicyTargetReference[];
  readonly outcome:
    | { readonly kind: "enforced"; readonly policy: Policy }
    /** It cannot be read: what it is attached to denies everything meanwhile. */
    | { readonly kind: "broken"; readonly reason: string }
    /** It never decides (AUDIT). */
    | { readonly kind: "inert"; readonly reason: string };
  readonly problems: readonly string[];
};

export const targetsOf = (ap: AuthorizationPolicy): readonly PolicyTargetReference[] => [
  ...(ap.spec?.targetRefs ?? []),
  ...(ap.spec?.targetRef === undefined ? [] : [ap.spec.targetRef]),
];

const isDryRun = (ap: AuthorizationPolicy): boolean => ap.metadata.annotations?.[ANNOTATION.dryRun] === "true";

/** The rules, or undefined when what stands there are no rules: a schema should have refused it, but we do not rely on that. */
const rulesOf = (ap: AuthorizationPolicy): readonly AuthorizationRule[] | undefined => {
  const rules: unknown = ap.spec?.rules ?? [];
  const list = (v: unknown): boolean =>
    v === undefined || v === null || (Array.isArray(v) && v.every((x) => typeof x === "object" && x !== null));
  const isRule = (r: AuthorizationRule): boolean => list(r.from) && list(r.to) && list(r.when);
  return Array.isArray(rules) && list(rules) && rules.every(isRule) ? rules : undefined;
};
const NOT_RULES = "spec.rules is not a list of rules with lists from, to and when";

type CompiledRule = { readonly from: readonly Compiled[]; readonly to: readonly Compiled[]; readonly when: readonly Compiled[] };

const compileRule = (
  rule: AuthorizationRule,
  at: { readonly index: number; readonly by: Enforcer; readonly namespace: string },
): CompiledRule => {
  const path = (rest: string) => ({ by: at.by, namespace: at.namespace, path: `spec.rules[${at.index}].${rest}` });
  return {
    from: (rule.from ?? []).map((f, i) => compileSource(f.source, path(`from[${i}].source`))),
    to: (rule.to ?? []).map((t, i) => compileOperation(t.operation, path(`to[${i}].operation`))),
    when: (rule.when ?? []).map((w, i) => compileCondition(w, path(`when[${i}]`))),
  };
};

const entriesOf = (r: CompiledRule): readonly Compiled[] => [...r.to, ...r.from, ...r.when];
const clause = (matches: readonly Match[]): Clause => ({ matches });

/** `to`, then `from`, then one clause per condition: the order istiod sends. */
const clausesOf = (to: readonly Match[], from: readonly Match[], when: readonly Match[]): Rule => ({
  clauses: [...(to.length > 0 ? [clause(to)] : []), ...(from.length > 0 ? [clause(from)] : []), ...when.map((m) => clause([m]))],
});

// ---- ztunnel ----

/** undefined when it has targetRefs: then it is a waypoint's. */
export const toL4Policy = (ap: AuthorizationPolicy, rootNamespace: string): L4Policy | undefined => {
  if (targetsOf(ap).length > 0) return undefined;
  const { namespace = "", name } = ap.metadata;
  const labels = ap.spec?.selector?.matchLabels;
  const selector = labels !== undefined && Object.keys(labels).length > 0 ? labels : undefined;
  const base = { namespace, name, selector };
  const action = ap.spec?.action ?? "ALLOW";
  if (action !== "ALLOW" && action !== "DENY")
    return {
      ...base,
      policy: undefined,
      condition: {
        status: "False",
        reason: "UnsupportedValue",
        message: `ztunnel does not support action ${action}: use ALLOW or DENY, or attach the policy to a waypoint with targetRefs`,
      },
    };
  const given = rulesOf(ap);
  const scope: PolicyScope = selector !== undefined ? "WORKLOAD_SELECTOR" : namespace === rootNamespace ? "GLOBAL" : "NAMESPACE";
  if (given === undefined)
    return {
      ...base,
      policy: { namespace, name, scope, action: "DENY", dryRun: false, rules: [{ clauses: [] }] },
      condition: { status: "False", reason: "UnsupportedValue", message: `${NOT_RULES}: everything is denied until it is mended` },
    };
  const compiled = given.map((rule, index) => compileRule(rule, { index, by: "ztunnel", namespace }));
  const rules = action === "ALLOW" ? compiled.filter(isWhole).map(plainRule) : compiled.map(l4DenyRule);
  return {
    ...base,
    policy: { namespace, name, scope, action, dryRun: isDryRun(ap), rules },
    condition: l4Condition(action, compiled),
  };
};

const isWhole = (r: CompiledRule): boolean => entriesOf(r).every((c) => c.http.length === 0 && c.bad.length === 0);
const plainRule = (r: CompiledRule): Rule =>
  clausesOf(
    r.to.map((c) => c.match),
    r.from.map((c) => c.match),
    r.when.map((c) => c.match),
  );

/**
 * In a DENY only the HTTP attributes are left out, as istiod does: a clause left with nothing never matches. What is malformed
 * is left out so that the rule denies more, never less.
 */
const l4DenyRule = (r: CompiledRule): Rule =>
  clausesOf(
    widened(r.to),
    widened(r.from),
    r.when.filter((c) => c.bad.length === 0).map((c) => c.match),
  );

/** No matches at all (always true) when a malformed entry has lost everything it asked for. */
const widened = (entries: readonly Compiled[]): readonly Match[] =>
  entries.some((c) => c.bad.length > 0 && isEmpty(c.match)) ? [] : entries.map((c) => c.match);

const isEmpty = (m: Match): boolean => Object.values(m).every((v) => v.length === 0);

/** Rules in which a clause can never match any more. */
const isInert = (r: CompiledRule): boolean =>
  [r.to, r.from, ...r.when.map((c) => [c])].some(
    (part) => part.length > 0 && part.every((c) => c.http.length > 0 && c.bad.length === 0 && isEmpty(c.match)),
  );

const l4Condition = (action: PolicyAction, rules: readonly CompiledRule[]): PolicyCondition => {
  const http = [...new Set(rules.flatMap((r) => entriesOf(r).flatMap((c) => c.http)))];
  const bad = rules.flatMap((r) => entriesOf(r).flatMap((c) => c.bad));
  if (http.length === 0 && bad.length === 0) return { status: "True", reason: "Accepted", message: "attached to ztunnel" };
  const sentences = [
    ...(http.length === 0
      ? []
      : [
          `ztunnel does not support HTTP attributes (found: ${http.join(", ")}). In ambient mode you must use a waypoint proxy to enforce HTTP rules. ${httpEffect(action, rules)}`,
        ]),
    ...bad.map((b) => `${b}.`),
    ...(bad.length === 0
      ? []
      : [
          action === "ALLOW"
            ? "The rules concerned allow nothing."
            : "What is concerned is left out, so the policy denies more than it says.",
        ]),
  ];
  return { status: "False", reason: "UnsupportedValue", message: sentences.join(" ") };
};

const httpEffect = (action: PolicyAction, rules: readonly CompiledRule[]): string => {
  if (action === "ALLOW") return "Within an ALLOW policy, rules matching HTTP attributes are omitted.";
  const concerned = rules.filter((r) => entriesOf(r).some((c) => c.http.length > 0));
  return concerned.every(isInert)
    ? "Within a DENY policy, rules matching only HTTP attributes have no effect."
    : "Within a DENY policy, HTTP attributes are omitted. This policy will be more restrictive than requested.";
};

// ---- waypoint ----

/** undefined without targetRefs: then it is a ztunnel's. */
export const toL7Policy = (ap: AuthorizationPolicy): L7Policy | undefined => {
  const targets = targetsOf(ap);
  if (targets.length === 0) return undefined;
  const { namespace = "", name } = ap.metadata;
  const base = { namespace, name, targets };
  const said = ap.spec?.action ?? "ALLOW";
  const policy = (action: PolicyAction, rules: readonly Rule[]): L7Policy["outcome"] => ({
    kind: "enforced",
    policy: { namespace, name, scope: "WORKLOAD_SELECTOR", action, dryRun: isDryRun(ap), rules },
  });
  const given = rulesOf(ap);
  if (given === undefined) return { ...base, outcome: { kind: "broken", reason: NOT_RULES }, problems: [NOT_RULES] };
  const compiled = given.map((rule, index) => compileRule(rule, { index, by: "waypoint", namespace }));
  const bad = compiled.flatMap((r) => entriesOf(r).flatMap((c) => c.bad));
  const selectorToo = ap.spec?.selector === undefined ? [] : ["spec.selector is ignored beside targetRefs: remove one of them"];
  switch (said) {
    case "ALLOW":
      return { ...base, outcome: policy("ALLOW", compiled.flatMap(l7AllowRule)), problems: [...bad, ...selectorToo] };
    case "DENY":
      return { ...base, outcome: policy("DENY", compiled.map(l7DenyRule)), problems: [...bad, ...selectorToo] };
    case "CUSTOM":
      // There is nobody to ask: what would have been asked about is denied (Istio does so for an unknown provider).
      return {
        ...base,
        outcome: policy("DENY", compiled.map(l7DenyRule)),
        problems: ["spec.action CUSTOM is not supported: requests that match its rules are denied; use ALLOW or DENY", ...bad],
      };
    case "AUDIT":
      return {
        ...base,
        outcome: { kind: "inert", reason: "AUDIT decides nothing" },
        problems: ["spec.action AUDIT is not supported: nothing is logged"],
      };
    default: {
      const reason = `spec.action ${JSON.stringify(said)} is unknown: use ALLOW or DENY`;
      return { ...base, outcome: { kind: "broken", reason }, problems: [reason] };
    }
  }
};

/** In an ALLOW what cannot be honoured matches nothing: an entry alone if others remain, else the rule. */
const l7AllowRule = (r: CompiledRule): readonly Rule[] => {
  const kept = (entries: readonly Compiled[]) => entries.filter((c) => c.bad.length === 0).map((c) => c.match);
  const [to, from, when] = [kept(r.to), kept(r.from), kept(r.when)];
  const lost = (r.to.length > 0 && to.length === 0) || (r.from.length > 0 && from.length === 0) || when.length < r.when.length;
  return lost ? [] : [clausesOf(to, from, when)];
};

/** In a DENY what cannot be honoured is left out, so that the rule denies more. */
const l7DenyRule = (r: CompiledRule): Rule =>
  clausesOf(
    widened(r.to),
    widened(r.from),
    r.when.filter((c) => c.bad.length === 0).map((c) => c.match),
  );
