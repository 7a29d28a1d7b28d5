// Do URLs and media types ask for what Kubernetes takes them to ask for?

import assert from "node:assert/strict";
import { test } from "node:test";
import { encodingOf, listOptions, writeOptions } from "./options.ts";
import { parsePath, type ResourcePath, verbOf } from "./path.ts";

const resource = (p: Partial<ResourcePath>): ResourcePath => ({
  kind: "resource",
  group: "",
  version: "v1",
  resource: "pods",
  namespace: undefined,
  name: undefined,
  subresource: undefined,
  rest: [],
  ...p,
});

const cases: readonly (readonly [string, Partial<ResourcePath> | "other"])[] = [
  ["/api/v1/pods", {}],
  ["/api/v1/namespaces/ns/pods", { namespace: "ns" }],
  ["/api/v1/namespaces/ns/pods/p", { namespace: "ns", name: "p" }],
  ["/api/v1/namespaces/ns/pods/p/log", { namespace: "ns", name: "p", subresource: "log" }],
  [
    "/api/v1/namespaces/ns/services/s/proxy/a/b",
    { resource: "services", namespace: "ns", name: "s", subresource: "proxy", rest: ["a", "b"] },
  ],
  ["/api/v1/namespaces", { resource: "namespaces" }],
  ["/api/v1/namespaces/ns", { resource: "namespaces", name: "ns" }],
  ["/api/v1/namespaces/ns/finalize", { resource: "namespaces", name: "ns", subresource: "finalize" }],
  ["/api/v1/namespaces/ns/status", { resource: "namespaces", name: "ns", subresource: "status" }],
  [
    "/apis/apps/v1/namespaces/ns/deployments/d/scale",
    { group: "apps", resource: "deployments", namespace: "ns", name: "d", subresource: "scale" },
  ],
  [
    "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode",
    { group: "rbac.authorization.k8s.io", resource: "clusterroles", name: "system:node" },
  ],
  ["/apis/demo.dev/v1/namespaces/ns/status", { group: "demo.dev", resource: "status", namespace: "ns" }],
  ["/api", "other"],
  ["/api/v1", "other"],
  ["/apis/apps/v1", "other"],
  ["/healthz", "other"],
  ["/api/v1/pods/%zz", "other"],
];
for (const [path, expected] of cases)
  test(path, () => assert.deepEqual(parsePath(path), expected === "other" ? { kind: "other", path } : resource(expected)));

const verbs: readonly (readonly [string, Partial<ResourcePath>, boolean, string | undefined])[] = [
  ["GET", {}, false, "list"],
  ["GET", {}, true, "watch"],
  ["GET", { name: "p" }, false, "get"],
  ["GET", { name: "p" }, true, "watch"],
  ["GET", { name: "p", subresource: "log" }, true, "get"],
  ["POST", {}, false, "create"],
  ["PUT", { name: "p" }, false, "update"],
  ["PATCH", { name: "p" }, false, "patch"],
  ["DELETE", { name: "p" }, false, "delete"],
  ["DELETE", {}, false, "deletecollection"],
  ["OPTIONS", {}, false, undefined],
];
for (const [method, path, watch, expected] of verbs)
  test(`${method} ${JSON.stringify(path)} watch=${watch} → ${expected}`, () =>
    assert.equal(verbOf(method, resource(path), watch), expected));

const TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io";
test("the first acceptable encoding wins", () => {
  assert.deepEqual(encodingOf(undefined), { as: "json" });
  assert.deepEqual(encodingOf("*/*"), { as: "json" });
  assert.deepEqual(encodingOf("application/vnd.kubernetes.protobuf,application/json"), { as: "json" });
  assert.deepEqual(encodingOf(`${TABLE},application/json`), { as: "table", version: "v1" });
  assert.deepEqual(encodingOf("application/json;as=Table;v=v9;g=meta.k8s.io,application/json"), { as: "json" });
  assert.deepEqual(encodingOf("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"), { as: "metadata", list: true });
  assert.equal(encodingOf("text/html"), undefined);
});

test("query parameters are parsed or refused", () => {
  const options = (q: string) => listOptions(new URLSearchParams(q));
  assert.equal(options("limit=5&resourceVersion=0").resourceVersion, 0);
  for (const bad of [
    "limit=x",
    "resourceVersion=abc",
    "resourceVersionMatch=Exact",
    "resourceVersionMatch=Exact&resourceVersion=0",
    "resourceVersionMatch=Other&resourceVersion=1",
    "allowWatchBookmarks=maybe",
  ])
    assert.throws(() => options(bad), /./, bad);
  const write = (q: string) => writeOptions(new URLSearchParams(q), "kubectl/v1.32 (linux)");
  assert.deepEqual(write(""), { dryRun: false, manager: "kubectl", force: false, validation: "warn" });
  for (const bad of ["dryRun=Some", "fieldValidation=Hard", `fieldManager=${"x".repeat(129)}`, "force=1x"])
    assert.throws(() => write(bad), /./, bad);
});
