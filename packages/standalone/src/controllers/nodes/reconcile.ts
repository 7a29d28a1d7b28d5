// Is a node alive, and what happens to it and its pods when it is not? (pkg/controller/nodelifecycle)

import { isDeepStrictEqual } from "node:util";
import type { Node } from "@ambit/shared/kube/objects/core.ts";
import type { Lease } from "@ambit/shared/kube/objects/discovery.ts";
import { type Condition, findCondition, keyOf } from "@ambit/shared/kube/objects/meta.ts";
import type { Pod, Taint } from "@ambit/shared/kube/objects/pod.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import { type Action, NOTHING, type Plan } from "../engine/plan.ts";
import type { Controller, View } from "../engine/view.ts";
import { isReady } from "../pods/state.ts";

const NODE_LEASES = "kube-node-lease";
const GRACE_MS = 40_000;
const EVICT_MS = 300_000;
const NOT_READY = "node.kubernetes.io/not-ready";
const UNREACHABLE = "node.kubernetes.io/unreachable";

export const nodeController: Controller = {
  name: "node",
  triggers: {
    nodes: (node) => [node.metadata.name],
    leases: (lease) => (lease.metadata.namespace === NODE_LEASES ? [lease.metadata.name] : []),
  },
  reconcile: (view, name) => {
    const node = view.nodes.get(name);
    return node === undefined ? NOTHING : reconcileNode(node, view.leases.get(`${NODE_LEASES}/${name}`), view);
  },
};

const stamp = (now: number): string => new Date(now).toISOString().replace(/\.\d+Z$/, "Z");

/** `lease` is the node's own; what counts is when we saw it change, not what time it claims. */
export const reconcileNode = (node: Node, lease: Lease | undefined, view: Pick<View, "pods" | "now" | "changedAt">): Plan => {
  const lastSign = Math.max(view.changedAt(node), lease === undefined ? 0 : view.changedAt(lease));
  const silentMs = view.now - lastSign;
  const ready = findCondition(node.status?.conditions, "Ready");
  const unreachable = silentMs >= GRACE_MS || ready?.status === "Unknown";
  const actions: Action[] = [];
  if (unreachable && ready?.status !== "Unknown") actions.push(markUnknown(node, view.now));
  const wanted = taintsFor(unreachable ? "Unknown" : (ready?.status ?? "False"), node, view.now);
  if (!isDeepStrictEqual(wanted, node.spec?.taints ?? []))
    actions.push({
      do: "patch",
      resource: RESOURCES.nodes,
      key: { name: node.metadata.name },
      patch: { type: "merge", body: { spec: { taints: wanted.length === 0 ? null : wanted } } },
      why: unreachable ? `no sign of life for ${Math.round(silentMs / 1000)} s` : `Ready is ${ready?.status ?? "not set"}`,
    });
  const pods = view.pods.list().filter((p) => p.spec.nodeName === node.metadata.name);
  if (unreachable) actions.push(...pods.filter(isReady).map((p) => notReady(p, view.now)));
  const eviction = evictions(wanted, pods, view.now);
  return {
    actions: [...actions, ...eviction.actions],
    againMs: unreachable ? eviction.againMs : Math.max(50, GRACE_MS - silentMs + 50),
  };
};

const markUnknown = (node: Node, now: number): Action => {
  const next: Condition = {
    type: "Ready",
    status: "Unknown",
    reason: "NodeStatusUnknown",
    message: "Kubelet stopped posting node status.",
    lastTransitionTime: stamp(now),
  };
  const conditions = [...(node.status?.conditions ?? []).filter((c) => c.type !== "Ready"), next];
  return {
    do: "update",
    resource: RESOURCES.nodes,
    object: { ...node, status: { ...node.status, conditions } } as Node,
    subresource: "status",
    why: "no sign of life",
  };
};

const taintsFor = (ready: Condition["status"], node: Node, now: number): Taint[] => {
  const key = ready === "True" ? undefined : ready === "Unknown" ? UNREACHABLE : NOT_READY;
  const have = node.spec?.taints ?? [];
  const kept = have.filter((t) => t.key !== NOT_READY && t.key !== UNREACHABLE);
  if (key === undefined) return kept;
  const taint = (effect: string): Taint =>
    have.find((t) => t.key === key && t.effect === effect) ?? { key, effect, ...(effect === "NoExecute" ? { timeAdded: stamp(now) } : {}) };
  return [...kept, taint("NoSchedule"), taint("NoExecute")];
};

const notReady = (pod: Pod, now: number): Action => {
  const conditions = (pod.status?.conditions ?? []).map(
    (c): Condition => (c.type === "Ready" ? { ...c, status: "False", lastTransitionTime: stamp(now) } : c),
  );
  return {
    do: "update",
    resource: RESOURCES.pods,
    object: { ...pod, status: { ...pod.status, conditions } } as Pod,
    subresource: "status",
    why: "its node gives no sign of life",
  };
};

/** Pods leave a lost node after their toleration of its taint ends (five minutes where they say nothing, as the API server's admission does). */
const evictions = (taints: readonly Taint[], pods: readonly Pod[], now: number): { actions: Action[]; againMs: number | undefined } => {
  const taint = taints.find((t) => (t.key === NOT_READY || t.key === UNREACHABLE) && t.effect === "NoExecute" && t.timeAdded !== undefined);
  if (taint === undefined) return { actions: [], againMs: undefined };
  const since = Date.parse(taint.timeAdded ?? "") || now;
  const actions: Action[] = [];
  let againMs: number | undefined;
  for (const pod of pods) {
    if (pod.metadata.deletionTimestamp !== undefined) continue;
    const tolerations = (pod.spec.tolerations ?? []).filter(
      (t) =>
        (t.key === undefined || t.key === "" || t.key === taint.key) &&
        (t.effect === undefined || t.effect === "" || t.effect === "NoExecute"),
    );
    if (tolerations.some((t) => t.tolerationSeconds === undefined)) continue;
    const stayMs = tolerations.length === 0 ? EVICT_MS : Math.min(...tolerations.map((t) => (t.tolerationSeconds ?? 0) * 1000));
    const left = since + stayMs - now;
    if (left > 0) againMs = Math.min(againMs ?? left, left);
    else
      actions.push({ do: "delete", resource: RESOURCES.pods, object: pod, why: `${keyOf(pod)} does not tolerate ${taint.key} any longer` });
  }
  return { actions, againMs };
};
