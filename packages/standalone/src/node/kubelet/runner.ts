// How is one container of a pod run: started, watched, probed, stopped, and its end recorded?

import type { Container, Pod, Probe } from "@ambit/shared/kube/objects/pod.ts";
import { destroyCgroup, killCgroup } from "../container/cgroup.ts";
import type { LaunchPlan } from "../container/launch.ts";
import { captureOutput, dropOldLogs, type LogSink, logFile, type PodRef } from "../container/logs.ts";
import {
  adoptContainer,
  type Exit,
  enteredRoot,
  prepareContainer,
  type Running,
  signalContainer,
  startContainer,
} from "../container/start.ts";
import type { ContainerRecord, PodRecord, Terminated } from "../pod/record.ts";
import { nextBackoffMs } from "../pod/restart.ts";
import { type AttemptTarget, attempt } from "./attempt.ts";
import type { KubeletDeps } from "./deps.ts";
import type { ExecTarget } from "./exec.ts";
import { probeContainer } from "./prober.ts";
import { containerCgroup, containerDir, environmentOf, podIPs, userOf } from "./sandbox.ts";

const CLEANUP_MS = 10_000;
const DRAIN_MS = 2_000;

/** What a run needs to know of its pod and may change of it. */
export type RunnerPod = {
  readonly ref: PodRef;
  readonly dir: string;
  /** The newest API object; undefined while the kubelet has none (after its restart, before the first list). */
  object(): Pod | undefined;
  record(): PodRecord;
  change(container: string, change: Partial<ContainerRecord>): void;
};

export type ContainerRun = {
  readonly name: string;
  /** Resolves when it has ended, nothing of it is left, and its record says so. */
  readonly ended: Promise<void>;
  /** preStop hook, SIGTERM, and after the grace SIGKILL to all; resolves with `ended`. Aborting `now` cuts the grace short. */
  stop(graceMs: number, now: AbortSignal): Promise<void>;
  exec(): ExecTarget | undefined;
  /** Begins probing, once the API object is known. */
  probe(): void;
};

const exitReason = (exit: Exit): Pick<Terminated, "exitCode" | "signal" | "reason" | "message"> => {
  if (exit.launchError !== undefined) return { exitCode: 128, signal: undefined, reason: "StartError", message: exit.launchError };
  if (!exit.known)
    return {
      exitCode: exit.code,
      signal: undefined,
      reason: "ContainerStatusUnknown",
      message: "the kubelet was restarted and could not learn the exit status",
    };
  return { exitCode: exit.code, signal: exit.signal, reason: exit.code === 0 ? "Completed" : "Error", message: undefined };
};

const begin = (
  deps: KubeletDeps,
  pod: RunnerPod,
  name: string,
  from: { readonly running: Running; readonly sink: LogSink; readonly startedAt: number },
): ContainerRun => {
  const { running, sink, startedAt } = from;
  const probing = new AbortController();
  const cgroup = containerCgroup(deps, pod.ref.uid, name);
  const finish = async (): Promise<void> => {
    const exit = await running.exited;
    probing.abort();
    const finishedAt = deps.world.now();
    await destroyCgroup(cgroup, AbortSignal.timeout(CLEANUP_MS)); // children that outlived it
    const drained = AbortSignal.timeout(DRAIN_MS);
    drained.addEventListener("abort", () => sink.close());
    if (exit.launchError !== undefined) sink.close();
    await sink.drained;
    const before = pod.record().containers[name];
    const end: Terminated = { ...exitReason(exit), startedAt, finishedAt };
    pod.change(name, {
      state: { t: "terminated", ...end },
      backoffMs: nextBackoffMs(before?.backoffMs, finishedAt - startedAt),
      started: false,
      ready: false,
    });
  };
  const ended = finish();

  const specOf = (): Container | undefined => {
    const spec = pod.object()?.spec;
    return [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])].find((c) => c.name === name);
  };
  const exec = (): ExecTarget | undefined => {
    const object = pod.object();
    const container = specOf();
    if (object === undefined || container === undefined || probing.signal.aborted) return undefined;
    const env = environmentOf(deps, object, { container, record: pod.record() });
    const user = userOf(object, container);
    return env.ok && user.ok ? { id: running.id, cgroup, env: env.value, user: user.value } : undefined;
  };
  const target = (container: Container): AttemptTarget => ({ container, podIP: podIPs(deps, pod.record())[0] ?? "127.0.0.1", exec });

  const stop = async (graceMs: number, now: AbortSignal): Promise<void> => {
    const container = specOf();
    const deadline = AbortSignal.any([now, AbortSignal.timeout(graceMs)]);
    const preStop = container?.lifecycle?.preStop;
    if (preStop !== undefined && container !== undefined && graceMs > 0)
      await hook(deps, pod.ref, { probe: preStop, target: target(container), signal: deadline, failure: "FailedPreStopHook" });
    if (!deadline.aborted) signalContainer(running.id, "SIGTERM");
    const kill = (): void => killCgroup(cgroup);
    if (deadline.aborted) kill();
    else deadline.addEventListener("abort", kill, { once: true });
    await ended;
    deadline.removeEventListener("abort", kill);
  };

  let probed = false;
  const probe = (): void => {
    const container = specOf();
    const object = pod.object();
    if (probed || container === undefined || object === undefined) return;
    probed = true;
    const grace = (p: Probe | undefined): number =>
      (p?.terminationGracePeriodSeconds ?? object.spec.terminationGracePeriodSeconds ?? 30) * 1000;
    const events = {
      started: () => pod.change(name, { started: true }),
      ready: (is: boolean) => pod.change(name, { ready: is }),
      failedOnce: (kind: string, detail: string) =>
        deps.event(pod.ref, {
          type: "Warning",
          reason: "Unhealthy",
          message: `${kind[0]?.toUpperCase()}${kind.slice(1)} probe failed: ${detail}`,
        }),
      unhealthy: (kind: string) => {
        deps.event(pod.ref, { type: "Normal", reason: "Killing", message: `Container ${name} failed ${kind} probe, will be restarted` });
        return stop(grace(kind === "liveness" ? container.livenessProbe : container.startupProbe), probing.signal).catch((e: unknown) =>
          deps.log.warn("stop failed", { pod: pod.ref.name, container: name, error: String(e) }),
        );
      },
    };
    probeContainer(container, { world: deps.world, target: target(container), signal: probing.signal }, events).catch((e: unknown) =>
      deps.log.warn("probing failed", { pod: pod.ref.name, container: name, error: String(e) }),
    );
  };
  return { name, ended, stop, exec, probe };
};

