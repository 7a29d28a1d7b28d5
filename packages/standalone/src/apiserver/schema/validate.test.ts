import assert from "node:assert/strict";
import { test } from "node:test";
import { at, type JsonObject, objects } from "../model/object.ts";
import { schemaFor } from "./builtin.ts";
import { applyBuiltinDefaults } from "./defaulting.ts";
import type { JsonSchema } from "./types.ts";
import { admit } from "./validate.ts";

const GVK = {
  pod: { group: "", version: "v1", kind: "Pod" },
  service: { group: "", version: "v1", kind: "Service" },
  deployment: { group: "apps", version: "v1", kind: "Deployment" },
  binding: { group: "rbac.authorization.k8s.io", version: "v1", kind: "RoleBinding" },
} as const;

const admitted = (kind: keyof typeof GVK, object: JsonObject) =>
  admit(schemaFor(GVK[kind]), applyBuiltinDefaults(GVK[kind], object), "strict");

test("unknown kinds have no schema and pass as they are", () => {
  assert.equal(schemaFor({ group: "x", version: "v1", kind: "Y" }), undefined);
  assert.deepEqual(admit(undefined, { a: 1 }, "strict"), { object: { a: 1 }, causes: [], unknownFields: [] });
});

test("a schema is made once and keeps nothing of the package's refs", () => {
  assert.equal(schemaFor(GVK.pod), schemaFor(GVK.pod));
  assert.doesNotMatch(JSON.stringify(schemaFor(GVK.deployment)), /\$ref/);
});

test("a pod gets Kubernetes' defaults", () => {
  const { object, causes } = admitted("pod", {
    metadata: { name: "p", creationTimestamp: null },
    spec: {
      serviceAccountName: "me",
      volumes: [{ name: "c", configMap: { name: "x" } }],
      containers: [
        {
          name: "a",
          image: "registry:5000/x",
          ports: [{ containerPort: 80 }],
          resources: { limits: { cpu: 1 } },
          readinessProbe: { httpGet: { port: "http" } },
        },
      ],
    },
  });
  assert.deepEqual(causes, []);
  assert.deepEqual(object.metadata, { name: "p" });
  assert.deepEqual(object.spec, {
    serviceAccountName: "me",
    serviceAccount: "me",
    volumes: [{ name: "c", configMap: { name: "x", defaultMode: 420 } }],
    containers: [
      {
        name: "a",
        image: "registry:5000/x",
        imagePullPolicy: "Always",
        ports: [{ containerPort: 80, protocol: "TCP" }],
        resources: { limits: { cpu: "1" }, requests: { cpu: "1" } },
        readinessProbe: {
          httpGet: { port: "http", path: "/", scheme: "HTTP" },
          timeoutSeconds: 1,
          periodSeconds: 10,
          successThreshold: 1,
          failureThreshold: 3,
        },
        terminationMessagePath: "/dev/termination-log",
        terminationMessagePolicy: "File",
      },
    ],
    enableServiceLinks: true,
    restartPolicy: "Always",
    dnsPolicy: "ClusterFirst",
    schedulerName: "default-scheduler",
    securityContext: {},
    terminationGracePeriodSeconds: 30,
  });
});

const policies: readonly (readonly [image: string, policy: string])[] = [
  ["a", "Always"],
  ["a:latest", "Always"],
  ["a:1", "IfNotPresent"],
  ["host:5000/a", "Always"],
  ["a@sha256:00", "IfNotPresent"],
];
for (const [image, policy] of policies) {
  test(`pull policy of ${image}`, () => {
    const { object } = admitted("pod", { metadata: {}, spec: { containers: [{ name: "a", image }] } });
    assert.equal(objects(at(object, "spec", "containers"))[0]?.imagePullPolicy, policy);
  });
}

test("a Deployment's strategy depends on its type", () => {
  const strategy = (spec: JsonObject) => at(admitted("deployment", { metadata: {}, spec }).object, "spec", "strategy");
  assert.deepEqual(strategy({}), { type: "RollingUpdate", rollingUpdate: { maxUnavailable: "25%", maxSurge: "25%" } });
  assert.deepEqual(strategy({ strategy: { type: "Recreate" } }), { type: "Recreate" });
  assert.deepEqual(strategy({ strategy: { rollingUpdate: { maxSurge: 1 } } }), {
    type: "RollingUpdate",
    rollingUpdate: { maxSurge: 1, maxUnavailable: "25%" },
  });
});

test("a Service's target ports, and a binding's groups", () => {
  const service = admitted("service", { metadata: {}, spec: { ports: [{ port: 80 }] } }).object;
  assert.deepEqual(at(service, "spec", "ports"), [{ port: 80, targetPort: 80, protocol: "TCP" }]);
  const binding = admitted("binding", {
    metadata: {},
    roleRef: { kind: "Role", name: "r" },
    subjects: [
      { kind: "User", name: "u" },
      { kind: "ServiceAccount", name: "s" },
    ],
  }).object;
  const group = "rbac.authorization.k8s.io";
  assert.deepEqual(binding.roleRef, { kind: "Role", name: "r", apiGroup: group });
  assert.deepEqual(binding.subjects, [
    { kind: "User", name: "u", apiGroup: group },
    { kind: "ServiceAccount", name: "s" },
  ]);
});

test("what is observed may be incomplete: nothing in a status is required", () => {
  const { causes } = admitted("pod", {
    metadata: {},
    spec: { containers: [] },
    status: { containerStatuses: [{ name: "a" }], conditions: [{}] },
  });
  assert.deepEqual(causes, []);
});

