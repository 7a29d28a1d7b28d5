// Does every node that should have a daemon's pod have one, at the right revision?

import assert from "node:assert/strict";
import { test } from "node:test";
import type { ControllerRevision, DaemonSet } from "@ambit/shared/kube/objects/apps.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import { templateHash } from "../pods/template.ts";
import { node, owner, pod, shown, statusIn, view } from "../test/fixtures.ts";
import { nodeOf, placement } from "./nodes.ts";
import { reconcileDaemonSet } from "./reconcile.ts";
import { type Moves, moves, type NodePods } from "./update.ts";

const daemonSet = (spec: Partial<DaemonSet["spec"]> = {}): DaemonSet => ({
  metadata: { name: "zt", namespace: "d", uid: "uid-zt", generation: 3 },
  spec: {
    selector: { matchLabels: { app: "zt" } },
    template: { metadata: { labels: { app: "zt" } }, spec: { containers: [{ name: "c", image: "v2" }] } },
    ...spec,
  },
});
const rolling = (rollingUpdate: { maxSurge?: number | string; maxUnavailable?: number | string }) =>
  daemonSet({ updateStrategy: { type: "RollingUpdate", rollingUpdate } });
const labels = (hash: string) => ({ app: "zt", "controller-revision-hash": hash });
const daemon = (name: string, hash: "new" | "old", init: Parameters<typeof pod>[1] = {}): Pod =>
  pod(name, { labels: labels(hash), owner: owner("DaemonSet", "zt"), ...init });
const on = (n: string, ...pods: Pod[]): NodePods => ({ node: n, place: "run", pods });
const told = (m: Moves): string[] => [...m.remove.map((r) => `-${r.pod.metadata.name}`), ...m.create.map((c) => `+${c.node}`)];

const surge = rolling({ maxSurge: 1, maxUnavailable: 0 });
const replace = rolling({ maxUnavailable: 1 });
const cases: readonly (readonly [string, DaemonSet, NodePods[], string[]])[] = [
  ["each node gets one", replace, [on("n1"), on("n2", daemon("b", "new"))], ["+n1"]],
  ["a node that shall not run it loses it", replace, [{ node: "n1", place: "none", pods: [daemon("a", "new")] }], ["-a"]],
  ["a node that may keep it does", replace, [{ node: "n1", place: "keep", pods: [daemon("a", "new")] }], []],
  ["a node that may only keep one gets none", replace, [{ node: "n1", place: "keep", pods: [] }], []],
  ["an ended pod is replaced", replace, [on("n1", daemon("a", "new", { phase: "Failed" }))], ["-a"]],
  ["a second one goes", replace, [on("n1", daemon("a", "new", { age: 9 }), daemon("b", "new", { age: 5 }))], ["-b"]],
  ["unavailable 1: one at a time", replace, [on("n1", daemon("a", "old")), on("n2", daemon("b", "old"))], ["-a"]],
  [
    "unavailable 1: while one is down no other goes",
    replace,
    [on("n1", daemon("a", "new", { ready: false })), on("n2", daemon("b", "old"))],
    [],
  ],
  [
    "unavailable 1: an old one that is broken goes at once",
    replace,
    [on("n1", daemon("a", "new", { ready: false })), on("n2", daemon("b", "old", { ready: false }))],
    ["-b"],
  ],
  [
    "unavailable 1: wait until the old one is gone before the new one comes",
    replace,
    [on("n1", daemon("a", "old", { deleting: true }))],
    [],
  ],
  ["surge 1: a new one beside the old, on one node", surge, [on("n1", daemon("a", "old")), on("n2", daemon("b", "old"))], ["+n1"]],
  [
    "surge 1: the old one stays until the new one is ready",
    surge,
    [on("n1", daemon("a", "old"), daemon("a2", "new", { ready: false })), on("n2", daemon("b", "old"))],
    [],
  ],
  [
    "surge 1: the new one is ready: the old one goes, the next node begins",
    surge,
    [on("n1", daemon("a", "old"), daemon("a2", "new")), on("n2", daemon("b", "old"))],
    ["-a", "+n2"],
  ],
  [
    "surge 1: an old one that is broken gets its successor at once",
    surge,
    [on("n1", daemon("a", "old"), daemon("a2", "new", { ready: false })), on("n2", daemon("b", "old", { ready: false }))],
    ["+n2"],
  ],
  ["surge 1: an old one that is ending does not hold up the new one", surge, [on("n1", daemon("a", "old", { deleting: true }))], ["+n1"]],
  [
    "OnDelete: old ones stay until somebody deletes them",
    daemonSet({ updateStrategy: { type: "OnDelete" } }),
    [on("n1", daemon("a", "old")), on("n2")],
    ["+n2"],
  ],
];
for (const [name, ds, nodes, expected] of cases)
  test(name, () => assert.deepEqual(told(moves(ds, nodes, { hash: "new", now: Date.UTC(2026, 0, 2, 3, 4, 5) })), expected));