type Hook = { readonly probe: Probe; readonly target: AttemptTarget; readonly signal: AbortSignal; readonly failure: string };

/** Runs a lifecycle hook until it ends or the signal aborts; a failure is told as an Event. */
const hook = async (deps: KubeletDeps, pod: PodRef, { probe, target, signal, failure }: Hook): Promise<boolean> => {
  const seconds = sleepSeconds(probe);
  if (seconds !== undefined) {
    await deps.world.sleep(seconds * 1000, signal).catch(() => {}); // cut short by the end of the grace
    return true;
  }
  const result = await attempt(probe, target, signal);
  if (!result.ok) deps.event(pod, { type: "Warning", reason: failure, message: result.detail });
  return result.ok;
};

const sleepSeconds = (probe: Probe): number | undefined => {
  const sleep: unknown = Reflect.get(probe, "sleep");
  const seconds: unknown = typeof sleep === "object" && sleep !== null ? Reflect.get(sleep, "seconds") : undefined;
  return typeof seconds === "number" ? seconds : undefined;
};

/** Starts the container afresh and records it as running. */
export const runContainer = async (deps: KubeletDeps, pod: RunnerPod, name: string, plan: LaunchPlan): Promise<ContainerRun> => {
  const before = pod.record().containers[name];
  const restarts = before?.ran === true ? before.restarts + 1 : 0;
  const path = logFile(deps.instance.dataDir, pod.ref, { container: name, restart: restarts });
  prepareContainer(plan);
  dropOldLogs(path, restarts);
  const sink = captureOutput(plan.dir, path, deps.world.now);
  let running: Running;
  try {
    running = await startContainer(plan);
  } catch (e) {
    sink.close();
    throw e;
  }
  const startedAt = deps.world.now();
  pod.change(name, {
    state: { t: "running", id: running.id, startedAt },
    last: before?.state.t === "terminated" ? before.state : before?.last,
    restarts,
    ran: true,
    started: false,
    ready: false,
  });
  const run = begin(deps, pod, name, { running, sink, startedAt });
  await enteredRoot(running.id, plan.dir);
  const postStart = pod.object()?.spec.containers.find((c) => c.name === name)?.lifecycle?.postStart;
  const container = pod.object()?.spec.containers.find((c) => c.name === name);
  if (postStart !== undefined && container !== undefined) {
    const target: AttemptTarget = { container, podIP: podIPs(deps, pod.record())[0] ?? "127.0.0.1", exec: run.exec };
    const stop = new AbortController();
    void run.ended.finally(() => stop.abort());
    if (!(await hook(deps, pod.ref, { probe: postStart, target, signal: stop.signal, failure: "FailedPostStartHook" })))
      await run.stop(0, stop.signal);
  }
  return run;
};

/** Takes over a container that an earlier kubelet started; one that has ended meanwhile is recorded so. */
export const takeOverContainer = (deps: KubeletDeps, pod: RunnerPod, name: string, record: ContainerRecord): ContainerRun | undefined => {
  if (record.state.t !== "running") return undefined;
  const running = adoptContainer(record.state.id) ?? {
    id: record.state.id,
    exited: Promise.resolve<Exit>({ code: 137, signal: undefined, known: false, launchError: undefined }),
  };
  const path = logFile(deps.instance.dataDir, pod.ref, { container: name, restart: record.restarts });
  const sink = captureOutput(containerDir(pod.dir, name), path, deps.world.now);
  return begin(deps, pod, name, { running, sink, startedAt: record.state.startedAt });
};
