// Which rules cover which requests, and whom do bindings reach?

import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject } from "../model/object.ts";
import type { ObjectView } from "../registry/types.ts";
import { type Attributes, authorize, BUCKETS, covers, type PolicyRule, ruleCovered } from "./rbac.ts";
import type { User } from "./user.ts";

const rule = (r: Partial<PolicyRule>): PolicyRule => ({
  verbs: ["get"],
  apiGroups: [""],
  resources: ["pods"],
  resourceNames: [],
  nonResourceURLs: [],
  ...r,
});
const ask = (a: Partial<Extract<Attributes, { kind: "resource" }>>): Attributes => ({
  kind: "resource",
  verb: "get",
  group: "",
  resource: "pods",
  ...a,
});

const coverage: readonly (readonly [string, PolicyRule, Attributes, boolean])[] = [
  ["same", rule({}), ask({}), true],
  ["another verb", rule({}), ask({ verb: "list" }), false],
  ["another group", rule({}), ask({ group: "apps" }), false],
  ["all verbs", rule({ verbs: ["*"] }), ask({ verb: "patch" }), true],
  ["all groups", rule({ apiGroups: ["*"] }), ask({ group: "apps" }), true],
  ["all resources, subresources too", rule({ resources: ["*"] }), ask({ subresource: "log" }), true],
  ["a resource is not its subresource", rule({}), ask({ subresource: "log" }), false],
  ["a subresource is not its resource", rule({ resources: ["pods/log"] }), ask({}), false],
  ["a subresource", rule({ resources: ["pods/log"] }), ask({ subresource: "log" }), true],
  ["a subresource of all", rule({ resources: ["*/scale"] }), ask({ resource: "deployments", subresource: "scale" }), true],
  ["named", rule({ resourceNames: ["a"] }), ask({ name: "a" }), true],
  ["another name", rule({ resourceNames: ["a"] }), ask({ name: "b" }), false],
  ["a list has no name", rule({ resourceNames: ["a"] }), ask({ verb: "get" }), false],
  ["a path", rule({ resources: [], nonResourceURLs: ["/healthz"] }), { kind: "path", verb: "get", path: "/healthz" }, true],
  ["paths below", rule({ resources: [], nonResourceURLs: ["/apis/*"] }), { kind: "path", verb: "get", path: "/apis/apps" }, true],
  ["a path is no prefix", rule({ resources: [], nonResourceURLs: ["/api"] }), { kind: "path", verb: "get", path: "/apis" }, false],
  ["resource rules say nothing of paths", rule({ resources: ["*"], verbs: ["*"] }), { kind: "path", verb: "get", path: "/healthz" }, false],
];
for (const [name, r, a, expected] of coverage) test(name, () => assert.equal(covers(r, a), expected));

const role = (name: string, namespace: string | undefined, resources: string[], more: object = {}): KubeObject => ({
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind: namespace === undefined ? "ClusterRole" : "Role",
  metadata: { name, ...(namespace === undefined ? {} : { namespace }), labels: { part: name } },
  rules: [{ verbs: ["get"], apiGroups: [""], resources }],
  ...more,
});
const binding = (name: string, namespace: string | undefined, [kind, to]: readonly [string, string], subject: object): KubeObject => ({
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind: namespace === undefined ? "ClusterRoleBinding" : "RoleBinding",
  metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
  roleRef: { kind, name: to },
  subjects: [subject],
});

const objects: readonly (readonly [string, KubeObject])[] = [
  [BUCKETS.clusterRoles, role("wide", undefined, ["nodes"])],
  [BUCKETS.clusterRoles, role("sum", undefined, [], { aggregationRule: { clusterRoleSelectors: [{ matchLabels: { part: "wide" } }] } })],
  [BUCKETS.roles, role("here", "ns", ["pods"])],
  [BUCKETS.roleBindings, binding("b1", "ns", ["Role", "here"], { kind: "ServiceAccount", name: "bob" })],
  [BUCKETS.roleBindings, binding("b2", "ns", ["ClusterRole", "wide"], { kind: "User", name: "carol" })],
  [BUCKETS.clusterRoleBindings, binding("b3", undefined, ["ClusterRole", "sum"], { kind: "Group", name: "ops" })],
  [BUCKETS.clusterRoleBindings, binding("b4", undefined, ["ClusterRole", "absent"], { kind: "Group", name: "ops" })],
];
const key = (o: KubeObject) => (o.metadata.namespace === undefined ? o.metadata.name : `${o.metadata.namespace}/${o.metadata.name}`);
const view: ObjectView = {
  get: (bucket, k) => objects.find(([b, o]) => b === bucket && key(o) === k)?.[1],
  list: (bucket, namespace) =>
    objects.flatMap(([b, o]) => (b === bucket && (namespace === undefined || o.metadata.namespace === namespace) ? [o] : [])),
};

const user = (name: string, ...groups: string[]): User => ({ name, groups });
const decisions: readonly (readonly [string, User, Attributes, boolean])[] = [
  ["a ServiceAccount of the binding's namespace", user("system:serviceaccount:ns:bob"), ask({ namespace: "ns" }), true],
  ["its namesake elsewhere", user("system:serviceaccount:other:bob"), ask({ namespace: "ns" }), false],
  ["a user of that name", user("bob"), ask({ namespace: "ns" }), false],
  ["another namespace", user("system:serviceaccount:ns:bob"), ask({ namespace: "other" }), false],
  ["cluster scope", user("system:serviceaccount:ns:bob"), ask({}), false],
  ["a ClusterRole bound in a namespace", user("carol"), ask({ resource: "nodes", namespace: "ns" }), true],
  ["… is not bound outside", user("carol"), ask({ resource: "nodes" }), false],
  ["an aggregated role, by group", user("dan", "ops"), ask({ resource: "nodes" }), true],
  ["superusers", user("eve", "system:masters"), ask({ verb: "delete", resource: "anything" }), true],
  ["nobody", user("system:anonymous"), ask({}), false],
];
for (const [name, who, a, expected] of decisions) test(name, () => assert.equal(authorize(who, a, view).allowed, expected));

const grants: readonly (readonly [string, PolicyRule, PolicyRule[], boolean])[] = [
  ["equal", rule({}), [rule({})], true],
  ["split over two rules", rule({ verbs: ["get", "list"] }), [rule({}), rule({ verbs: ["list"] })], true],
  ["more verbs", rule({ verbs: ["get", "delete"] }), [rule({})], false],
  ["everything", rule({ verbs: ["*"], resources: ["*"], apiGroups: ["*"] }), [rule({ verbs: ["*"] })], false],
  ["all from named", rule({}), [rule({ resourceNames: ["a"] })], false],
  ["named from all", rule({ resourceNames: ["a"] }), [rule({})], true],
  ["paths", rule({ resources: [], apiGroups: [], nonResourceURLs: ["/metrics"] }), [rule({ nonResourceURLs: ["*"] })], true],
];
for (const [name, wanted, have, expected] of grants) test(`granting: ${name}`, () => assert.equal(ruleCovered(wanted, have), expected));
