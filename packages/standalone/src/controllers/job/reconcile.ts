// Which pods must a Job start or stop, and is it done or failed? (non-indexed; completions, parallelism, backoffLimit, deadline, TTL)

import { isDeepStrictEqual } from "node:util";
import type { Job } from "@ambit/shared/kube/objects/apps.ts";
import { type Condition, controllerOf, keyOf } from "@ambit/shared/kube/objects/meta.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import { type Action, earlier, NOTHING, type Plan } from "../engine/plan.ts";
import type { Controller, View } from "../engine/view.ts";
import { isActive, isReady, podOf } from "../pods/state.ts";

const identified = (j: Job) => ({ ...j, apiVersion: "batch/v1", kind: "Job" });
const stamp = (now: number): string => new Date(now).toISOString().replace(/\.\d+Z$/, "Z");

export const jobController: Controller = {
  name: "job",
  triggers: {
    jobs: (j) => [keyOf(j)],
    pods: (pod) => {
      const owner = controllerOf(pod);
      return owner?.kind === "Job" ? [`${pod.metadata.namespace}/${owner.name}`] : [];
    },
  },
  reconcile: (view, key) => {
    const job = view.jobs.get(key);
    return job === undefined || job.metadata.deletionTimestamp !== undefined ? NOTHING : reconcileJob(job, view);
  },
};

export const reconcileJob = (found: Job, view: Pick<View, "pods" | "now">): Plan => {
  const job = identified(found);
  const ended = job.status?.conditions?.find((c) => (c.type === "Complete" || c.type === "Failed") && c.status === "True");
  const pods = view.pods.in(job.metadata.namespace ?? "").filter((p) => controllerOf(p)?.uid === job.metadata.uid);
  if (ended !== undefined) return afterwards(job, ended, { active: pods.filter(isActive), now: view.now });
  const verdict = judge(job, pods, view.now);
  const active = pods.filter(isActive);
  const changes = verdict.end === undefined ? podChanges(job, active, verdict.succeeded) : active.map((p) => stop(p, "the job ended"));
  const startTime = job.spec.suspend === true ? undefined : (job.status?.startTime ?? stamp(view.now));
  const status: NonNullable<Job["status"]> = {
    ...job.status,
    active: verdict.end === undefined ? active.length : 0,
    ready: active.filter(isReady).length,
    succeeded: verdict.succeeded,
    failed: verdict.failed,
    ...(startTime === undefined ? {} : { startTime }),
    ...(verdict.end === undefined ? {} : { conditions: [...(job.status?.conditions ?? []), verdict.end] }),
    ...(verdict.end?.type === "Complete" ? { completionTime: stamp(view.now) } : {}),
  };
  const object = { ...job, status } as Job;
  const update: Action[] = isDeepStrictEqual(status, job.status)
    ? []
    : [{ do: "update", resource: RESOURCES.jobs, object, subresource: "status", why: verdict.end?.message ?? "pods changed" }];
  return { actions: [...changes, ...update], againMs: verdict.againMs };
};

type Verdict = {
  readonly succeeded: number;
  readonly failed: number;
  readonly end: Condition | undefined;
  readonly againMs: number | undefined;
};

const judge = (job: Job, pods: readonly Pod[], now: number): Verdict => {
  const succeeded = pods.filter((p) => p.status?.phase === "Succeeded").length;
  const failed = pods.filter((p) => p.status?.phase === "Failed").length;
  const wanted = job.spec.completions ?? 1;
  const limit = job.spec.backoffLimit ?? 6;
  // Restarts in place count too (restartPolicy OnFailure).
  const restarts = pods
    .filter(isActive)
    .reduce((n, p) => n + (p.status?.containerStatuses ?? []).reduce((m, c) => m + c.restartCount, 0), 0);
  const deadline =
    job.spec.activeDeadlineSeconds === undefined || job.status?.startTime === undefined
      ? undefined
      : Date.parse(job.status.startTime) + job.spec.activeDeadlineSeconds * 1000;
  const end = (type: string, reason: string, message: string): Condition => ({
    type,
    status: "True",
    reason,
    message,
    lastProbeTime: stamp(now),
    lastTransitionTime: stamp(now),
  });
  const counted = { succeeded, failed, againMs: deadline === undefined ? undefined : Math.max(0, deadline - now) + 50 };
  if (succeeded >= wanted)
    return { ...counted, end: end("Complete", "CompletionsReached", "Reached expected number of succeeded pods"), againMs: undefined };
  if (failed + restarts > limit)
    return { ...counted, end: end("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"), againMs: undefined };
  if (deadline !== undefined && now >= deadline)
    return { ...counted, end: end("Failed", "DeadlineExceeded", "Job was active longer than specified deadline"), againMs: undefined };
  return { ...counted, end: undefined };
};

const stop = (object: Pod, why: string): Action => ({ do: "delete", resource: RESOURCES.pods, object, why });

const podChanges = (job: ReturnType<typeof identified>, active: readonly Pod[], succeeded: number): Action[] => {
  const wanted = job.spec.suspend === true ? 0 : Math.min(job.spec.parallelism ?? 1, (job.spec.completions ?? 1) - succeeded);
  if (active.length > wanted) return active.slice(0, active.length - wanted).map((p) => stop(p, `${wanted} pods wanted at once`));
  const pod = podOf(job.spec.template, job, {
    labels: { "batch.kubernetes.io/job-name": job.metadata.name, "job-name": job.metadata.name, ...job.spec.selector?.matchLabels },
  });
  return Array.from({ length: wanted - active.length }, () => ({
    do: "create",
    resource: RESOURCES.pods,
    object: pod,
    why: `${succeeded} of ${job.spec.completions ?? 1} succeeded`,
  }));
};

const afterwards = (job: Job, ended: Condition, at: { active: readonly Pod[]; now: number }): Plan => {
  const leftovers = at.active.map((p) => stop(p, "the job ended"));
  const ttl = job.spec.ttlSecondsAfterFinished;
  if (ttl === undefined) return { actions: leftovers };
  const due = (Date.parse(ended.lastTransitionTime ?? "") || at.now) + ttl * 1000;
  if (at.now < due) return { actions: leftovers, againMs: earlier(undefined, due - at.now + 50) };
  return {
    actions: [
      { do: "delete", resource: RESOURCES.jobs, object: job, opts: { propagationPolicy: "Background" }, why: `ended ${ttl} s ago` },
    ],
  };
};
