// Which status does a pod have, given its spec and how its containers stand?

import type { Condition } from "@ambit/shared/kube/objects/meta.ts";
import type { Container, ContainerState, ContainerStatus, Pod, PodStatus } from "@ambit/shared/kube/objects/pod.ts";
import { allContainers, type PodPlan, roleOf } from "./plan.ts";
import { type ContainerRecord, containerOf, type PodRecord, type Terminated } from "./record.ts";

export type StatusFacts = {
  readonly record: PodRecord;
  readonly plan: PodPlan;
  readonly podIPs: readonly string[];
  readonly hostIPs: readonly string[];
  readonly now: number;
  /** The pod is being deleted: it is no longer ready whatever its probes say. */
  readonly terminating: boolean;
};

const time = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");

const terminatedState = (t: Terminated, id: string): ContainerState => ({
  terminated: {
    exitCode: t.exitCode,
    ...(t.signal === undefined ? {} : { signal: t.signal }),
    reason: t.reason,
    ...(t.message === undefined ? {} : { message: t.message }),
    startedAt: time(t.startedAt),
    finishedAt: time(t.finishedAt),
    containerID: id,
  },
});

const crashLoop = (c: ContainerRecord, pod: Pod, name: string): ContainerState => ({
  waiting: {
    reason: "CrashLoopBackOff",
    message: `back-off ${Math.round((c.backoffMs ?? 0) / 1000)}s restarting failed container=${name} pod=${pod.metadata.name}_${pod.metadata.namespace ?? "default"}(${pod.metadata.uid ?? ""})`,
  },
});

const stateOf = (
  c: ContainerRecord,
  pod: Pod,
  from: { readonly name: string; readonly id: string; readonly backingOff: boolean },
): ContainerState => {
  switch (c.state.t) {
    case "waiting":
      return { waiting: { reason: c.state.reason, ...(c.state.message === undefined ? {} : { message: c.state.message }) } };
    case "running":
      return { running: { startedAt: time(c.state.startedAt) } };
    case "terminated":
      return from.backingOff ? crashLoop(c, pod, from.name) : terminatedState(c.state, from.id);
  }
};

/** A container's id as the API shows it: unique over restarts. */
const containerId = (uid: string, container: string, restarts: number): string => `ambit://${uid}/${container}/${restarts}`;

const containerStatus = (container: Container, pod: Pod, f: StatusFacts): ContainerStatus => {
  const { name } = container;
  const c = containerOf(f.record, name);
  const id = containerId(f.record.uid, name, c.restarts);
  // A container that will be started again waits in CrashLoopBackOff, and what it ended with is its last state.
  const backingOff = c.state.t === "terminated" && f.plan.kind === "run" && !f.terminating && willRestart(pod, name, c);
  const last = c.state.t === "terminated" && backingOff ? c.state : c.last;
  return {
    name,
    image: container.image ?? "",
    imageID: "",
    ...(c.ran ? { containerID: id } : {}),
    ready:
      roleOf(pod.spec, name) === "init"
        ? c.state.t === "terminated" && c.state.exitCode === 0
        : c.state.t === "running" && c.started && c.ready,
    started: roleOf(pod.spec, name) === "init" ? false : c.state.t === "running" && c.started,
    restartCount: c.restarts,
    state: stateOf(c, pod, { name, id, backingOff }),
    lastState:
      last === undefined
        ? {}
        : terminatedState(last, containerId(f.record.uid, name, backingOff ? c.restarts : Math.max(0, c.restarts - 1))),
  };
};

const willRestart = (pod: Pod, name: string, c: ContainerRecord): boolean => {
  const policy = pod.spec.restartPolicy ?? "Always";
  const bad = c.state.t === "terminated" && c.state.exitCode !== 0;
  const role = roleOf(pod.spec, name);
  if (role === "sidecar") return true;
  return role === "init" ? bad && policy !== "Never" : policy === "Always" || (policy === "OnFailure" && bad);
};

const phaseOf = (f: StatusFacts, pod: Pod): string => {
  if (f.plan.kind === "ended") return f.plan.phase;
  return f.plan.initialized && pod.spec.containers.some((c) => containerOf(f.record, c.name).ran) ? "Running" : "Pending";
};

type Verdict = { readonly type: string; readonly status: boolean; readonly reason?: string; readonly message?: string };

