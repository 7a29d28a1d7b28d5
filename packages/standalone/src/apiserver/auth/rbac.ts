// Is a user allowed to do this? (k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac)

import { matchesSelector } from "@ambit/shared/kube/selector.ts";
import { type JsonObject, type KubeObject, obj, objects, str, stringMap, strings } from "../model/object.ts";
import type { ObjectView } from "../registry/types.ts";
import { parseServiceAccount, type User } from "./user.ts";

export type ResourceAttributes = {
  readonly kind: "resource";
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string | undefined;
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
};

export type Attributes = ResourceAttributes | { readonly kind: "path"; readonly verb: string; readonly path: string };

export type Decision = { readonly allowed: boolean; readonly reason: string };

export type PolicyRule = {
  readonly verbs: readonly string[];
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames: readonly string[];
  readonly nonResourceURLs: readonly string[];
};

const GROUP = "rbac.authorization.k8s.io";
export const BUCKETS = {
  roles: `${GROUP}/roles`,
  clusterRoles: `${GROUP}/clusterroles`,
  roleBindings: `${GROUP}/rolebindings`,
  clusterRoleBindings: `${GROUP}/clusterrolebindings`,
} as const;

export const SUPERUSERS = "system:masters";

const ruleOf = (r: JsonObject): PolicyRule => ({
  verbs: strings(r.verbs),
  apiGroups: strings(r.apiGroups),
  resources: strings(r.resources),
  resourceNames: strings(r.resourceNames),
  nonResourceURLs: strings(r.nonResourceURLs),
});

/** A role's own rules; an aggregated ClusterRole has those of every ClusterRole that one of its selectors picks. */
export const rulesOf = (role: KubeObject, view: ObjectView): PolicyRule[] => {
  const selectors = objects(obj(role.aggregationRule).clusterRoleSelectors);
  if (selectors.length === 0) return objects(role.rules).map(ruleOf);
  return view
    .list(BUCKETS.clusterRoles)
    .filter((r) => r !== role && selectors.some((s) => matchesSelector(s, r.metadata.labels)))
    .flatMap((r) => objects(r.rules).map(ruleOf));
};

const coversResource = (rule: PolicyRule, a: ResourceAttributes): boolean => {
  const full = a.subresource === undefined ? a.resource : `${a.resource}/${a.subresource}`;
  return (
    (rule.verbs.includes("*") || rule.verbs.includes(a.verb)) &&
    (rule.apiGroups.includes("*") || rule.apiGroups.includes(a.group)) &&
    rule.resources.some((r) => r === "*" || r === full || (a.subresource !== undefined && r === `*/${a.subresource}`)) &&
    (rule.resourceNames.length === 0 || (a.name !== undefined && rule.resourceNames.includes(a.name)))
  );
};

const coversPath = (rule: PolicyRule, verb: string, path: string): boolean =>
  (rule.verbs.includes("*") || rule.verbs.includes(verb)) &&
  rule.nonResourceURLs.some((u) => u === "*" || u === path || (u.endsWith("*") && path.startsWith(u.slice(0, -1))));

export const covers = (rule: PolicyRule, a: Attributes): boolean =>
  a.kind === "resource" ? coversResource(rule, a) : coversPath(rule, a.verb, a.path);

const isSubject = (s: JsonObject, user: User, namespace: string | undefined): boolean => {
  switch (s.kind) {
    case "User":
      return s.name === user.name;
    case "Group":
      return typeof s.name === "string" && user.groups.includes(s.name);
    case "ServiceAccount": {
      const sa = parseServiceAccount(user.name);
      return sa !== undefined && sa.name === s.name && sa.namespace === (str(s.namespace) ?? namespace);
    }
    default:
      return false;
  }
};

export type Grant = { readonly rules: readonly PolicyRule[]; readonly via: string };

const roleFor = (binding: KubeObject, view: ObjectView): KubeObject | undefined => {
  const { kind, name } = stringMap(binding.roleRef);
  if (name === undefined) return undefined;
  return kind === "ClusterRole" ? view.get(BUCKETS.clusterRoles, name) : view.get(BUCKETS.roles, `${binding.metadata.namespace}/${name}`);
};

/** Everything that bindings give the user cluster-wide and, when named, in the namespace. */
export function* grants(user: User, namespace: string | undefined, view: ObjectView): Generator<Grant> {
  const bindings = [
    ...view.list(BUCKETS.clusterRoleBindings),
    ...(namespace === undefined || namespace === "" ? [] : view.list(BUCKETS.roleBindings, namespace)),
  ];
  for (const b of bindings) {
    if (!objects(b.subjects).some((s) => isSubject(s, user, b.metadata.namespace))) continue;
    const role = roleFor(b, view);
    if (role === undefined) continue;
    const place = b.metadata.namespace === undefined ? b.metadata.name : `${b.metadata.name}/${b.metadata.namespace}`;
    yield { rules: rulesOf(role, view), via: `${b.kind} "${place}" of ${role.kind} "${role.metadata.name}"` };
  }
}

export const authorize = (user: User, a: Attributes, view: ObjectView): Decision => {
  if (user.groups.includes(SUPERUSERS)) return { allowed: true, reason: "" };
  for (const g of grants(user, a.kind === "resource" ? a.namespace : undefined, view))
    if (g.rules.some((r) => covers(r, a))) return { allowed: true, reason: `RBAC: allowed by ${g.via}` };
  return { allowed: false, reason: "" };
};

/** Kubernetes' words for a refusal, after "<resource> is forbidden: ". */
export const refusalText = (user: User, a: Attributes): string => {
  const who = `User ${JSON.stringify(user.name)} cannot`;
  if (a.kind === "path") return `${who} ${a.verb} path ${JSON.stringify(a.path)}`;
  const what = a.subresource === undefined ? a.resource : `${a.resource}/${a.subresource}`;
  const where =
    a.namespace === undefined || a.namespace === "" ? "at the cluster scope" : `in the namespace ${JSON.stringify(a.namespace)}`;
  return `${who} ${a.verb} resource ${JSON.stringify(what)} in API group ${JSON.stringify(a.group)} ${where}`;
};

const subset = (wanted: readonly string[], have: readonly string[]): boolean => have.includes("*") || wanted.every((w) => have.includes(w));

/** Does one of the rules give at least what `wanted` gives, verb by verb and resource by resource? */
export const ruleCovered = (wanted: PolicyRule, have: readonly PolicyRule[]): boolean =>
  wanted.verbs.every((verb) =>
    wanted.nonResourceURLs.length > 0
      ? wanted.nonResourceURLs.every((path) => have.some((h) => coversPath(h, verb, path)))
      : wanted.apiGroups.every((group) =>
          wanted.resources.every((resource) =>
            have.some(
              (h) =>
                subset([verb], h.verbs) &&
                subset([group], h.apiGroups) &&
                (h.resources.includes("*") || h.resources.includes(resource) || h.resources.includes(resource.replace(/^[^/]*\//, "*/"))) &&
                (h.resourceNames.length === 0 ||
                  (wanted.resourceNames.length > 0 && wanted.resourceNames.every((n) => h.resourceNames.includes(n)))),
            ),
          ),
        ),
  );
