import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { at, type JsonObject, sameJson } from "../model/object.ts";
import { schemaFor } from "../schema/builtin.ts";
import type { JsonSchema } from "../schema/types.ts";
import { type ApplyOutcome, conflictMessage, serverSideApply } from "./apply.ts";
import { updateManagedFields } from "./managed-fields.ts";
import { managedFieldsOf } from "./managers.ts";

const NOW = "2024-01-01T00:00:00Z";
const LATER = "2024-01-01T00:00:05Z";

const schemaOf = (group: string, kind: string): JsonSchema => {
  const schema = schemaFor({ group, version: "v1", kind });
  assert.ok(schema);
  return schema;
};
const DEPLOYMENT = schemaOf("apps", "Deployment");
const CONFIG_MAP = schemaOf("", "ConfigMap");

const object = (outcome: ApplyOutcome): JsonObject => {
  assert.equal(outcome.kind, "ok", JSON.stringify(outcome));
  return outcome.kind === "ok" ? outcome.object : {};
};

const apply = (
  live: JsonObject | undefined,
  applied: JsonObject,
  manager: string,
  more: { force?: boolean; schema?: JsonSchema; now?: string } = {},
) => serverSideApply({ live, applied, manager, force: more.force ?? false, schema: more.schema ?? DEPLOYMENT, now: more.now ?? NOW });

const deployment = (spec: JsonObject, metadata: JsonObject = {}): JsonObject => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web", namespace: "shop", ...metadata },
  spec,
});

const container = (name: string, more: JsonObject = {}) => ({ name, image: `${name}:1`, ...more });
const template = (...containers: JsonObject[]) => ({ template: { spec: { containers } } });

test("a first apply stores the object and owns exactly what it names", () => {
  const made = object(
    apply(
      undefined,
      deployment({ replicas: 2, ...template(container("app", { ports: [{ containerPort: 80 }] })) }, { labels: { a: "1" } }),
      "me",
    ),
  );
  assert.deepEqual(managedFieldsOf(made), [
    {
      manager: "me",
      operation: "Apply",
      apiVersion: "apps/v1",
      time: NOW,
      fieldsType: "FieldsV1",
      fieldsV1: {
        "f:metadata": { "f:labels": { "f:a": {} } },
        "f:spec": {
          "f:replicas": {},
          "f:template": {
            "f:spec": {
              "f:containers": {
                'k:{"name":"app"}': {
                  ".": {},
                  "f:image": {},
                  "f:name": {},
                  "f:ports": { 'k:{"containerPort":80,"protocol":"TCP"}': { ".": {}, "f:containerPort": {} } },
                },
              },
            },
          },
        },
      },
    },
  ]);
});

test("a field that another manager owns conflicts, in Kubernetes' words; with force it changes hands", () => {
  const created = updateManagedFields({
    before: undefined,
    after: deployment({ replicas: 1 }),
    manager: "kubectl-client-side-apply",
    now: NOW,
    schema: DEPLOYMENT,
  });
  const refused = apply(created, deployment({ replicas: 3 }), "me");
  assert.equal(refused.kind, "conflict");
  assert.equal(
    refused.kind === "conflict" && conflictMessage(refused.conflicts),
    `Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using apps/v1 at ${NOW}: .spec.replicas`,
  );
  const forced = object(apply(created, deployment({ replicas: 3 }), "me", { force: true }));
  assert.equal(at(forced, "spec", "replicas"), 3);
  assert.deepEqual(
    managedFieldsOf(forced).map((m) => m.manager),
    ["me"],
  );
});

test("several conflicts are listed by manager", () => {
  const first = object(apply(undefined, deployment({ replicas: 1, paused: true, ...template(container("app")) }), "one"));
  const refused = apply(first, deployment({ replicas: 2, paused: false, ...template(container("app", { image: "x" })) }), "two");
  assert.equal(
    refused.kind === "conflict" && conflictMessage(refused.conflicts),
    'Apply failed with 3 conflicts: conflicts with "one":\n- .spec.paused\n- .spec.replicas\n- .spec.template.spec.containers[name="app"].image',
  );
});