const verdicts = (pod: Pod, f: StatusFacts, containers: readonly ContainerStatus[]): readonly Verdict[] => {
  const ended = f.plan.kind === "ended";
  const initialized = ended || f.plan.initialized;
  const unready = containers.filter((c) => !c.ready && roleOf(pod.spec, c.name) !== "init").map((c) => c.name);
  const why = ended
    ? { reason: f.plan.phase === "Succeeded" ? "PodCompleted" : "PodFailed" }
    : { reason: "ContainersNotReady", message: `containers with unready status: [${unready.join(" ")}]` };
  const containersReady: Verdict =
    unready.length === 0 && !ended ? { type: "ContainersReady", status: true } : { type: "ContainersReady", status: false, ...why };
  const gates = (pod.spec.readinessGates ?? []).map((g) => g.conditionType);
  const closed = gates.filter((g) => pod.status?.conditions?.find((c) => c.type === g)?.status !== "True");
  const ready: Verdict = !containersReady.status
    ? { ...containersReady, type: "Ready" }
    : closed.length > 0
      ? {
          type: "Ready",
          status: false,
          reason: "ReadinessGatesNotReady",
          message: `corresponding condition of pod readiness gate "${closed[0]}" is not True`,
        }
      : { type: "Ready", status: true };
  const sandbox: Verdict = { type: "PodReadyToStartContainers", status: !ended && f.podIPs.length > 0 };
  const init: Verdict = initialized
    ? { type: "Initialized", status: true }
    : { type: "Initialized", status: false, reason: "ContainersNotInitialized", message: "init containers have not all succeeded" };
  return [sandbox, init, ready, containersReady, { type: "PodScheduled", status: true }];
};

/** Our conditions with their transition times kept where nothing changed, and everybody else's as they are. */
const conditionsOf = (pod: Pod, list: readonly Verdict[], now: number): readonly Condition[] => {
  const held = pod.status?.conditions ?? [];
  const ours = list.map(({ type, status, reason, message }): Condition => {
    const old = held.find((c) => c.type === type);
    const text = status ? "True" : "False";
    return {
      type,
      status: text,
      ...(reason === undefined ? {} : { reason }),
      ...(message === undefined ? {} : { message }),
      lastProbeTime: null,
      lastTransitionTime: old?.status === text && old.lastTransitionTime !== undefined ? old.lastTransitionTime : time(now),
    };
  });
  return [...ours, ...held.filter((c) => !ours.some((o) => o.type === c.type))];
};

/** The whole status as the kubelet writes it. */
export const podStatus = (pod: Pod, f: StatusFacts): PodStatus => {
  const inits = (pod.spec.initContainers ?? []).map((c) => containerStatus(c, pod, f));
  const apps = pod.spec.containers.map((c) => containerStatus(c, pod, f));
  const readiness = f.terminating
    ? [...inits, ...apps].map((c) => ({ ...c, ready: c.state?.running === undefined ? false : c.ready }))
    : [...inits, ...apps];
  return {
    phase: phaseOf(f, pod),
    conditions: conditionsOf(pod, verdicts(pod, f, readiness), f.now),
    ...(f.podIPs[0] === undefined ? {} : { podIP: f.podIPs[0], podIPs: f.podIPs.map((ip) => ({ ip })) }),
    ...(f.hostIPs[0] === undefined ? {} : { hostIP: f.hostIPs[0], hostIPs: f.hostIPs.map((ip) => ({ ip })) }),
    startTime: time(f.record.startTime),
    qosClass: pod.status?.qosClass ?? qosClass(pod),
    ...(inits.length === 0 ? {} : { initContainerStatuses: inits }),
    containerStatuses: apps,
  };
};

/** Guaranteed, Burstable or BestEffort by requests and limits. */
export const qosClass = (pod: Pod): string => {
  const sets = allContainers(pod.spec).map((c) => c.resources);
  if (sets.every((r) => Object.keys(r?.limits ?? {}).length === 0 && Object.keys(r?.requests ?? {}).length === 0)) return "BestEffort";
  const guaranteed = sets.every((r) =>
    ["cpu", "memory"].every((k) => r?.limits?.[k] !== undefined && (r.requests?.[k] === undefined || r.requests[k] === r.limits[k])),
  );
  return guaranteed ? "Guaranteed" : "Burstable";
};
