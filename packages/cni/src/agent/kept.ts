// What is kept for one pod of the node, and what is wanted for it?

import type { Namespace } from "@ambit/shared/kube/objects/core.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import type { Netns } from "@ambit/shared/linux/netns.ts";
import { podDns } from "../dns.ts";
import { type EnrolmentPlan, planEnrolment, REDIRECTION } from "../plan.ts";
import type { Done, PodPhase } from "../steps.ts";
import type { PodInfo, SnapshotEntry } from "../zds/server.ts";

/** By uid. Edited in place by the one loop that works on the pod, and by what the watch tells. */
export type Kept = {
  pod: Pod;
  deleted: boolean;
  done: Done;
  /** Held as long as something is done in it, or to be done. */
  netns: Netns | undefined;
  lastError: string | undefined;
  /** Aborted to end a wait before the next try. */
  wake: AbortController;
  working: Promise<void> | undefined;
};

export const uidOf = (pod: Pod): string => pod.metadata.uid ?? "";
export const keyOf = (pod: Pod): string => `${pod.metadata.namespace}/${pod.metadata.name}`;

export const annotationOf = (pod: Pod): Done["annotation"] => {
  const value = pod.metadata.annotations?.[REDIRECTION];
  return value === "enabled" || value === "pending" ? value : undefined;
};

/** A pod that is met for the first time. Captured by an agent before us, its rules are there but may be of another version. */
export const keep = (pod: Pod): Kept => {
  const annotation = annotationOf(pod);
  return {
    pod,
    deleted: false,
    done: { rules: annotation === undefined ? "no" : "stale", announced: false, farewell: false, probes: false, annotation },
    netns: undefined,
    lastError: undefined,
    wake: new AbortController(),
    working: undefined,
  };
};

export type Surroundings = {
  readonly namespace: Namespace | undefined;
  readonly excludeNamespaces: readonly string[];
  readonly captureDns: boolean;
  /** The node leaves the mesh: every pod that still runs is let go. */
  readonly leaving: boolean;
};

export const wantedFor = (k: Pick<Kept, "pod" | "deleted">, around: Surroundings): EnrolmentPlan => {
  if (k.deleted) return { kind: "forget", why: "deleted" };
  const { namespace, excludeNamespaces, captureDns } = around;
  const plan = planEnrolment({ pod: k.pod, namespace, excludeNamespaces, captureDns });
  return around.leaving && (plan.kind === "enrol" || plan.kind === "wait") ? { kind: "leave", why: "not-labelled" } : plan;
};

/** A pod that answers already gets its listeners before its rules. */
export const phaseOf = (pod: Pod): PodPhase => ({
  serving: pod.status?.conditions?.some((c) => c.type === "Ready" && c.status === "True") === true,
  ending: pod.metadata.deletionTimestamp !== undefined,
});

export const podInfo = (pod: Pod): PodInfo => ({
  name: pod.metadata.name,
  namespace: pod.metadata.namespace ?? "",
  serviceAccount: pod.spec?.serviceAccountName ?? "default",
  ...podDns(pod),
});

/** True when a ztunnel must serve the pod: it was told so before, or the pod's traffic goes there already. */
export const isZtunnels = (k: Pick<Kept, "done">, plan: EnrolmentPlan): boolean =>
  (plan.kind === "enrol" || plan.kind === "wait") && (k.done.rules !== "no" || k.done.announced);

export const snapshotEntry = (k: Kept, netns: Netns | undefined): SnapshotEntry => ({
  uid: uidOf(k.pod),
  info: podInfo(k.pod),
  netns: netns?.fd,
  ending: phaseOf(k.pod).ending,
});
