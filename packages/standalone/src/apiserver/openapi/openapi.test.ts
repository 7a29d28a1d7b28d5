import assert from "node:assert/strict";
import { test } from "node:test";
import { at, isObject } from "../model/object.ts";
import { openApiV2Json, openApiV2Protobuf } from "./v2.ts";
import { openApiV3Document, openApiV3Index, type ServedResource } from "./v3.ts";

const verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const served = (group: string, version: string, resource: string, kind: string, more: Partial<ServedResource> = {}): ServedResource => ({
  group,
  version,
  resource,
  kind,
  namespaced: true,
  subresources: [],
  verbs,
  ...more,
});

const RESOURCES: readonly ServedResource[] = [
  served("", "v1", "pods", "Pod", { subresources: ["status", "log"] }),
  served("apps", "v1", "deployments", "Deployment", { subresources: ["status", "scale"] }),
  served("example.com", "v1", "things", "Thing", {
    namespaced: false,
    schema: {
      type: "object",
      properties: {
        spec: {
          type: "object",
          properties: { port: { "x-kubernetes-int-or-string": true, anyOf: [{ type: "integer" }, { type: "string" }] } },
        },
      },
    },
  }),
];

const everyRef = (value: unknown, visit: (ref: string) => void): void => {
  if (Array.isArray(value)) for (const item of value) everyRef(item, visit);
  else if (isObject(value)) {
    for (const [key, child] of Object.entries(value)) {
      if (key === "$ref" && typeof child === "string") visit(child);
      else everyRef(child, visit);
    }
  }
};

test("v3: one document a group-version, its URL changing with its content", () => {
  const index = openApiV3Index(RESOURCES);
  assert.deepEqual(Object.keys(index.paths ?? {}), ["api/v1", "apis/apps/v1", "apis/example.com/v1"]);
  const changed = openApiV3Index(RESOURCES.map((r) => (r.group === "example.com" ? { ...r, schema: { type: "object" } } : r)));
  const url = (i: object, path: string) => at(i, "paths", path, "serverRelativeURL");
  assert.notEqual(url(index, "apis/example.com/v1"), url(changed, "apis/example.com/v1"));
  assert.equal(url(index, "api/v1"), url(changed, "api/v1"));
  assert.match(String(url(index, "apis/apps/v1")), /^\/openapi\/v3\/apis\/apps\/v1\?hash=[0-9A-F]{16}$/);
  assert.equal(openApiV3Document(RESOURCES, "apis/none/v1"), undefined);
});