test("a ControllerRevision holds any object", () => {
  const gvk = { group: "apps", version: "v1", kind: "ControllerRevision" };
  const object = { metadata: { name: "r" }, data: { spec: { template: { $patch: "replace" } } }, revision: 1 };
  assert.deepEqual(admit(schemaFor(gvk), object, "strict"), { object, causes: [], unknownFields: [] });
});

test("an env variable may stand twice, as Kubernetes allows", () => {
  const env = [
    { name: "A", value: "1" },
    { name: "A", value: "2" },
  ];
  assert.deepEqual(admitted("pod", { metadata: {}, spec: { containers: [{ name: "a", env }] } }).causes, []);
});

const S = (schema: JsonSchema): JsonSchema => ({ type: "object", properties: { v: schema } });
const cases: readonly { name: string; schema: JsonSchema; value: unknown; expect: readonly string[] }[] = [
  {
    name: "integer",
    schema: { type: "integer" },
    value: 1.5,
    expect: ['v: Invalid value: "number": v in body must be of type integer: "number"'],
  },
  { name: "null", schema: { type: "string" }, value: null, expect: ['v: Invalid value: "null": v in body must be of type string: "null"'] },
  { name: "nullable", schema: { type: "string", nullable: true }, value: null, expect: [] },
  {
    name: "int or string",
    schema: { "x-kubernetes-int-or-string": true },
    value: true,
    expect: ['v: Invalid value: "boolean": v in body must be of type integer,string: "boolean"'],
  },
  {
    name: "min length",
    schema: { type: "string", minLength: 1 },
    value: "",
    expect: ['v: Invalid value: "": v in body should be at least 1 chars long'],
  },
  { name: "max length", schema: { type: "string", maxLength: 1 }, value: "ab", expect: ["v: Too long: may not be more than 1 bytes"] },
  {
    name: "pattern",
    schema: { type: "string", pattern: "^a$" },
    value: "b",
    expect: ["v: Invalid value: \"b\": v in body should match '^a$'"],
  },
  {
    name: "format",
    schema: { type: "string", format: "date-time" },
    value: "x",
    expect: ['v: Invalid value: "x": v in body must be of type date-time: "x"'],
  },
  {
    name: "int32",
    schema: { type: "integer", format: "int32" },
    value: 2 ** 40,
    expect: ["v: Invalid value: 1099511627776: v in body must be of type int32: 1099511627776"],
  },
  {
    name: "minimum",
    schema: { type: "integer", minimum: 1 },
    value: 0,
    expect: ["v: Invalid value: 0: v in body should be greater than or equal to 1"],
  },
  {
    name: "exclusive maximum",
    schema: { type: "number", maximum: 1, exclusiveMaximum: true },
    value: 1,
    expect: ["v: Invalid value: 1: v in body should be less than 1"],
  },
  {
    name: "too many items",
    schema: { type: "array", maxItems: 1, items: {} },
    value: [1, 2],
    expect: ["v: Too many: 2: must have at most 1 items"],
  },
  {
    name: "a set",
    schema: { type: "array", items: { type: "string" }, "x-kubernetes-list-type": "set" },
    value: ["a", "a"],
    expect: ['v[1]: Duplicate value: "a"'],
  },
  {
    name: "an entry of a map",
    schema: { type: "object", additionalProperties: { type: "integer" } },
    value: { k: "x" },
    expect: ['v.k: Invalid value: "string": v.k in body must be of type integer: "string"'],
  },
  {
    name: "oneOf",
    schema: { type: "object", oneOf: [{ required: ["a"] }, { required: ["b"] }], "x-kubernetes-preserve-unknown-fields": true },
    value: {},
    expect: ['v: Invalid value: "": "v" must validate one and only one schema (oneOf). Found none valid'],
  },
  {
    name: "not",
    schema: { type: "string", not: { enum: ["a"] } },
    value: "a",
    expect: ['v: Invalid value: "": "v" must not validate the schema (not)'],
  },
  {
    name: "an embedded resource",
    schema: { type: "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true },
    value: { kind: "A" },
    expect: ["v.apiVersion: Required value: must not be empty"],
  },
];
for (const c of cases) {
  test(`cause: ${c.name}`, () => {
    const { causes } = admit(S(c.schema), { v: c.value }, "strict");
    assert.deepEqual(
      causes.map((cause) => `${cause.field}: ${cause.message}`),
      c.expect,
    );
  });
}

test("pruning and defaulting go hand in hand, and the object sent is not changed", () => {
  const schema: JsonSchema = {
    type: "object",
    properties: {
      open: { type: "object", "x-kubernetes-preserve-unknown-fields": true, properties: { known: { type: "object", properties: {} } } },
      list: { type: "array", items: { type: "object", properties: { a: { type: "integer", default: 1 } } } },
      deep: { type: "object", default: {}, properties: { b: { type: "string", default: "x" } } },
      filled: { type: "string", default: "d" },
    },
  };
  const sent = { open: { any: 1, known: { gone: 1 } }, list: [{ z: 1 }], filled: null, extra: true };
  const before = structuredClone(sent);
  const { object, unknownFields } = admit(schema, sent, "warn");
  assert.deepEqual(object, { open: { any: 1, known: {} }, list: [{ a: 1 }], deep: { b: "x" }, filled: "d" });
  assert.deepEqual(unknownFields, ["open.known.gone", "list[0].z", "extra"]);
  assert.deepEqual(sent, before);
  assert.deepEqual(admit(schema, sent, "ignore").unknownFields, []);
});
