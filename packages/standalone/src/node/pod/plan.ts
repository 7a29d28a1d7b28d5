// What is to be done next for a pod, given its spec and how its containers stand?

import type { Container, PodSpec } from "@ambit/shared/kube/objects/pod.ts";
import { type ContainerRecord, containerOf, type PodRecord } from "./record.ts";

export type ContainerRole = "init" | "sidecar" | "app";

export type PodPlan =
  /** Start these now; look again at `wakeAt` (ms) at the latest. */
  | { readonly kind: "run"; readonly start: readonly string[]; readonly wakeAt: number | undefined; readonly initialized: boolean }
  /** It has ended for good: what still runs (sidecars) is to be stopped. */
  | { readonly kind: "ended"; readonly phase: "Succeeded" | "Failed"; readonly stop: readonly string[] };

/** An init container that is restarted always is a sidecar (KEP-753). */
export const roleOf = (spec: PodSpec, name: string): ContainerRole => {
  const init = (spec.initContainers ?? []).find((c) => c.name === name);
  if (init === undefined) return "app";
  return init.restartPolicy === "Always" ? "sidecar" : "init";
};

export const allContainers = (spec: PodSpec): readonly Container[] => [...(spec.initContainers ?? []), ...spec.containers];

/** When a container that does not run may start: now (0), later, or never again. */
const startAt = (c: ContainerRecord, restart: boolean): number | undefined => {
  switch (c.state.t) {
    case "waiting":
      return c.ran && c.last !== undefined ? c.last.finishedAt + (c.backoffMs ?? 0) : 0;
    case "running":
      return undefined;
    case "terminated":
      return restart ? c.state.finishedAt + (c.backoffMs ?? 0) : undefined;
  }
};

const failed = (c: ContainerRecord): boolean => c.state.t === "terminated" && c.state.exitCode !== 0;
const succeeded = (c: ContainerRecord): boolean => c.state.t === "terminated" && c.state.exitCode === 0;

const restarts = (policy: string, role: ContainerRole, c: ContainerRecord): boolean => {
  if (role === "sidecar") return true;
  if (role === "init") return failed(c) && policy !== "Never";
  return policy === "Always" || (policy === "OnFailure" && failed(c));
};

type Due = { readonly start: string[]; wakeAt: number | undefined };

const consider = (due: Due, name: string, at: number | undefined, now: number): void => {
  if (at === undefined) return;
  if (at <= now) due.start.push(name);
  else due.wakeAt = Math.min(at, due.wakeAt ?? Number.POSITIVE_INFINITY);
};

const running = (spec: PodSpec, record: PodRecord): readonly string[] =>
  allContainers(spec)
    .map((c) => c.name)
    .filter((name) => containerOf(record, name).state.t === "running");

/**
 * Init containers one after the other, each to its success (a sidecar only until it has started), then all containers at once;
 * ended containers again by restartPolicy after their back-off. Ended for good when no container runs or will.
 */
export const planPod = (spec: PodSpec, record: PodRecord, now: number): PodPlan => {
  const policy = spec.restartPolicy ?? "Always";
  const due: Due = { start: [], wakeAt: undefined };
  let initialized = true;
  for (const container of spec.initContainers ?? []) {
    const c = containerOf(record, container.name);
    const role = roleOf(spec, container.name);
    const appsRan = spec.containers.some((app) => containerOf(record, app.name).ran);
    if (role === "init" && (succeeded(c) || appsRan)) continue;
    if (role === "init" && failed(c) && policy === "Never") return { kind: "ended", phase: "Failed", stop: running(spec, record) };
    consider(due, container.name, startAt(c, restarts(policy, role, c)), now);
    if (role === "sidecar" && (appsRan || (c.state.t === "running" && c.started))) continue;
    initialized = false;
    break;
  }
  if (!initialized) return { kind: "run", ...due, initialized };
  let open = false;
  for (const { name } of spec.containers) {
    const c = containerOf(record, name);
    const at = startAt(c, restarts(policy, "app", c));
    open ||= at !== undefined || c.state.t === "running";
    consider(due, name, at, now);
  }
  if (open) return { kind: "run", ...due, initialized };
  const anyFailed = spec.containers.some(({ name }) => failed(containerOf(record, name)));
  return { kind: "ended", phase: anyFailed ? "Failed" : "Succeeded", stop: running(spec, record) };
};