test("the same value is shared without a conflict, and stays while one of its owners wants it", () => {
  const one = object(apply(undefined, deployment({ replicas: 1, paused: true }), "one"));
  const both = object(apply(one, deployment({ replicas: 1 }), "two"));
  const left = object(apply(both, deployment({ paused: true }), "one"));
  assert.equal(at(left, "spec", "replicas"), 1);
  const gone = object(apply(left, deployment({ minReadySeconds: 1 }), "two"));
  assert.equal(at(gone, "spec", "replicas"), undefined);
  assert.equal(at(gone, "spec", "paused"), true);
});

test("a dropped list item goes whole, with what was defaulted in it; items of others stay", () => {
  const one = object(apply(undefined, deployment(template(container("app"), container("old"))), "one"));
  const live = structuredClone(one);
  const containers = at(live, "spec", "template", "spec", "containers") as JsonObject[];
  containers[1] = { ...containers[1], imagePullPolicy: "Always" };
  const two = object(apply(live, deployment(template(container("sidecar"))), "two"));
  const after = object(apply(two, deployment(template(container("app"))), "one"));
  assert.deepEqual(
    (at(after, "spec", "template", "spec", "containers") as JsonObject[]).map((c) => c.name),
    ["app", "sidecar"],
  );
});

test("atomic lists and maps have one owner", () => {
  const tolerations = (...keys: string[]) => deployment({ template: { spec: { tolerations: keys.map((key) => ({ key })) } } });
  const one = object(apply(undefined, tolerations("a"), "one"));
  const refused = apply(one, tolerations("b"), "two");
  assert.equal(refused.kind === "conflict" && refused.conflicts[0]?.field, ".spec.template.spec.tolerations");
});

test("finalizers are a set: each manager has its own", () => {
  const one = object(apply(undefined, deployment({}, { finalizers: ["x/a"] }), "one"));
  const both = object(apply(one, deployment({}, { finalizers: ["x/b"] }), "two"));
  assert.deepEqual(at(both, "metadata", "finalizers"), ["x/a", "x/b"]);
  const left = object(apply(both, deployment({ replicas: 1 }), "one"));
  assert.deepEqual(at(left, "metadata", "finalizers"), ["x/b"]);
});

test("kubectl's own client-side apply is no conflict for kubectl --server-side", () => {
  const applied = deployment({ replicas: 2 });
  const annotated = deployment(
    { replicas: 2 },
    { annotations: { "kubectl.kubernetes.io/last-applied-configuration": JSON.stringify(applied) } },
  );
  const created = updateManagedFields({
    before: undefined,
    after: annotated,
    manager: "kubectl-client-side-apply",
    now: NOW,
    schema: DEPLOYMENT,
  });
  const migrated = object(apply(created, deployment({ replicas: 5 }), "kubectl"));
  assert.equal(at(migrated, "spec", "replicas"), 5);
  assert.equal(apply(created, deployment({ replicas: 5 }), "other").kind, "conflict");
});

test("status is left alone by the main resource, and the rest by the status subresource", () => {
  const live = { ...object(apply(undefined, deployment({ replicas: 1 }), "one")), status: { replicas: 1 } };
  const main = serverSideApply({
    live,
    applied: { ...deployment({ replicas: 1 }), status: { replicas: 9 } },
    manager: "one",
    force: false,
    schema: DEPLOYMENT,
    now: LATER,
    ignore: ["status"],
  });
  assert.deepEqual(object(main), live);
});

test("what is no apply configuration is refused with a sentence", () => {
  const outcomes = [
    apply(undefined, deployment({}, { managedFields: [{ manager: "x" }] }), "me"),
    apply(undefined, deployment(template({ image: "nameless" })), "me"),
    apply(undefined, deployment(template(container("a"), container("a"))), "me"),
  ];
  assert.deepEqual(outcomes, [
    { kind: "invalid", message: "metadata.managedFields must be nil" },
    {
      kind: "invalid",
      message:
        'failed to create typed patch object: .spec.template.spec.containers: associative list with keys has an element that omits key field "name" (and doesn\'t have default value)',
    },
    {
      kind: "invalid",
      message: 'failed to create typed patch object: .spec.template.spec.containers: duplicate entries for key {"name":"a"}',
    },
  ]);
});

