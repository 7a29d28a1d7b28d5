// How does kubectl show a pod, above all its status? (k8s.io/kubernetes/pkg/printers/internalversion printPod)

import { at, isObject, type JsonObject, objects, str } from "../model/object.ts";
import { since } from "./age.ts";
import { AGE, type Column, NAME, NONE, number, orNone, text, wide } from "./column.ts";

type Summary = {
  readonly ready: number;
  readonly total: number;
  readonly status: string;
  readonly restarts: number;
  readonly lastRestart: string | undefined;
};

type Tally = { ready: number; restarts: number; lastRestart: string | undefined };

const later = (a: string | undefined, b: string | undefined): string | undefined => (a === undefined || (b !== undefined && b > a) ? b : a);

const count = (tally: Tally, status: JsonObject): void => {
  tally.restarts += number(status.restartCount);
  tally.lastRestart = later(tally.lastRestart, str(at(status, "lastState", "terminated", "finishedAt")));
};

const ended = (terminated: JsonObject): string => {
  const reason = str(terminated.reason);
  if (reason !== undefined && reason !== "") return reason;
  return number(terminated.signal) === 0 ? `ExitCode:${number(terminated.exitCode)}` : `Signal:${number(terminated.signal)}`;
};

const condition = (pod: JsonObject, type: string): JsonObject | undefined =>
  objects(at(pod, "status", "conditions")).find((c) => c.type === type);

const isTrue = (pod: JsonObject, type: string): boolean => condition(pod, type)?.status === "True";

/** Why the pod still initialises, or undefined when its init containers are done; `tally` takes their restarts. */
const initReason = (pod: JsonObject, tally: Tally, sidecars: Tally): string | undefined => {
  const specs = objects(at(pod, "spec", "initContainers"));
  const restartable = new Set(specs.filter((c) => c.restartPolicy === "Always").map((c) => c.name));
  for (const [i, status] of objects(at(pod, "status", "initContainerStatuses")).entries()) {
    count(tally, status);
    const isSidecar = restartable.has(status.name);
    if (isSidecar) count(sidecars, status);
    const terminated = at(status, "state", "terminated");
    const waiting = str(at(status, "state", "waiting", "reason")) ?? "";
    if (isObject(terminated) && number(terminated.exitCode) === 0) continue;
    if (isSidecar && status.started === true) {
      if (status.ready === true) tally.ready++;
      continue;
    }
    if (isObject(terminated)) return `Init:${ended(terminated)}`;
    return waiting !== "" && waiting !== "PodInitializing" ? `Init:${waiting}` : `Init:${i}/${specs.length}`;
  }
  return undefined;
};

const containerReason = (pod: JsonObject, before: string, tally: Tally): string => {
  let reason = before;
  let hasRunning = false;
  for (const status of objects(at(pod, "status", "containerStatuses")).reverse()) {
    count(tally, status);
    const waiting = str(at(status, "state", "waiting", "reason")) ?? "";
    const terminated = at(status, "state", "terminated");
    if (waiting !== "") reason = waiting;
    else if (isObject(terminated)) reason = ended(terminated);
    else if (status.ready === true && isObject(at(status, "state", "running"))) {
      hasRunning = true;
      tally.ready++;
    }
  }
  if (reason !== "Completed" || !hasRunning) return reason;
  return isTrue(pod, "Ready") ? "Running" : "NotReady";
};

/** What `kubectl get pods` says about a pod. */
export const summarise = (pod: JsonObject): Summary => {
  const specs = objects(at(pod, "spec", "initContainers"));
  const total = objects(at(pod, "spec", "containers")).length + specs.filter((c) => c.restartPolicy === "Always").length;
  const phase = str(at(pod, "status", "phase")) ?? "";
  const ownReason = str(at(pod, "status", "reason")) ?? "";
  const gated = condition(pod, "PodScheduled")?.reason === "SchedulingGated";
  let status = gated ? "SchedulingGated" : ownReason === "" ? phase : ownReason;
  let tally: Tally = { ready: 0, restarts: 0, lastRestart: undefined };
  const sidecars: Tally = { ready: 0, restarts: 0, lastRestart: undefined };
  const initialising = initReason(pod, tally, sidecars);
  if (initialising !== undefined) status = initialising;
  if (initialising === undefined || isTrue(pod, "Initialized")) {
    tally = { ...sidecars, ready: tally.ready };
    status = containerReason(pod, status, tally);
  }
  if (at(pod, "metadata", "deletionTimestamp") !== undefined) {
    if (ownReason === "NodeLost") status = "Unknown";
    else if (phase !== "Succeeded" && phase !== "Failed") status = "Terminating";
  }
  return { ready: tally.ready, total, status, restarts: tally.restarts, lastRestart: tally.lastRestart };
};

const restarts = (pod: JsonObject, now: number): string => {
  const { restarts: times, lastRestart } = summarise(pod);
  return times === 0 || lastRestart === undefined ? String(times) : `${times} (${since(lastRestart, now)} ago)`;
};

const readinessGates = (pod: JsonObject): string => {
  const gates = objects(at(pod, "spec", "readinessGates"));
  if (gates.length === 0) return NONE;
  return `${gates.filter((gate) => isTrue(pod, String(gate.conditionType))).length}/${gates.length}`;
};

export const POD_COLUMNS: readonly Column[] = [
  NAME,
  text("Ready", (pod) => `${summarise(pod).ready}/${summarise(pod).total}`),
  text("Status", (pod) => summarise(pod).status),
  text("Restarts", restarts),
  AGE,
  wide(text("IP", (pod) => orNone(str(at(pod, "status", "podIP")) ?? str(objects(at(pod, "status", "podIPs"))[0]?.ip)))),
  wide(text("Node", (pod) => orNone(at(pod, "spec", "nodeName")))),
  wide(text("Nominated Node", (pod) => orNone(at(pod, "status", "nominatedNodeName")))),
  wide(text("Readiness Gates", readinessGates)),
];
