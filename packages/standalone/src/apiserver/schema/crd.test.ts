import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { parse } from "yaml";
import { at, type JsonObject, objects } from "../model/object.ts";
import { checkCrd, crdSchema, hasStatusSubresource, printerColumns, scalePaths } from "./crd.ts";
import { applyBuiltinDefaults } from "./defaulting.ts";
import { admit } from "./validate.ts";

const DIRECTORY = new URL("../../../../../deploy/crds/", import.meta.url);
const CRD_GVK = { group: "apiextensions.k8s.io", version: "v1", kind: "CustomResourceDefinition" };

const shipped: ReadonlyMap<string, JsonObject> = new Map(
  readdirSync(DIRECTORY)
    .filter((name) => name !== "kustomization.yaml")
    .map((name) => [name, applyBuiltinDefaults(CRD_GVK, parse(readFileSync(new URL(name, DIRECTORY), "utf8")))]),
);

const named = (name: string): JsonObject => shipped.get(name) ?? assert.fail(name);

test("every CRD in deploy/crds is acceptable and fits in kubectl's annotation", () => {
  for (const [name, crd] of shipped) {
    assert.deepEqual(checkCrd(crd), [], name);
    assert.ok(JSON.stringify(crd).length < 200_000, `${name} is too large for kubectl apply`);
    for (const version of objects(at(crd, "spec", "versions"))) assert.ok(crdSchema(crd, String(version.name)), name);
  }
});

const admitted = (file: string, version: string, object: JsonObject) => {
  const crd = named(file);
  const apiVersion = `${at(crd, "spec", "group")}/${version}`;
  return admit(
    crdSchema(crd, version),
    { apiVersion, kind: at(crd, "spec", "names", "kind"), metadata: { name: "x" }, ...object },
    "strict",
  );
};

test("an HTTPRoute gets upstream's defaults", () => {
  const { object, causes, unknownFields } = admitted("gateway.networking.k8s.io_httproutes.yaml", "v1", {
    spec: {
      parentRefs: [{ name: "s", kind: "Service", group: "" }, { name: "g" }],
      rules: [{ backendRefs: [{ name: "reviews", port: 9080 }] }],
    },
  });
  assert.deepEqual([causes, unknownFields], [[], []]);
  assert.deepEqual(object.spec, {
    parentRefs: [
      { name: "s", kind: "Service", group: "" },
      { name: "g", group: "gateway.networking.k8s.io", kind: "Gateway" },
    ],
    rules: [
      {
        backendRefs: [{ name: "reviews", port: 9080, group: "", kind: "Service", weight: 1 }],
        matches: [{ path: { type: "PathPrefix", value: "/" } }],
      },
    ],
  });
  const bare = admitted("gateway.networking.k8s.io_httproutes.yaml", "v1beta1", { spec: {} });
  assert.deepEqual(bare.object.spec, { rules: [{ matches: [{ path: { type: "PathPrefix", value: "/" } }] }] });
});

test("a Gateway gets upstream's defaults", () => {
  const { object, causes } = admitted("gateway.networking.k8s.io_gateways.yaml", "v1", {
    spec: { gatewayClassName: "istio-waypoint", listeners: [{ name: "mesh", port: 15008, protocol: "HBONE" }] },
  });
  assert.deepEqual(causes, []);
  assert.deepEqual(objects(at(object, "spec", "listeners"))[0]?.allowedRoutes, { namespaces: { from: "Same" } });
  assert.deepEqual(
    objects(at(object, "status", "conditions")).map((c) => [c.type, c.status, c.reason]),
    [
      ["Accepted", "Unknown", "Pending"],
      ["Programmed", "Unknown", "Pending"],
    ],
  );
});

const refusals: readonly { name: string; file: string; version: string; spec: JsonObject; expect: readonly string[] }[] = [
  {
    name: "a wrong type and a missing name",
    file: "gateway.networking.k8s.io_httproutes.yaml",
    version: "v1",
    spec: { rules: [{ backendRefs: [{ port: "80" }] }] },
    expect: [
      "spec.rules[0].backendRefs[0].name: Required value",
      'spec.rules[0].backendRefs[0].port: Invalid value: "string": spec.rules[0].backendRefs[0].port in body must be of type integer: "string"',
    ],
  },
  {
    name: "an enum and a maximum",
    file: "gateway.networking.k8s.io_httproutes.yaml",
    version: "v1",
    spec: { rules: [{ matches: [{ method: "FETCH" }], backendRefs: [{ name: "a", port: 70000 }] }] },
    expect: [
      'spec.rules[0].matches[0].method: Unsupported value: "FETCH": supported values: "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"',
      "spec.rules[0].backendRefs[0].port: Invalid value: 70000: spec.rules[0].backendRefs[0].port in body should be less than or equal to 65535",
    ],
  },
  {
    name: "duplicate listeners",
    file: "gateway.networking.k8s.io_gateways.yaml",
    version: "v1",
    spec: { gatewayClassName: "c", listeners: [1, 2].map((port) => ({ name: "a", port, protocol: "HTTP" })) },
    expect: ['spec.listeners[1]: Duplicate value: {"name":"a"}'],
  },
  {
    name: "an AuthorizationPolicy's action",
    file: "security.istio.io_authorizationpolicies.yaml",
    version: "v1",
    spec: { action: "REFUSE" },
    expect: ['spec.action: Unsupported value: "REFUSE": supported values: "ALLOW", "DENY", "AUDIT", "CUSTOM"'],
  },
];
for (const c of refusals) {
  test(`refused: ${c.name}`, () => {
    const { causes } = admitted(c.file, c.version, { spec: c.spec });
    assert.deepEqual(
      causes.map((cause) => `${cause.field}: ${cause.message}`),
      c.expect,
    );
  });
}