test("applying an object that nobody's ownership was kept of asks for force", () => {
  const refused = apply(deployment({ replicas: 1 }), deployment({ replicas: 2 }), "me");
  assert.equal(refused.kind === "conflict" && refused.conflicts[0]?.manager.startsWith('"before-first-apply" using apps/v1'), true);
});

// Properties

const data = fc.dictionary(fc.stringMatching(/^[a-f]$/), fc.string({ maxLength: 3 }), { maxKeys: 6 });
const configMap = (entries: JsonObject): JsonObject => ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "c" }, data: entries });
const containers = fc.uniqueArray(fc.record({ name: fc.constantFrom("a", "b", "c", "d"), image: fc.string({ maxLength: 3 }) }), {
  selector: (c) => c.name,
  maxLength: 4,
});

test("property: applying twice changes nothing, not even a time", () => {
  fc.assert(
    fc.property(containers, containers, data, (one, two, labels) => {
      const live = object(apply(undefined, deployment(template(...one), { labels }), "other"));
      const config = deployment(template(...two));
      const first = object(apply(live, config, "me", { force: true }));
      const second = object(apply(first, config, "me", { now: LATER }));
      assert.ok(sameJson(first, second));
    }),
    { numRuns: 60 },
  );
});

test("property: managers with disjoint fields never conflict and both keep theirs", () => {
  fc.assert(
    fc.property(data, data, (left, right) => {
      const mine = Object.fromEntries(Object.entries(left).map(([k, v]) => [`l${k}`, v]));
      const theirs = Object.fromEntries(Object.entries(right).map(([k, v]) => [`r${k}`, v]));
      const one = object(apply(undefined, configMap(mine), "one", { schema: CONFIG_MAP }));
      const both = object(apply(one, configMap(theirs), "two", { schema: CONFIG_MAP }));
      assert.ok(sameJson(both.data, { ...mine, ...theirs }));
    }),
    { numRuns: 60 },
  );
});

test("property: a dropped field goes exactly when nobody else owns it", () => {
  fc.assert(
    fc.property(data, data, fc.array(fc.stringMatching(/^[a-f]$/)), (mine, theirs, dropped) => {
      const agreed = { ...theirs, ...Object.fromEntries(Object.entries(mine).filter(([k]) => Object.hasOwn(theirs, k))) };
      const one = object(apply(undefined, configMap({ keep: "1", ...mine }), "one", { schema: CONFIG_MAP }));
      const both = object(apply(one, configMap({ keep2: "1", ...agreed }), "two", { schema: CONFIG_MAP }));
      const rest = Object.fromEntries(Object.entries(mine).filter(([k]) => !dropped.includes(k)));
      const after = object(apply(both, configMap({ keep: "1", ...rest }), "one", { schema: CONFIG_MAP }));
      assert.ok(sameJson(after.data, { keep: "1", keep2: "1", ...rest, ...agreed }));
    }),
    { numRuns: 60 },
  );
});

test("property: what was applied is what is read, whatever was there", () => {
  fc.assert(
    fc.property(containers, containers, (before, applied) => {
      const live = object(apply(undefined, deployment(template(...before)), "other"));
      const after = object(apply(live, deployment(template(...applied)), "me", { force: true }));
      const found = new Map(((at(after, "spec", "template", "spec", "containers") ?? []) as JsonObject[]).map((c) => [c.name, c]));
      for (const c of applied) assert.equal(found.get(c.name)?.image, c.image);
      assert.equal(found.size, new Set([...before, ...applied].map((c) => c.name)).size);
    }),
    { numRuns: 60 },
  );
});
