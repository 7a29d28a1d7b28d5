// How does a custom resource live: defined, validated, served in versions, and deleted with its definition?

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { at, type JsonObject, objects } from "../model/object.ts";
import { startServer, type TestServer } from "../testing/client.ts";

const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const GIZMOS = "/apis/demo.dev/v1/namespaces/default/gizmos";

const definition = (plural: string, kind: string): JsonObject => ({
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: `${plural}.demo.dev` },
  spec: {
    group: "demo.dev",
    scope: "Namespaced",
    names: { plural, kind, shortNames: [plural.slice(0, 3)] },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        subresources: { status: {}, scale: { specReplicasPath: ".spec.replicas", statusReplicasPath: ".status.replicas" } },
        additionalPrinterColumns: [{ name: "Size", type: "integer", jsonPath: ".spec.size" }],
        schema: {
          openAPIV3Schema: {
            type: "object",
            required: ["spec"],
            properties: {
              spec: {
                type: "object",
                required: ["size"],
                properties: {
                  size: { type: "integer", minimum: 1 },
                  color: { type: "string", enum: ["red", "blue"], default: "red" },
                  replicas: { type: "integer" },
                },
              },
              status: { type: "object", properties: { replicas: { type: "integer" } } },
            },
          },
        },
      },
      {
        name: "v1beta1",
        served: true,
        storage: false,
        deprecated: true,
        schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
      },
    ],
  },
});

const gizmo = (name: string, spec: JsonObject, meta: JsonObject = {}): JsonObject => ({
  apiVersion: "demo.dev/v1",
  kind: "Gizmo",
  metadata: { name, ...meta },
  spec,
});

