// What is the status of a Deployment, in the words `kubectl rollout status` and `kubectl wait` look for?

import type { Deployment, ReplicaSet } from "@ambit/shared/kube/objects/apps.ts";
import { type Condition, findCondition } from "@ambit/shared/kube/objects/meta.ts";
import { limits, sizeOf, wantedOf } from "./replicas.ts";

export type Status = NonNullable<Deployment["status"]>;
/** What happened to the new ReplicaSet in this very step. */
export type Step = { readonly created?: string; readonly scaled?: boolean };

const stamp = (now: number): string => new Date(now).toISOString().replace(/\.\d+Z$/, "Z");

/** Adds or replaces a condition; its transition time moves only when its status does. */
const withCondition = (
  conditions: readonly Condition[],
  next: Omit<Condition, "lastTransitionTime" | "lastUpdateTime">,
  now: number,
): Condition[] => {
  const old = findCondition(conditions, next.type);
  if (
    old !== undefined &&
    old.status === next.status &&
    old.reason === next.reason &&
    old.message === next.message &&
    next.reason !== "ReplicaSetUpdated"
  )
    return [...conditions];
  const lastTransitionTime = old?.status === next.status ? (old.lastTransitionTime ?? stamp(now)) : stamp(now);
  return [...conditions.filter((c) => c.type !== next.type), { ...next, lastUpdateTime: stamp(now), lastTransitionTime }];
};

const counts = (d: Deployment, fresh: ReplicaSet | undefined, all: readonly ReplicaSet[]) => {
  const sum = (of: (rs: ReplicaSet) => number): number => all.reduce((n, rs) => n + of(rs), 0);
  const available = sum((rs) => rs.status?.availableReplicas ?? 0);
  const specified = sum(sizeOf);
  return {
    observedGeneration: d.metadata.generation ?? 0,
    replicas: sum((rs) => rs.status?.replicas ?? 0),
    updatedReplicas: fresh?.status?.replicas ?? 0,
    readyReplicas: sum((rs) => rs.status?.readyReplicas ?? 0),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, specified - available),
  };
};

export const isComplete = (d: Deployment, s: Status): boolean =>
  s.updatedReplicas === wantedOf(d) &&
  s.replicas === wantedOf(d) &&
  s.availableReplicas === wantedOf(d) &&
  s.observedGeneration === (d.metadata.generation ?? 0);

const madeProgress = (old: Status, s: Status): boolean => {
  const n = (v: number | undefined): number => v ?? 0;
  return (
    n(s.updatedReplicas) > n(old.updatedReplicas) ||
    n(s.replicas) - n(s.updatedReplicas) < n(old.replicas) - n(old.updatedReplicas) ||
    n(s.readyReplicas) > n(old.readyReplicas) ||
    n(s.availableReplicas) > n(old.availableReplicas)
  );
};

/** The moment a rollout without progress counts as failed; undefined when it cannot (done, paused, failed already, no deadline). */
export const deadlineOf = (d: Deployment, conditions: readonly Condition[]): number | undefined => {
  const c = findCondition(conditions, "Progressing");
  const seconds = d.spec.progressDeadlineSeconds ?? 600;
  if (c === undefined || d.spec.paused === true || c.reason === "NewReplicaSetAvailable" || c.reason === "ProgressDeadlineExceeded")
    return undefined;
  if (seconds >= 2 ** 31 - 1) return undefined; // "no deadline" in the API
  return (Date.parse(c.lastUpdateTime ?? "") || 0) + seconds * 1000;
};

const progressing = (status: Condition["status"], reason: string, message: string) => ({ type: "Progressing", status, reason, message });

export const statusOf = (
  d: Deployment,
  sets: { readonly fresh: ReplicaSet | undefined; readonly all: readonly ReplicaSet[] },
  { step, now }: { readonly step: Step; readonly now: number },
): Status => {
  const old = d.status ?? {};
  const next = counts(d, sets.fresh, sets.all);
  const enough = next.availableReplicas >= wantedOf(d) - limits(d).unavailable;
  let conditions = withCondition(
    old.conditions ?? [],
    enough
      ? { type: "Available", status: "True", reason: "MinimumReplicasAvailable", message: "Deployment has minimum availability." }
      : {
          type: "Available",
          status: "False",
          reason: "MinimumReplicasUnavailable",
          message: "Deployment does not have minimum availability.",
        },
    now,
  );
  const current = findCondition(conditions, "Progressing");
  const say = (status: Condition["status"], reason: string, message: string): void => {
    conditions = withCondition(conditions, progressing(status, reason, message), now);
  };
  const name = step.created ?? sets.fresh?.metadata.name ?? d.metadata.name;
  const wasDone = current?.reason === "NewReplicaSetAvailable" && next.replicas === next.updatedReplicas;
  const deadline = deadlineOf(d, conditions);
  if (d.spec.paused === true) {
    if (current?.reason !== "DeploymentPaused") say("Unknown", "DeploymentPaused", "Deployment is paused");
  } else if (step.created !== undefined) say("True", "NewReplicaSetCreated", `Created new replica set "${name}"`);
  else if (current?.reason === "DeploymentPaused") say("Unknown", "DeploymentResumed", "Deployment is resumed");
  else if (wasDone && step.scaled !== true) {
    // A finished rollout stays finished when pods come and go later.
  } else if (sets.fresh !== undefined && isComplete(d, next))
    say("True", "NewReplicaSetAvailable", `ReplicaSet "${name}" has successfully progressed.`);
  else if (current === undefined) say("True", "FoundNewReplicaSet", `Found new replica set "${name}"`);
  else if (madeProgress(old, next) && !wasDone) say("True", "ReplicaSetUpdated", `ReplicaSet "${name}" is progressing.`);
  else if (deadline !== undefined && now >= deadline)
    say("False", "ProgressDeadlineExceeded", `ReplicaSet "${name}" has timed out progressing.`);
  return { ...old, ...next, conditions };
};
