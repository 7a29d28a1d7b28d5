// Are templates, availability and namespace defaults decided as Kubernetes does?

import assert from "node:assert/strict";
import { test } from "node:test";
import type { PodTemplateSpec } from "@ambit/shared/kube/objects/pod.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import { groupVersionsOf, resourcesOf } from "../discovery/parse.ts";
import { emptyNamespace, finalized, isTerminating } from "../namespace/reconcile.ts";
import { reconcileNamespaceDefaults } from "../serviceaccount/reconcile.ts";
import { pod, shown, view } from "../test/fixtures.ts";
import { fenceposts, scaled } from "./budget.ts";
import { sameTemplate, templateHash } from "./template.ts";

const template = (image: string, labels: Record<string, string> = { app: "a" }): PodTemplateSpec => ({
  metadata: { labels },
  spec: { containers: [{ name: "c", image }] },
});

test("templates: field order, absent and empty maps, and the hash label make no difference; anything else does", () => {
  assert.ok(
    sameTemplate(template("x"), {
      spec: { containers: [{ image: "x", name: "c" }] },
      metadata: { labels: { "pod-template-hash": "h", app: "a" } },
    }),
  );
  assert.ok(sameTemplate(template("x"), { ...template("x"), metadata: { labels: { app: "a" }, annotations: {} } }));
  assert.ok(!sameTemplate(template("x"), template("y")));
  assert.ok(!sameTemplate(template("x"), template("x", { app: "b" })));
  assert.equal(templateHash(template("x")), templateHash(template("x", { app: "a", "pod-template-hash": "h" })));
  assert.match(templateHash(template("x")), /^[bcdfghjklmnpqrstvwxz2456789]{10}$/);
});

const scaledCases: readonly (readonly [number | string | undefined, number, "up" | "down", number | undefined])[] = [
  [3, 10, "up", 3],
  ["25%", 10, "up", 3],
  ["25%", 10, "down", 2],
  ["0%", 10, "up", 0],
  ["7", 10, "up", 7],
  ["a lot", 10, "up", undefined],
  [undefined, 10, "up", undefined],
];
for (const [value, total, round, expected] of scaledCases)
  test(`${value} of ${total}, rounded ${round}`, () => assert.equal(scaled(value, total, round), expected));
test("more may not be unavailable than there are", () =>
  assert.deepEqual(fenceposts({ maxSurge: 0, maxUnavailable: 9 }, 3), { surge: 0, unavailable: 3 }));

const ns = (more: object = {}) => ({ metadata: { name: "d" }, spec: { finalizers: ["kubernetes"] }, ...more });
const ending = ns({ metadata: { name: "d", deletionTimestamp: "2026-01-01T00:00:00Z" } });
test("a namespace gets its default account and the CA, a changed CA is put right, a terminating one gets nothing", () => {
  assert.deepEqual(shown(reconcileNamespaceDefaults(ns(), "CA", view({}))), [
    "create serviceaccounts default",
    "create configmaps kube-root-ca.crt",
  ]);
  const have = {
    serviceAccounts: [{ metadata: { namespace: "d", name: "default" } }],
    configMaps: [{ metadata: { namespace: "d", name: "kube-root-ca.crt" }, data: { "ca.crt": "CA" } }],
  };
  assert.deepEqual(shown(reconcileNamespaceDefaults(ns(), "CA", view(have))), []);
  assert.deepEqual(shown(reconcileNamespaceDefaults(ns(), "NEW", view(have))), ["update configmaps kube-root-ca.crt"]);
  assert.deepEqual(shown(reconcileNamespaceDefaults(ending, "CA", view({}))), []);
});

test("a terminating namespace is emptied, then finalized; a living one is left alone", () => {
  const contents = [pod("a"), pod("b", { deleting: true })].map((object) => ({ resource: RESOURCES.pods, object }));
  assert.deepEqual(shown(emptyNamespace(ending, contents)), ["delete pods a"]);
  assert.deepEqual(shown(emptyNamespace(ns(), contents)), []);
  assert.equal(isTerminating({ ...ending, spec: { finalizers: ["mine"] } }), false);
  const last = finalized({ ...ending, spec: { finalizers: ["kubernetes", "mine"] } }).actions[0];
  assert.ok(last?.do === "update" && last.subresource === "finalize");
  assert.deepEqual((last.object as typeof ending).spec.finalizers, ["mine"]);
});

test("discovery: the preferred version of what can be listed, watched and deleted; no subresources", () => {
  const verbs = ["get", "list", "watch", "delete"];
  const found = resourcesOf([
    {
      groupVersion: "v1",
      resources: [
        { name: "pods", kind: "Pod", namespaced: true, verbs },
        { name: "pods/log", kind: "Pod", namespaced: true, verbs },
        { name: "bindings", kind: "Binding", namespaced: true, verbs: ["create"] },
      ],
    },
    { groupVersion: "g/v1", resources: [{ name: "things", kind: "Thing", namespaced: false, verbs }] },
    {
      groupVersion: "g/v1beta1",
      resources: [
        { name: "things", kind: "Thing", namespaced: false, verbs },
        { name: "olds", kind: "Old", namespaced: true, verbs },
      ],
    },
  ]);
  assert.deepEqual(
    found.map((r) => `${r.group}/${r.version}/${r.resource} ${r.namespaced}`),
    ["/v1/pods true", "g/v1/things false", "g/v1beta1/olds true"],
  );
  assert.deepEqual(
    groupVersionsOf({
      groups: [
        { name: "g", versions: [{ groupVersion: "g/v1beta1" }, { groupVersion: "g/v1" }], preferredVersion: { groupVersion: "g/v1" } },
      ],
    }),
    ["g/v1", "g/v1beta1"],
  );
});