describe("custom resources", () => {
  let server: TestServer;
  before(async () => {
    server = await startServer();
  });
  after(async () => {
    await server[Symbol.asyncDispose]();
  });
  const call: TestServer["admin"]["call"] = (...args) => server.admin.call(...args);
  const condition = (crd: JsonObject, type: string) => objects(at(crd, "status", "conditions")).find((c) => c.type === type)?.status;

  test("defined: established and discoverable at once", async () => {
    assert.equal((await call("GET", GIZMOS)).code, 404);
    const made = await call("POST", CRDS, { body: definition("gizmos", "Gizmo") });
    assert.equal(made.code, 201, JSON.stringify(made.body));
    assert.deepEqual(
      [condition(made.body, "Established"), condition(made.body, "NamesAccepted"), at(made.body, "status", "storedVersions")],
      ["True", "True", ["v1"]],
    );
    assert.deepEqual(objects((await call("GET", GIZMOS)).body.items), []);
    const group = await call("GET", "/apis/demo.dev");
    assert.deepEqual(
      objects(group.body.versions).map((v) => v.version),
      ["v1", "v1beta1"],
    );
    const names = objects((await call("GET", "/apis/demo.dev/v1")).body.resources).map((r) => r.name);
    assert.deepEqual(names, ["gizmos", "gizmos/status", "gizmos/scale"]);
    assert.equal((await call("GET", "/openapi/v3/apis/demo.dev/v1")).code, 200);
  });

  test("names that another definition has are not served", async () => {
    const clash = definition("gizmoids", "Gizmo");
    const made = await call("POST", CRDS, { body: clash });
    assert.deepEqual([condition(made.body, "NamesAccepted"), condition(made.body, "Established")], ["False", "False"]);
    assert.equal((await call("GET", "/apis/demo.dev/v1/namespaces/default/gizmoids")).code, 404);
    await call("DELETE", `${CRDS}/gizmoids.demo.dev`);
    assert.equal((await call("GET", `${CRDS}/gizmoids.demo.dev`)).code, 404);
  });

  test("a definition that is not structural is refused", async () => {
    const bad = definition("widgets", "Widget");
    const [version] = objects(at(bad, "spec", "versions"));
    if (version !== undefined)
      version.schema = { openAPIV3Schema: { type: "object", properties: { spec: { properties: { x: { type: "string" } } } } } };
    const refused = await call("POST", CRDS, { body: bad });
    assert.equal(refused.code, 422, JSON.stringify(refused.body));
  });

  test("validated with causes, defaulted, pruned", async () => {
    const bad = await call("POST", GIZMOS, { body: gizmo("bad", { size: 0, color: "green" }) });
    assert.equal(bad.code, 422);
    assert.deepEqual(
      objects(at(bad.body, "details", "causes")).map((c) => [c.field, c.reason]),
      [
        ["spec.size", "FieldValueInvalid"],
        ["spec.color", "FieldValueNotSupported"],
      ],
    );
    const missing = await call("POST", GIZMOS, { body: gizmo("bad", {}) });
    assert.match(String(missing.body.message), /spec\.size: Required value/);
    const made = await call("POST", GIZMOS, { body: { ...gizmo("g", { size: 2, extra: 1 }), status: { replicas: 9 } } });
    assert.equal(made.code, 201);
    assert.deepEqual(made.body.spec, { size: 2, color: "red" });
    assert.equal(made.body.status, undefined, "status has its own door");
    assert.match(String(made.headers.warning), /unknown field \\"spec.extra\\"/);
  });

  test("status, scale, generation; no unconditional update", async () => {
    const merge = { type: "application/merge-patch+json" };
    const status = await call("PATCH", `${GIZMOS}/g/status`, { ...merge, body: { status: { replicas: 1 }, spec: { size: 7 } } });
    assert.deepEqual(
      [at(status.body, "status", "replicas"), at(status.body, "spec", "size"), at(status.body, "metadata", "generation")],
      [1, 2, 1],
    );
    const scale = await call("PATCH", `${GIZMOS}/g/scale`, { ...merge, body: { spec: { replicas: 4 } } });
    assert.deepEqual([at(scale.body, "spec", "replicas"), at(scale.body, "status", "replicas")], [4, 1]);
    const now = (await call("GET", `${GIZMOS}/g`)).body;
    assert.deepEqual([at(now, "spec", "replicas"), at(now, "metadata", "generation")], [4, 2]);
    const blind = await call("PUT", `${GIZMOS}/g`, { body: gizmo("g", { size: 3 }) });
    assert.match(String(blind.body.message), /metadata.resourceVersion: Invalid value: 0x0: must be specified for an update/);
    const strategic = await call("PATCH", `${GIZMOS}/g`, { type: "application/strategic-merge-patch+json", body: {} });
    assert.equal(strategic.code, 415);
  });

  test("versions differ in their name only, in lists and watches too", async () => {
    const old = await call("GET", "/apis/demo.dev/v1beta1/namespaces/default/gizmos/g");
    assert.deepEqual([old.body.apiVersion, at(old.body, "spec", "size")], ["demo.dev/v1beta1", 2]);
    await using watch = await server.admin.watch("/apis/demo.dev/v1beta1/gizmos?watch=1");
    const first = await watch.next();
    assert.deepEqual([first.type, first.object.apiVersion], ["ADDED", "demo.dev/v1beta1"]);
    await call("POST", "/apis/demo.dev/v1beta1/namespaces/default/gizmos", {
      body: { ...gizmo("old", { size: 5 }), apiVersion: "demo.dev/v1beta1" },
    });
    assert.equal((await watch.next()).object.apiVersion, "demo.dev/v1beta1");
    assert.equal((await call("GET", `${GIZMOS}/old`)).body.apiVersion, "demo.dev/v1");
  });

  test("printer columns", async () => {
    const table = await call("GET", GIZMOS, { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" });
    assert.deepEqual(
      objects(table.body.columnDefinitions).map((c) => c.name),
      ["Name", "Size"],
    );
    assert.deepEqual(objects(table.body.rows)[0]?.cells, ["g", 2]);
  });

  test("survives a restart", async () => {
    await server.restart();
    assert.equal((await call("GET", `${GIZMOS}/g`)).code, 200);
  });

  test("deleting a definition deletes its objects, waits for their finalizers, and ends watches", async () => {
    await call("POST", GIZMOS, { body: gizmo("held", { size: 1 }, { finalizers: ["demo.dev/hold"] }) });
    await using watch = await server.admin.watch(`${GIZMOS}?watch=1&fieldSelector=metadata.name%3Dheld`);
    assert.equal((await watch.next()).type, "ADDED");
    const marked = await call("DELETE", `${CRDS}/gizmos.demo.dev`);
    assert.ok(at(marked.body, "metadata", "deletionTimestamp"));
    await using crds = await server.admin.watch(`${CRDS}?watch=1&fieldSelector=metadata.name%3Dgizmos.demo.dev`);
    assert.equal((await crds.next()).type, "ADDED");
    await call("PATCH", `${GIZMOS}/held`, { type: "application/merge-patch+json", body: { metadata: { finalizers: null } } });
    while ((await crds.next()).type !== "DELETED");
    await watch.ended();
    assert.equal((await call("GET", GIZMOS)).code, 404);
    await call("POST", CRDS, { body: definition("gizmos", "Gizmo") });
    assert.deepEqual(objects((await call("GET", GIZMOS)).body.items), []);
  });
});
