// Is garbage collected, and nothing that is still owned?

import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject, OwnerReference } from "@ambit/shared/kube/objects/meta.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import { shown } from "../test/fixtures.ts";
import { collect, doubtful } from "./collect.ts";
import { createGraph } from "./graph.ts";

type Init = { owners?: readonly string[]; finalizers?: readonly string[]; deleting?: boolean; blocking?: boolean };
const object = (name: string, init: Init = {}): KubeObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: {
    name,
    namespace: "d",
    uid: name,
    ...(init.owners === undefined
      ? {}
      : {
          ownerReferences: init.owners.map(
            (o): OwnerReference => ({ apiVersion: "v1", kind: "ConfigMap", name: o, uid: o, blockOwnerDeletion: init.blocking !== false }),
          ),
        }),
    ...(init.finalizers === undefined ? {} : { finalizers: init.finalizers }),
    ...(init.deleting === true ? { deletionTimestamp: "2026-01-01T00:00:00Z" } : {}),
  },
});
const decide = (objects: readonly KubeObject[], name: string, absent: readonly string[] = []): string[] => {
  const graph = createGraph();
  for (const o of objects) graph.set(RESOURCES.configMaps, o);
  const held = graph.byUid(name);
  assert.ok(held !== undefined);
  const actions = collect(held, graph, new Set(absent));
  return shown(actions).map((s, i) => {
    const a = actions[i];
    const policy = a?.do === "delete" ? a.opts?.propagationPolicy : undefined;
    return policy === undefined ? s : `${s} ${policy}`;
  });
};

const cases: readonly (readonly [string, KubeObject[], string, string[], string[]])[] = [
  ["nobody owns it", [object("a")], "a", [], []],
  ["its owner is there", [object("o"), object("a", { owners: ["o"] })], "a", [], []],
  ["its owner is gone, says the server", [object("a", { owners: ["o"] })], "a", ["o"], ["delete configmaps a Background"]],
  ["its owner is not in our picture, but the server did not say it is gone", [object("a", { owners: ["o"] })], "a", [], []],
  [
    "one of two owners is gone: it stays, without that reference",
    [object("o"), object("a", { owners: ["o", "x"] })],
    "a",
    ["x"],
    ["update configmaps a"],
  ],
  [
    "its owner waits in foreground deletion",
    [object("o", { deleting: true, finalizers: ["foregroundDeletion"] }), object("a", { owners: ["o"] })],
    "a",
    [],
    ["delete configmaps a Background"],
  ],
  [
    "so it does, and it has dependents itself",
    [object("o", { deleting: true, finalizers: ["foregroundDeletion"] }), object("a", { owners: ["o"] }), object("b", { owners: ["a"] })],
    "a",
    [],
    ["delete configmaps a Foreground"],
  ],
  [
    "foreground: waits while a blocking dependent is there",
    [object("o", { deleting: true, finalizers: ["foregroundDeletion"] }), object("a", { owners: ["o"] })],
    "o",
    [],
    [],
  ],
  [
    "foreground: a dependent that does not block is not waited for",
    [object("o", { deleting: true, finalizers: ["foregroundDeletion"] }), object("a", { owners: ["o"], blocking: false })],
    "o",
    [],
    ["update configmaps o"],
  ],
  ["foreground: all gone", [object("o", { deleting: true, finalizers: ["foregroundDeletion", "mine"] })], "o", [], ["update configmaps o"]],
  [
    "orphan: dependents are freed, then it goes",
    [object("o", { deleting: true, finalizers: ["orphan"] }), object("a", { owners: ["o"] })],
    "o",
    [],
    ["update configmaps a", "update configmaps o"],
  ],
  [
    "already being deleted, with somebody else's finalizer",
    [object("a", { deleting: true, finalizers: ["mine"], owners: ["x"] })],
    "a",
    ["x"],
    [],
  ],
];
for (const [name, objects, subject, absent, expected] of cases)
  test(name, () => assert.deepEqual(decide(objects, subject, absent), expected));

test("only references we cannot resolve are asked about", () => {
  const graph = createGraph();
  graph.set(RESOURCES.configMaps, object("o"));
  graph.set(RESOURCES.configMaps, object("a", { owners: ["o", "x"] }));
  const held = graph.byUid("a");
  assert.ok(held !== undefined);
  assert.deepEqual(
    doubtful(held, graph).map((r) => r.uid),
    ["x"],
  );
});

test("the graph follows changed references and removals", () => {
  const graph = createGraph();
  graph.set(RESOURCES.configMaps, object("a", { owners: ["o"] }));
  assert.deepEqual(
    graph.dependents("o").map((d) => d.object.metadata.name),
    ["a"],
  );
  graph.set(RESOURCES.configMaps, object("a", { owners: ["p"] }));
  assert.deepEqual(graph.dependents("o"), []);
  graph.remove(RESOURCES.configMaps, object("a"));
  assert.deepEqual(graph.dependents("p"), []);
});
