// Does a ReplicaSet keep its count, and say what it has?

import assert from "node:assert/strict";
import { test } from "node:test";
import { node, owner, pod, replicaSet, shown, statusIn, view } from "../test/fixtures.ts";
import { reconcileReplicaSet } from "./reconcile.ts";

const rs = replicaSet("web-1", { size: 2, created: 0, available: 0 });
const own = { owner: owner("ReplicaSet", "web-1"), labels: { app: "web", "pod-template-hash": "web-1" } };

const cases: readonly (readonly [string, Parameters<typeof pod>[], string[]])[] = [
  ["no pods: makes both", [], ["create pods web-1-", "create pods web-1-"]],
  ["one is there: makes one", [["a", own]], ["create pods web-1-"]],
  [
    "ended and ending pods do not count",
    [
      ["a", { ...own, phase: "Failed" }],
      ["b", { ...own, deleting: true }],
      ["c", own],
    ],
    ["create pods web-1-"],
  ],
  [
    "one too many: the one not ready goes",
    [
      ["a", own],
      ["b", { ...own, ready: false }],
      ["c", own],
    ],
    ["delete pods b"],
  ],
  [
    "one too many: the unassigned goes first",
    [
      ["a", { ...own, node: "n1" }],
      ["b", { ...own, node: "n1" }],
      ["c", { ...own, ready: true }],
    ],
    ["delete pods c"],
  ],
  [
    "one too many: the one on the crowded node that is ready latest goes",
    [
      ["a", { ...own, node: "n1", readySeconds: 90 }],
      ["b", { ...own, node: "n1", readySeconds: 10 }],
      ["c", { ...own, node: "n2" }],
    ],
    ["delete pods b"],
  ],
  [
    "an orphan that matches is adopted, not doubled",
    [
      ["a", own],
      ["b", { labels: own.labels }],
    ],
    ["update pods b"],
  ],
  [
    "another's pod is left alone",
    [
      ["a", own],
      ["b", own],
      ["c", { ...own, owner: owner("ReplicaSet", "other") }],
    ],
    [],
  ],
  [
    "an own pod whose labels changed is let go",
    [
      ["a", own],
      ["b", own],
      ["c", { ...own, labels: { app: "db" } }],
    ],
    ["update pods c"],
  ],
];
for (const [name, pods, expected] of cases)
  test(name, () =>
    assert.deepEqual(shown(reconcileReplicaSet(rs, view({ pods: pods.map((p) => pod(...p)), nodes: [node("n1"), node("n2")] }))), expected),
  );

test("status counts; a pod is available minReadySeconds after it got ready, and that moment is waited for", () => {
  const slow = { ...rs, spec: { ...rs.spec, minReadySeconds: 20 } };
  const plan = reconcileReplicaSet(slow, view({ pods: [pod("a", { ...own, readySeconds: 30 }), pod("b", { ...own, readySeconds: 5 })] }));
  const { replicas, readyReplicas, availableReplicas } = statusIn(plan) ?? {};
  assert.deepEqual([replicas, readyReplicas, availableReplicas], [2, 2, 1]);
  assert.equal(plan.againMs, 15_000);
});

test("a ReplicaSet being deleted makes no pods", () => {
  const gone = { ...rs, metadata: { ...rs.metadata, deletionTimestamp: "2026-01-01T00:00:00Z" } };
  assert.deepEqual(shown(reconcileReplicaSet(gone, view({}))), []);
});
