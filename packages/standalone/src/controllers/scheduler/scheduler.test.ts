// Does a pod land on a node where it may run?

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Node } from "@ambit/shared/kube/objects/core.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import { node, owner, pod } from "../test/fixtures.ts";
import { choose } from "./reconcile.ts";

const pending = (spec: Partial<Pod["spec"]> = {}, kind?: string): Pod =>
  pod("p", { phase: "Pending", ready: false, spec, ...(kind === undefined ? {} : { owner: owner("ReplicaSet", kind) }) });
const affinity = (operator: "In" | "NotIn", key: string, value: string, fields = false): Partial<Pod["spec"]> => ({
  affinity: {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [{ [fields ? "matchFields" : "matchExpressions"]: [{ key, operator, values: [value] }] }],
      },
    },
  },
});
const apart: Partial<Pod["spec"]> = {
  affinity: {
    podAntiAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: [
        { topologyKey: "kubernetes.io/hostname", labelSelector: { matchLabels: { app: "web" } } },
      ],
    },
  },
};
const spread = (whenUnsatisfiable: string): Partial<Pod["spec"]> => ({
  topologySpreadConstraints: [
    { maxSkew: 1, topologyKey: "kubernetes.io/hostname", whenUnsatisfiable, labelSelector: { matchLabels: { app: "web" } } },
  ],
});
const two = [node("n1"), node("n2")];
const taint = { key: "gpu", value: "yes", effect: "NoSchedule" };

const cases: readonly (readonly [string, Pod, readonly Node[], readonly Pod[], string])[] = [
  ["equal nodes: the first by name", pending(), two, [], "n1"],
  ["fewest pods", pending(), two, [pod("a", { node: "n1" })], "n2"],
  ["ended pods take no room", pending(), two, [pod("a", { node: "n1", phase: "Succeeded" })], "n1"],
  [
    "siblings spread before pods are counted",
    pending({}, "web"),
    two,
    [pod("a", { node: "n1", owner: owner("ReplicaSet", "web") }), pod("b", { node: "n2" }), pod("c", { node: "n2" })],
    "n2",
  ],
  ["nodeSelector", pending({ nodeSelector: { disk: "ssd" } }), [node("n1"), node("n2", { labels: { disk: "ssd" } })], [], "n2"],
  ["required node affinity", pending(affinity("NotIn", "kubernetes.io/hostname", "n1")), two, [], "n2"],
  ["node affinity by field, as daemon pods have it", pending(affinity("In", "metadata.name", "n2", true)), two, [], "n2"],
  ["a taint repels", pending(), [node("n1", { taints: [taint] }), node("n2")], [], "n2"],
  [
    "a taint tolerated",
    pending({ tolerations: [{ key: "gpu", operator: "Exists" }] }),
    [node("n1", { taints: [taint] }), node("n2")],
    [],
    "n1",
  ],
  [
    "a toleration of another value does not help",
    pending({ tolerations: [{ key: "gpu", value: "no" }] }),
    [node("n1", { taints: [taint] })],
    [],
    "0/1 nodes are available: 1 node(s) had untolerated taint {gpu: yes}.",
  ],
  ["cordoned", pending(), [node("n1", { unschedulable: true }), node("n2")], [], "n2"],
  [
    "not ready",
    pending(),
    [node("n1", { ready: "False" })],
    [],
    "0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }.",
  ],
  ["anti-affinity by host", pending(apart), two, [pod("a", { node: "n1" })], "n2"],
  [
    "anti-affinity with every host taken",
    pending(apart),
    two,
    [pod("a", { node: "n1" }), pod("b", { node: "n2" })],
    "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules.",
  ],
  [
    "hard topology spread",
    pending({ ...spread("DoNotSchedule"), ...affinity("In", "kubernetes.io/hostname", "n1") }),
    two,
    [pod("a", { node: "n1" })],
    "n1",
  ],
  ["hard topology spread over all nodes", pending(spread("DoNotSchedule")), two, [pod("a", { node: "n1" })], "n2"],
  ["no nodes", pending(), [], [], "no nodes available to schedule pods"],
  [
    "every reason is counted",
    pending({ nodeSelector: { disk: "ssd" } }),
    [node("n1"), node("n2"), node("n3", { unschedulable: true })],
    [],
    "0/3 nodes are available: 2 node(s) didn't match Pod's node affinity/selector, 1 node(s) were unschedulable.",
  ],
];
for (const [name, p, nodes, pods, expected] of cases)
  test(name, () => {
    const choice = choose(p, { nodes, pods });
    assert.equal(choice.kind === "node" ? choice.node.metadata.name : choice.message, expected);
  });