test("v3: every ref has its schema", () => {
  for (const path of ["api/v1", "apis/apps/v1", "apis/example.com/v1"]) {
    const document = openApiV3Document(RESOURCES, path);
    const schemas = at(document, "components", "schemas");
    assert.ok(isObject(schemas));
    everyRef(document, (ref) => assert.ok(Object.hasOwn(schemas, ref.replace("#/components/schemas/", "")), ref));
    assert.doesNotMatch(JSON.stringify(document), /x-ambit|#\/definitions/);
  }
});

test("v3: what kubectl looks for: the PATCH of a kind with its parameters and media types, merge keys, the GVK of schemas", () => {
  const apps = openApiV3Document(RESOURCES, "apis/apps/v1");
  const patch = at(apps, "paths", "/apis/apps/v1/namespaces/{namespace}/deployments/{name}", "patch");
  assert.ok(isObject(patch));
  assert.deepEqual(patch["x-kubernetes-group-version-kind"], { group: "apps", version: "v1", kind: "Deployment" });
  const names = (patch.parameters as { name: string }[]).map((p) => p.name);
  assert.deepEqual(names, ["dryRun", "fieldManager", "fieldValidation", "force"]);
  assert.ok(at(patch, "requestBody", "content", "application/strategic-merge-patch+json"));
  const containers = at(apps, "components", "schemas", "io.k8s.api.core.v1.PodSpec", "properties", "containers");
  assert.equal(at(containers, "x-kubernetes-patch-merge-key"), "name");
  const thing = openApiV3Document(RESOURCES, "apis/example.com/v1");
  assert.equal(
    at(thing, "paths", "/apis/example.com/v1/things/{name}", "patch", "requestBody", "content", "application/strategic-merge-patch+json"),
    undefined,
  );
  assert.deepEqual(at(thing, "components", "schemas", "com.example.v1.Thing", "x-kubernetes-group-version-kind"), [
    { group: "example.com", version: "v1", kind: "Thing" },
  ]);
  assert.deepEqual(at(apps, "components", "schemas", "io.k8s.apimachinery.pkg.util.intstr.IntOrString", "oneOf"), [
    { type: "integer" },
    { type: "string" },
  ]);
});

test("v2: every ref has its definition, and no keyword that v2 lacks", () => {
  const document = openApiV2Json(RESOURCES);
  const { definitions } = document;
  assert.ok(isObject(definitions));
  everyRef(document, (ref) => assert.ok(Object.hasOwn(definitions, ref.replace("#/definitions/", "")), ref));
  assert.doesNotMatch(JSON.stringify(document), /"anyOf"|"oneOf"|"nullable"|x-ambit/);
});

// A reader of protobuf's wire format, written for this test: fields by number, nested messages as bytes.
type Field = { number: number; bytes: Uint8Array };
const fields = (bytes: Uint8Array): readonly Field[] => {
  const out: Field[] = [];
  let pos = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = bytes[pos++] ?? assert.fail("ends inside a varint");
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return value;
    }
  };
  while (pos < bytes.length) {
    const key = varint();
    const number = Math.floor(key / 8);
    const length = key % 8 === 2 ? varint() : key % 8 === 1 ? 8 : 0;
    const start = pos;
    if (key % 8 === 0) varint();
    else pos += length;
    assert.ok(pos <= bytes.length, "ends inside a field");
    out.push({ number, bytes: bytes.subarray(start, pos) });
  }
  return out;
};
const sub = (bytes: Uint8Array, number: number): readonly Uint8Array[] =>
  fields(bytes)
    .filter((f) => f.number === number)
    .map((f) => f.bytes);
const utf8 = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);
const named = (bytes: readonly Uint8Array[], name: string): Uint8Array => {
  const found = bytes.find((b) => utf8(sub(b, 1)[0]) === name) ?? assert.fail(`no ${name}`);
  return sub(found, 2)[0] ?? assert.fail(`${name} has no value`);
};
const only = (bytes: Uint8Array, ...path: readonly number[]): Uint8Array =>
  path.reduce((b, n) => sub(b, n)[0] ?? assert.fail(`no field ${n}`), bytes);

test("v2 protobuf: gnostic's messages say the same", () => {
  const json = openApiV2Json(RESOURCES);
  const document = openApiV2Protobuf(RESOURCES);
  assert.equal(utf8(only(document, 1)), "2.0");
  const definitions = sub(only(document, 9), 1);
  assert.deepEqual(
    definitions.map((d) => utf8(only(d, 1))),
    Object.keys(json.definitions ?? {}),
  );
  const podSpec = named(definitions, "io.k8s.api.core.v1.PodSpec");
  const containers = named(sub(only(podSpec, 25), 1), "containers");
  assert.equal(utf8(only(containers, 22, 1)), "array");
  assert.equal(utf8(only(containers, 23, 1, 1)), "#/definitions/io.k8s.api.core.v1.Container");
  assert.equal(utf8(only(named(sub(containers, 31), "x-kubernetes-patch-merge-key"), 2)), '"name"');
  const paths = sub(only(document, 8), 2);
  const patch = only(named(paths, "/apis/apps/v1/namespaces/{namespace}/deployments/{name}"), 8);
  assert.equal(
    utf8(only(named(sub(patch, 13), "x-kubernetes-group-version-kind"), 2)),
    '{"group":"apps","version":"v1","kind":"Deployment"}',
  );
  assert.deepEqual(
    sub(patch, 8).map((p) => utf8(only(p, 1, 2, 3, 4))),
    ["dryRun", "fieldManager", "fieldValidation", "force"],
  );
});
