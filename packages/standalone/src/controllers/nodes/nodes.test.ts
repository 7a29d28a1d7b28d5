// When is a node silent, and what follows?

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Lease } from "@ambit/shared/kube/objects/discovery.ts";
import type { Taint } from "@ambit/shared/kube/objects/pod.ts";
import { collect } from "../podgc/reconcile.ts";
import { ago, node, pod, shown, view } from "../test/fixtures.ts";
import { reconcileNode } from "./reconcile.ts";

const lease: Lease = { metadata: { name: "n1", namespace: "kube-node-lease", uid: "uid-lease" } };
const at = (n: ReturnType<typeof node>, silent: number, pods: ReturnType<typeof pod>[] = []) => {
  const v = view({ pods }, { n1: silent, "n1-lease": silent });
  return reconcileNode(n, { ...lease, metadata: { ...lease.metadata, name: "n1-lease" } }, v);
};
const unreachable = (effect: string, since?: number): Taint => ({
  key: "node.kubernetes.io/unreachable",
  effect,
  ...(since === undefined ? {} : { timeAdded: ago(since) }),
});
const patched = (plan: ReturnType<typeof at>): unknown =>
  plan.actions.flatMap((a) => (a.do === "patch" ? [(a.patch.body as { spec: { taints: Taint[] | null } }).spec.taints] : []))[0];

test("alive: nothing to do, looked at again when it would be overdue", () => {
  const plan = at(node("n1"), 10);
  assert.deepEqual(plan.actions, []);
  assert.equal(plan.againMs, 30_050);
});
test("silent for 40 s: Unknown, tainted, its pods not ready", () => {
  const plan = at(node("n1"), 40, [pod("a", { node: "n1" }), pod("b", { node: "n2" })]);
  assert.deepEqual(
    plan.actions.map((a) => (a.do === "update" ? `${a.object.metadata.name} ${a.subresource}` : a.do)),
    ["n1 status", "patch", "a status"],
  );
  assert.deepEqual(patched(plan), [unreachable("NoSchedule"), unreachable("NoExecute", 0)]);
});
test("not ready by its own word", () => {
  assert.deepEqual(
    (patched(at(node("n1", { ready: "False" }), 1)) as Taint[]).map((t) => `${t.key} ${t.effect}`),
    ["node.kubernetes.io/not-ready NoSchedule", "node.kubernetes.io/not-ready NoExecute"],
  );
});
test("back again: the taints go, others stay", () => {
  const own = { key: "gpu", effect: "NoSchedule" };
  assert.deepEqual(patched(at(node("n1", { taints: [own, unreachable("NoSchedule"), unreachable("NoExecute", 60)] }), 1)), [own]);
  assert.equal(patched(at(node("n1", { taints: [unreachable("NoSchedule")] }), 1)), null);
});
test("pods leave a lost node when their toleration ends; those that tolerate for ever stay", () => {
  const lost = (since: number) => node("n1", { ready: "Unknown", taints: [unreachable("NoSchedule"), unreachable("NoExecute", since)] });
  const pods = [
    pod("plain", { node: "n1", ready: false }),
    pod("brief", {
      node: "n1",
      ready: false,
      spec: { tolerations: [{ key: "node.kubernetes.io/unreachable", operator: "Exists", effect: "NoExecute", tolerationSeconds: 10 }] },
    }),
    pod("daemon", { node: "n1", ready: false, spec: { tolerations: [{ operator: "Exists" }] } }),
  ];
  assert.deepEqual(shown(at(lost(60), 100, pods)), ["delete pods brief"]);
  assert.equal(at(lost(60), 100, pods).againMs, 240_000);
  assert.deepEqual(shown(at(lost(300), 400, pods)), ["delete pods plain", "delete pods brief"]);
});
test("pods of a node that is gone are given up, after a while", () => {
  const p = pod("a", { node: "gone" });
  assert.deepEqual(collect(p, view({}, { a: 5 })), { actions: [], againMs: 15_000 });
  assert.deepEqual(shown(collect(p, view({}, { a: 20 }))), ["delete pods a"]);
  assert.deepEqual(shown(collect(p, view({ nodes: [node("gone")] }, { a: 20 }))), []);
  assert.deepEqual(shown(collect(pod("b", { deleting: true }), view({}))), ["delete pods b"]);
});