test("unknown fields are pruned and named; an open status keeps its own", () => {
  const { object, unknownFields } = admitted("security.istio.io_authorizationpolicies.yaml", "v1", {
    spec: { action: "DENY", rulez: [] },
    status: { conditions: [], mine: 1 },
  });
  assert.deepEqual(object.spec, { action: "DENY" });
  assert.deepEqual(object.status, { conditions: [], mine: 1 });
  assert.deepEqual(unknownFields, ["spec.rulez"]);
});

test("columns, scale and status of a version", () => {
  const crd = named("gateway.networking.k8s.io_gateways.yaml");
  assert.deepEqual(
    printerColumns(crd, "v1").map((c) => c.name),
    ["Class", "Address", "Programmed", "Age"],
  );
  assert.equal(hasStatusSubresource(crd, "v1"), true);
  assert.equal(hasStatusSubresource(named("gateway.networking.k8s.io_referencegrants.yaml"), "v1"), false);
  assert.equal(scalePaths(crd, "v1"), undefined);
});

const SPEC = {
  group: "example.com",
  names: { plural: "things", kind: "Thing", singular: "thing", listKind: "ThingList" },
  scope: "Namespaced",
  versions: [
    { name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object", properties: { spec: { type: "object" } } } } },
  ],
};
const crd = (spec: JsonObject, name = "things.example.com"): JsonObject => ({
  ...CRD_GVK,
  apiVersion: "apiextensions.k8s.io/v1",
  metadata: { name },
  spec: { ...SPEC, ...spec },
});
const schema = (openAPIV3Schema: JsonObject): JsonObject => ({
  versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema } }],
});
const S = "spec.versions[0].schema.openAPIV3Schema";

const wrong: readonly { name: string; crd: JsonObject; expect: readonly string[] }[] = [
  { name: "nothing", crd: crd({}), expect: [] },
  { name: "a name that does not match", crd: crd({}, "thing.example.com"), expect: ["metadata.name"] },
  {
    name: "two storage versions",
    crd: crd({ versions: [...SPEC.versions, { ...SPEC.versions[0], name: "v2" }] }),
    expect: ["spec.versions"],
  },
  {
    name: "a version twice",
    crd: crd({ versions: [...SPEC.versions, { ...SPEC.versions[0], storage: false }] }),
    expect: ["spec.versions[1].name"],
  },
  { name: "no schema", crd: crd({ versions: [{ name: "v1", served: true, storage: true }] }), expect: [S] },
  { name: "a root that is no object", crd: crd(schema({ type: "string" })), expect: [`${S}.type`] },
  { name: "a field without type", crd: crd(schema({ type: "object", properties: { a: {} } })), expect: [`${S}.properties[a].type`] },
  {
    name: "an array without items",
    crd: crd(schema({ type: "object", properties: { a: { type: "array" } } })),
    expect: [`${S}.properties[a].items`],
  },
  {
    name: "a list map whose key is not in its items",
    crd: crd(
      schema({
        type: "object",
        properties: {
          a: {
            type: "array",
            items: { type: "object", properties: {} },
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["k"],
          },
        },
      }),
    ),
    expect: [`${S}.properties[a].x-kubernetes-list-map-keys[0]`],
  },
  { name: "a ref", crd: crd(schema({ type: "object", $ref: "#/x" })), expect: [`${S}.$ref`] },
  { name: "a type inside anyOf", crd: crd(schema({ type: "object", anyOf: [{ type: "object" }] })), expect: [`${S}.anyOf[0].type`] },
  {
    name: "a default that does not fit",
    crd: crd(schema({ type: "object", properties: { a: { type: "integer", default: "x" } } })),
    expect: [`${S}.properties[a].default`],
  },
  {
    name: "a pattern that is none",
    crd: crd(schema({ type: "object", properties: { a: { type: "string", pattern: "(" } } })),
    expect: [`${S}.properties[a].pattern`],
  },
  { name: "conversion by webhook", crd: crd({ conversion: { strategy: "Webhook" } }), expect: ["spec.conversion.strategy"] },
  {
    name: "a protected group without approval",
    crd: crd({ group: "x.k8s.io" }, "things.x.k8s.io"),
    expect: ["metadata.annotations[api-approved.kubernetes.io]"],
  },
  { name: "a scope that is none", crd: crd({ scope: "World" }), expect: ["spec.scope"] },
];
for (const c of wrong) {
  test(`a CRD with ${c.name}`, () =>
    assert.deepEqual(
      checkCrd(c.crd).map((cause) => cause.field),
      c.expect,
    ));
}
