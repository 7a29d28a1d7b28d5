import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { at, type JsonObject, sameJson } from "../model/object.ts";
import { schemaFor } from "../schema/builtin.ts";
import { applyStrategicMergePatch } from "./strategic.ts";

const POD = schemaFor({ group: "", version: "v1", kind: "Pod" });
const DEPLOYMENT = schemaFor({ group: "apps", version: "v1", kind: "Deployment" });

const spec = (doc: JsonObject, patch: JsonObject): unknown => {
  const result = applyStrategicMergePatch({ spec: doc }, { spec: patch }, POD);
  assert.ok(result.ok, result.ok ? "" : result.error);
  return at(result.value, "spec");
};

const two = {
  containers: [
    { name: "a", image: "1", env: [{ name: "X", value: "1" }] },
    { name: "b", image: "2" },
  ],
};

const cases: readonly { name: string; doc: JsonObject; patch: JsonObject; expect: unknown }[] = [
  {
    name: "items merge by their key, new ones are appended",
    doc: two,
    patch: {
      containers: [
        { name: "a", env: [{ name: "Y", value: "2" }] },
        { name: "c", image: "3" },
      ],
    },
    expect: {
      containers: [
        {
          name: "a",
          image: "1",
          env: [
            { name: "X", value: "1" },
            { name: "Y", value: "2" },
          ],
        },
        { name: "b", image: "2" },
        { name: "c", image: "3" },
      ],
    },
  },
  {
    name: "$patch: delete removes an item",
    doc: two,
    patch: { containers: [{ name: "a", $patch: "delete" }] },
    expect: { containers: [{ name: "b", image: "2" }] },
  },
  {
    name: "$patch: replace in a list replaces it",
    doc: two,
    patch: { containers: [{ $patch: "replace" }, { name: "z" }] },
    expect: { containers: [{ name: "z" }] },
  },
  {
    name: "$patch: replace in an object replaces it",
    doc: { securityContext: { runAsUser: 1 } },
    patch: { securityContext: { $patch: "replace", runAsGroup: 2 } },
    expect: { securityContext: { runAsGroup: 2 } },
  },
  {
    name: "$patch: delete in an object deletes it",
    doc: { securityContext: { runAsUser: 1 }, hostname: "h" },
    patch: { securityContext: { $patch: "delete" } },
    expect: { hostname: "h" },
  },
  { name: "null removes a field", doc: { hostname: "h", subdomain: "s" }, patch: { hostname: null }, expect: { subdomain: "s" } },
  {
    name: "an atomic list is replaced",
    doc: { tolerations: [{ key: "a" }] },
    patch: { tolerations: [{ key: "b" }] },
    expect: { tolerations: [{ key: "b" }] },
  },
  {
    name: "$setElementOrder orders items, those of the server keep their neighbours",
    doc: { containers: [{ name: "a" }, { name: "server" }, { name: "b" }] },
    patch: { "$setElementOrder/containers": [{ name: "b" }, { name: "c" }, { name: "a" }], containers: [{ name: "c" }] },
    expect: { containers: [{ name: "b" }, { name: "c" }, { name: "a" }, { name: "server" }] },
  },
  {
    name: "$retainKeys drops the other fields of a volume",
    doc: { volumes: [{ name: "v", emptyDir: {} }] },
    patch: { volumes: [{ name: "v", $retainKeys: ["name", "hostPath"], hostPath: { path: "/x" } }] },
    expect: { volumes: [{ name: "v", hostPath: { path: "/x" } }] },
  },
];
for (const c of cases) test(c.name, () => assert.deepEqual(spec(c.doc, c.patch), c.expect));

test("primitive lists: union, and $deleteFromPrimitiveList", () => {
  const merged = applyStrategicMergePatch(
    { metadata: { finalizers: ["a", "b"] } },
    { metadata: { finalizers: ["b", "c"], "$deleteFromPrimitiveList/finalizers": ["a"], "$setElementOrder/finalizers": ["c", "b"] } },
    POD,
  );
  assert.deepEqual(merged, { ok: true, value: { metadata: { finalizers: ["c", "b"] } } });
});

test("kubectl rollout undo's replacement of the template", () => {
  const live = { spec: { replicas: 2, template: { metadata: { labels: { a: "1" } }, spec: { containers: [{ name: "a", image: "2" }] } } } };
  const patch = { spec: { template: { $patch: "replace", metadata: {}, spec: { containers: [{ name: "a", image: "1" }] } } } };
  assert.deepEqual(applyStrategicMergePatch(live, patch, DEPLOYMENT), {
    ok: true,
    value: { spec: { replicas: 2, template: { metadata: {}, spec: { containers: [{ name: "a", image: "1" }] } } } },
  });
});

test("without a schema it is a JSON merge", () => {
  assert.deepEqual(applyStrategicMergePatch({ l: [{ name: "a" }] }, { l: [{ name: "b" }] }, undefined), {
    ok: true,
    value: { l: [{ name: "b" }] },
  });
});

const refused: readonly { name: string; patch: unknown; says: RegExp }[] = [
  { name: "no object", patch: [], says: /must be an object/ },
  { name: "an item without its key", patch: { spec: { containers: [{ image: "x" }] } }, says: /does not contain declared merge key: name/ },
  { name: "an unknown directive", patch: { spec: { $patch: "burn" } }, says: /"burn" is not a strategic merge directive/ },
  {
    name: "an order that misses a patched item",
    patch: { spec: { containers: [{ name: "x" }], "$setElementOrder/containers": [{ name: "y" }] } },
    says: /must all stand in/,
  },
  { name: "retainKeys that miss a set field", patch: { spec: { hostname: "x", $retainKeys: ["y"] } }, says: /does not name/ },
];
for (const c of refused) {
  test(`refused: ${c.name}`, () => {
    const result = applyStrategicMergePatch({ spec: two }, c.patch, POD);
    assert.ok(!result.ok);
    assert.match(result.error, c.says);
  });
}

const container = fc.record({ name: fc.constantFrom("a", "b", "c"), image: fc.string({ maxLength: 3 }) });
const podSpec = fc.record({
  hostname: fc.string({ maxLength: 3 }),
  containers: fc.uniqueArray(container, { selector: (c) => c.name }),
  nodeSelector: fc.dictionary(fc.stringMatching(/^[a-c]$/), fc.string({ maxLength: 2 })),
});

test("property: an empty patch is the identity, and an object patched with itself stays", () => {
  fc.assert(
    fc.property(podSpec, (s) => {
      const doc = { spec: s };
      for (const patch of [{}, { spec: {} }, doc]) {
        const result = applyStrategicMergePatch(doc, patch, POD);
        assert.ok(result.ok && sameJson(result.value, doc));
      }
    }),
    { numRuns: 100 },
  );
});

test("property: patching twice is patching once, and neither argument changes", () => {
  fc.assert(
    fc.property(podSpec, podSpec, (a, b) => {
      const [doc, patch] = [{ spec: a }, { spec: b }];
      const [docBefore, patchBefore] = [structuredClone(doc), structuredClone(patch)];
      const once = applyStrategicMergePatch(doc, patch, POD);
      assert.ok(once.ok);
      const twice = applyStrategicMergePatch(once.value, patch, POD);
      assert.ok(twice.ok && sameJson(once.value, twice.value));
      assert.ok(sameJson(doc, docBefore) && sameJson(patch, patchBefore));
    }),
    { numRuns: 100 },
  );
});
