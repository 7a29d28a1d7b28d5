// On which node shall a pod run?

import { isDeepStrictEqual } from "node:util";
import type { Node } from "@ambit/shared/kube/objects/core.ts";
import { type Condition, controllerOf, findCondition, keyOf } from "@ambit/shared/kube/objects/meta.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import { NOTHING, type Plan } from "../engine/plan.ts";
import type { Controller, View } from "../engine/view.ts";
import { isActive } from "../pods/state.ts";
import { type Cluster, whyNot } from "./fit.ts";

const isPending = (pod: Pod): boolean => (pod.spec.nodeName ?? "") === "" && isActive(pod);
const pendingKeys = (view: View): string[] => view.pods.list().filter(isPending).map(keyOf);

export const schedulerController: Controller = {
  name: "scheduler",
  triggers: {
    // A pod that ended may have made room for those that wait.
    pods: (pod, view) => (isPending(pod) ? [keyOf(pod)] : isActive(pod) ? [] : pendingKeys(view)),
    nodes: (_node, view) => pendingKeys(view),
  },
  reconcile: (view, key) => {
    const pod = view.pods.get(key);
    return pod === undefined || !isPending(pod) ? NOTHING : schedule(pod, { nodes: view.nodes.list(), pods: view.pods.list() }, view.now);
  },
};

export type Choice = { readonly kind: "node"; readonly node: Node } | { readonly kind: "none"; readonly message: string };

/** Of the nodes that fit, the one with fewest pods of the same owner, then fewest pods, then the first by name. */
export const choose = (pod: Pod, cluster: Cluster): Choice => {
  const reasons = new Map<string, number>();
  const fitting: Node[] = [];
  for (const node of cluster.nodes) {
    const why = whyNot(pod, node, cluster);
    if (why === undefined) fitting.push(node);
    else reasons.set(why, (reasons.get(why) ?? 0) + 1);
  }
  const owner = controllerOf(pod)?.uid;
  const rank = (node: Node): readonly [number, number] => {
    const here = cluster.pods.filter((p) => p.spec.nodeName === node.metadata.name && isActive(p));
    return [here.filter((p) => owner !== undefined && controllerOf(p)?.uid === owner).length, here.length];
  };
  const best = fitting
    .map((node) => ({ node, rank: rank(node) }))
    .sort((a, b) => a.rank[0] - b.rank[0] || a.rank[1] - b.rank[1] || (a.node.metadata.name < b.node.metadata.name ? -1 : 1))[0];
  if (best !== undefined) return { kind: "node", node: best.node };
  const told = [...reasons].sort().map(([why, n]) => `${n} ${why}`);
  return {
    kind: "none",
    message:
      cluster.nodes.length === 0
        ? "no nodes available to schedule pods"
        : `0/${cluster.nodes.length} nodes are available: ${told.join(", ")}.`,
  };
};

export const schedule = (pod: Pod, cluster: Cluster, now: number): Plan => {
  const choice = choose(pod, cluster);
  if (choice.kind === "node") {
    const node = choice.node.metadata.name;
    const message = `Successfully assigned ${pod.metadata.namespace}/${pod.metadata.name} to ${node}`;
    return {
      actions: [
        { do: "bind", pod, node, why: "it fits and has the fewest pods" },
        { do: "event", about: pod, type: "Normal", reason: "Scheduled", message },
      ],
    };
  }
  const old = findCondition(pod.status?.conditions, "PodScheduled");
  const condition: Condition = {
    type: "PodScheduled",
    status: "False",
    reason: "Unschedulable",
    message: choice.message,
    lastTransitionTime:
      old?.status === "False" && old.lastTransitionTime !== undefined
        ? old.lastTransitionTime
        : new Date(now).toISOString().replace(/\.\d+Z$/, "Z"),
  };
  if (old !== undefined && isDeepStrictEqual({ ...old }, condition)) return NOTHING;
  const conditions = [...(pod.status?.conditions ?? []).filter((c) => c.type !== "PodScheduled"), condition];
  return {
    actions: [
      {
        do: "update",
        resource: RESOURCES.pods,
        object: { ...pod, status: { ...pod.status, phase: "Pending", conditions } } as Pod,
        subresource: "status",
        why: choice.message,
      },
      { do: "event", about: pod, type: "Warning", reason: "FailedScheduling", message: choice.message },
    ],
  };
};
