// Which names, labels, annotations, owners and finalizers are well formed?

import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject, ObjectMeta } from "../model/object.ts";
import type { NameRule } from "../registry/types.ts";
import { generatedName, metadataCauses, qualifiedNameBreach } from "./names.ts";

const object = (metadata: ObjectMeta): KubeObject => ({ apiVersion: "v1", kind: "ConfigMap", metadata });
const fieldsOf = (metadata: ObjectMeta, rule: NameRule = "subdomain") =>
  metadataCauses(object({ name: "x", ...metadata }), rule).map((c) => c.field);

const names: readonly (readonly [NameRule, string, boolean])[] = [
  ["subdomain", "a.b-c.d", true],
  ["subdomain", "a..b", false],
  ["subdomain", "-a", false],
  ["subdomain", "a_b", false],
  ["subdomain", "A", false],
  ["subdomain", "a".repeat(253), true],
  ["subdomain", "a".repeat(254), false],
  ["label", "a.b", false],
  ["label", "1a", true],
  ["label", "a".repeat(64), false],
  ["label1035", "1a", false],
  ["label1035", "a1", true],
  ["path", "system:node", true],
  ["path", "a/b", false],
  ["path", "..", false],
  ["path", "a%b", false],
];
for (const [rule, name, good] of names)
  test(`${rule} ${name.slice(0, 20)} ${good}`, () => assert.deepEqual(fieldsOf({ name }, rule), good ? [] : ["metadata.name"]));

test("metadata's parts", () => {
  assert.deepEqual(
    metadataCauses(object({}), "subdomain").map((c) => c.message),
    ["Required value: name or generateName is required"],
  );
  assert.deepEqual(fieldsOf({ labels: { "a/b": "c", ok: "" } }), []);
  assert.deepEqual(fieldsOf({ labels: { "a/b/c": "c", k: "-x" } }), ["metadata.labels", "metadata.labels"]);
  assert.deepEqual(fieldsOf({ annotations: { "Some.Domain/Key": "any text\n" } }), []);
  assert.deepEqual(fieldsOf({ annotations: { k: "x".repeat(300_000) } }), ["metadata.annotations"]);
  assert.deepEqual(fieldsOf({ finalizers: ["orphan", "demo.dev/x"] }), []);
  assert.deepEqual(fieldsOf({ finalizers: ["bare"] }), ["metadata.finalizers[0]"]);
  const owner = { apiVersion: "v1", kind: "Pod", name: "p", uid: "u", controller: true };
  assert.deepEqual(fieldsOf({ ownerReferences: [owner] }), []);
  assert.deepEqual(fieldsOf({ ownerReferences: [{ ...owner, uid: "" }] }), ["metadata.ownerReferences[0].uid"]);
  assert.deepEqual(fieldsOf({ ownerReferences: [owner, { ...owner, uid: "v" }] }), ["metadata.ownerReferences"]);
});

test("qualified names", () => {
  for (const good of ["a", "A.b_c-d", "example.com/A"]) assert.equal(qualifiedNameBreach(good), undefined, good);
  for (const bad of ["", "/a", "a/", "-a", "Example.com/a", "a b", "a".repeat(64)])
    assert.notEqual(qualifiedNameBreach(bad), undefined, bad);
});

test("generated names end in five letters and never grow past the limit", () => {
  assert.match(
    generatedName("web-", () => 0.5),
    /^web-[a-z0-9]{5}$/,
  );
  assert.equal(generatedName("x".repeat(100), () => 0).length, 63);
});
