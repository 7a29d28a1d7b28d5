import assert from "node:assert/strict";
import { test } from "node:test";
import type { JsonObject } from "../model/object.ts";
import { schemaFor } from "../schema/builtin.ts";
import { decodeFields, encodeFields, printPaths } from "./field-set.ts";
import { updateManagedFields } from "./managed-fields.ts";
import { managedFieldsOf } from "./managers.ts";

const SERVICE = schemaFor({ group: "", version: "v1", kind: "Service" });

const service = (spec: JsonObject, metadata: JsonObject = {}): JsonObject => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "s", uid: "1", ...metadata },
  spec,
});

const write = (before: JsonObject | undefined, after: JsonObject, manager: string, now: string): JsonObject =>
  updateManagedFields({ before, after, manager, now, schema: SERVICE });

const owners = (object: JsonObject) => managedFieldsOf(object).map((m) => [m.manager, m.operation, m.time, m.fieldsV1]);

test("a create owns all it sets, and nothing of the server's metadata", () => {
  const made = write(
    undefined,
    service({ type: "ClusterIP", ports: [{ port: 80, protocol: "TCP" }] }, { labels: { a: "1" }, resourceVersion: "9" }),
    "kubectl-create",
    "t1",
  );
  assert.deepEqual(owners(made), [
    [
      "kubectl-create",
      "Update",
      "t1",
      {
        "f:metadata": { "f:labels": { ".": {}, "f:a": {} } },
        "f:spec": {
          "f:ports": { ".": {}, 'k:{"port":80,"protocol":"TCP"}': { ".": {}, "f:port": {}, "f:protocol": {} } },
          "f:type": {},
        },
      },
    ],
  ]);
});

test("an update takes over what it changes and gives up what it removes; an idle one keeps its time", () => {
  const one = write(undefined, service({ type: "ClusterIP", externalName: "x" }), "a", "t1");
  const two = write(one, { ...service({ type: "NodePort" }), metadata: one.metadata }, "b", "t2");
  assert.deepEqual(owners(two), [["b", "Update", "t2", { "f:spec": { "f:type": {} } }]]);
  assert.deepEqual(write(two, two, "b", "t3"), two);
});

test("a client may edit managedFields itself, forget them, or reset them", () => {
  const one = write(undefined, service({ type: "ClusterIP" }), "a", "t1");
  const edited = {
    ...one,
    metadata: {
      name: "s",
      managedFields: [
        { manager: "z", operation: "Apply", apiVersion: "v1", fieldsType: "FieldsV1", fieldsV1: { "f:spec": { "f:type": {} } } },
      ],
    },
  };
  assert.deepEqual(owners(write(one, edited, "b", "t2")), [["z", "Apply", undefined, { "f:spec": { "f:type": {} } }]]);
  assert.deepEqual(owners(write(one, service({ type: "ClusterIP" }), "b", "t2")), owners(one));
  assert.deepEqual(owners(write(one, { ...one, metadata: { name: "s", managedFields: [{}] } }, "b", "t2")), []);
});

test("FieldsV1 round trip and printed paths", () => {
  const fields = { "f:a": { ".": {}, 'k:{"n":"x","p":80}': { "f:b": {} }, 'v:"s"': {}, "i:3": {} } };
  assert.deepEqual(encodeFields(decodeFields(fields)), fields);
  assert.deepEqual(printPaths(decodeFields(fields)), [".a", '.a[n="x",p=80].b', '.a[="s"]', ".a[3]"]);
});
