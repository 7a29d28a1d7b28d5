// Is a pod active, ready, available, and which of several goes first?

import { findCondition, type KubeObject } from "@ambit/shared/kube/objects/meta.ts";
import type { Pod, PodTemplateSpec } from "@ambit/shared/kube/objects/pod.ts";

export const isTerminal = (pod: Pod): boolean => pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";

/** Counts towards its owner's replicas. */
export const isActive = (pod: Pod): boolean => !isTerminal(pod) && pod.metadata.deletionTimestamp === undefined;

export const isReady = (pod: Pod): boolean => findCondition(pod.status?.conditions, "Ready")?.status === "True";

/** Since when the pod is ready, in milliseconds since the epoch; undefined when it is not. */
const readySince = (pod: Pod): number | undefined => {
  const ready = findCondition(pod.status?.conditions, "Ready");
  return ready?.status === "True" ? Date.parse(ready.lastTransitionTime ?? "") || 0 : undefined;
};

/** When the pod will have been ready for minReadySeconds if it stays so; undefined when it is not ready. */
const availableAt = (pod: Pod, minReadySeconds: number): number | undefined => {
  const since = readySince(pod);
  return since === undefined ? undefined : since + minReadySeconds * 1000;
};

export const isAvailable = (pod: Pod, minReadySeconds: number, now: number): boolean => {
  if (minReadySeconds === 0) return isReady(pod);
  const at = availableAt(pod, minReadySeconds);
  return at !== undefined && at <= now;
};

/** In how many milliseconds the next pod becomes available by mere waiting; undefined when none will. */
export const untilAvailable = (pods: readonly Pod[], minReadySeconds: number, now: number): number | undefined => {
  const waits = pods.flatMap((p) => availableAt(p, minReadySeconds) ?? []).filter((at) => at > now);
  return waits.length === 0 ? undefined : Math.min(...waits) - now;
};

const created = (o: KubeObject): number => Date.parse(o.metadata.creationTimestamp ?? "") || 0;
const PHASES = ["Pending", "Unknown", "Running"];

/** Which pods to delete first (controller.ActivePodsWithRanks): unassigned, pending, not ready, on crowded nodes, lately ready, restarted, young. */
export const deletionOrder = (pods: readonly Pod[]): Pod[] => {
  const perNode = Map.groupBy(pods, (p) => p.spec.nodeName ?? "");
  const rank = (p: Pod): readonly number[] => [
    p.spec.nodeName === undefined || p.spec.nodeName === "" ? 0 : 1,
    PHASES.indexOf(p.status?.phase ?? "Pending"),
    isReady(p) ? 1 : 0,
    -(perNode.get(p.spec.nodeName ?? "")?.length ?? 0),
    -(readySince(p) ?? 0),
    -Math.max(0, ...(p.status?.containerStatuses ?? []).map((c) => c.restartCount)),
    -created(p),
  ];
  return pods
    .map((pod) => ({ pod, rank: rank(pod) }))
    .sort((a, b) => firstDifference(a.rank, b.rank) || (a.pod.metadata.name < b.pod.metadata.name ? -1 : 1))
    .map((x) => x.pod);
};

const firstDifference = (a: readonly number[], b: readonly number[]): number => {
  for (const [i, x] of a.entries()) if (x !== b[i]) return x - (b[i] ?? 0);
  return 0;
};

export const byAge = <T extends KubeObject>(objects: readonly T[]): T[] =>
  [...objects].sort((a, b) => created(a) - created(b) || (a.metadata.name < b.metadata.name ? -1 : 1));

/** A pod of this template, controlled by the owner. The server completes the generated name. */
export const podOf = (
  template: PodTemplateSpec,
  owner: KubeObject & { readonly apiVersion: string; readonly kind: string },
  more: { readonly name?: string; readonly labels?: Readonly<Record<string, string>>; readonly spec?: Partial<Pod["spec"]> } = {},
): Pod => ({
  metadata: {
    name: more.name ?? "",
    ...(more.name === undefined ? { generateName: `${owner.metadata.name}-` } : {}),
    namespace: owner.metadata.namespace ?? "",
    labels: { ...template.metadata?.labels, ...more.labels },
    ...(template.metadata?.annotations === undefined ? {} : { annotations: template.metadata.annotations }),
    ...(template.metadata?.finalizers === undefined ? {} : { finalizers: template.metadata.finalizers }),
    ownerReferences: [controllerRef(owner)],
  },
  spec: { ...template.spec, ...more.spec },
});

export const controllerRef = (owner: KubeObject & { readonly apiVersion: string; readonly kind: string }) => ({
  apiVersion: owner.apiVersion,
  kind: owner.kind,
  name: owner.metadata.name,
  uid: owner.metadata.uid ?? "",
  controller: true,
  blockOwnerDeletion: true,
});