test("where: selectors, taints and the tolerations every daemon has", () => {
  const plain = daemonSet();
  const tainted = (key: string, effect: string) => node("n", { taints: [{ key, effect }] });
  assert.equal(placement(plain, node("n")), "run");
  assert.equal(
    placement(plain, node("n", { ready: "False", taints: [{ key: "node.kubernetes.io/not-ready", effect: "NoExecute" }] })),
    "run",
  );
  assert.equal(
    placement(plain, node("n", { unschedulable: true, taints: [{ key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" }] })),
    "run",
  );
  assert.equal(placement(plain, tainted("gpu", "NoSchedule")), "keep");
  assert.equal(placement(plain, tainted("gpu", "NoExecute")), "none");
  assert.equal(placement(plain, tainted("gpu", "PreferNoSchedule")), "run");
  const picky = daemonSet({ template: { spec: { containers: [], nodeSelector: { disk: "ssd" } } } });
  assert.equal(placement(picky, node("n")), "none");
  assert.equal(placement(picky, node("n", { labels: { disk: "ssd" } })), "run");
});

test("a new template is recorded as a revision that kubectl can undo to, pods are pinned to their node, and status counts", () => {
  const ds = daemonSet();
  const plan = reconcileDaemonSet(ds, view({ nodes: [node("n1"), node("n2")] }));
  const hash = templateHash(ds.spec.template);
  assert.deepEqual(shown(plan), [`create controllerrevisions zt-${hash}`, "create pods zt-", "create pods zt-"]);
  const [revision, first] = plan.actions;
  assert.ok(revision?.do === "create" && first?.do === "create");
  assert.deepEqual((revision.object as ControllerRevision).data, {
    spec: { template: { $patch: "replace", ...ds.spec.template } },
  });
  assert.equal(nodeOf(first.object as Pod), "n1");
  assert.equal(first.object.metadata.labels?.["controller-revision-hash"], hash);
  assert.deepEqual(statusIn(plan), {
    currentNumberScheduled: 0,
    numberMisscheduled: 0,
    desiredNumberScheduled: 2,
    numberReady: 0,
    observedGeneration: 3,
    updatedNumberScheduled: 0,
    numberAvailable: 0,
    numberUnavailable: 2,
  });
});

test("undo: the template of an old revision makes that revision the newest", () => {
  const ds = daemonSet();
  const hash = templateHash(ds.spec.template);
  const revision = (h: string, n: number): ControllerRevision => ({
    metadata: {
      name: `zt-${h}`,
      namespace: "d",
      uid: `uid-${h}`,
      labels: { app: "zt", "controller-revision-hash": h },
      ownerReferences: [owner("DaemonSet", "zt")],
    },
    revision: n,
  });
  const plan = reconcileDaemonSet(ds, view({ controllerRevisions: [revision(hash, 1), revision("other", 2)] }));
  const update = plan.actions[0];
  assert.ok(update?.do === "update" && (update.object as ControllerRevision).revision === 3);
});

test("status: while a surge pod comes up beside an old one, the node counts as available but not as updated", () => {
  const ds = daemonSet();
  const labelsOf = (hash: string) => ({ app: "zt", "controller-revision-hash": hash });
  const mine = { owner: owner("DaemonSet", "zt"), node: "n1" };
  const pods = [
    pod("a", { ...mine, labels: labelsOf("old"), age: 90 }),
    pod("b", { ...mine, labels: labelsOf(templateHash(ds.spec.template)), age: 5, ready: false }),
  ];
  const status = statusIn(reconcileDaemonSet(ds, view({ nodes: [node("n1")], pods })));
  assert.deepEqual([status?.updatedNumberScheduled, status?.numberAvailable, status?.numberReady], [0, 1, 1]);
});
