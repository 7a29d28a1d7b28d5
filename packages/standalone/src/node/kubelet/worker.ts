// What brings one pod from its spec to running containers, and from its deletion to nothing?

import { rmSync } from "node:fs";
import { join } from "node:path";
import { isConflict } from "@ambit/shared/kube/error.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import { createCgroup, destroyCgroup } from "../container/cgroup.ts";
import { type PodRef, podLogDir } from "../container/logs.ts";
import { nodeRunDir, podCgroup, podNetns } from "../instance.ts";
import { createPodNetwork, netnsExists, removePodNetwork } from "../network/run.ts";
import { allContainers, type PodPlan, planPod, roleOf } from "../pod/plan.ts";
import { type ContainerRecord, containerOf, type PodRecord, withContainer } from "../pod/record.ts";
import { podStatus } from "../pod/status.ts";
import { refersTo, tokensOf } from "../pod/volumes.ts";
import type { KubeletDeps } from "./deps.ts";
import type { ExecTarget } from "./exec.ts";
import { createWorkLoop } from "./loop.ts";
import type { RecordStore } from "./records.ts";
import { type ContainerRun, type RunnerPod, runContainer, takeOverContainer } from "./runner.ts";
import { launchPlan, placeOf, podIPs, type Sandbox, writeEtc } from "./sandbox.ts";
import { confirmDeletion, createStatusWriter } from "./status-writer.ts";
import { createPodTokens } from "./tokens.ts";
import { prepareVolumes, unmountBelow } from "./volumes.ts";

const CLEANUP_MS = 10_000;
const VOLUME_RETRY_MS = 1_000;

export type PodWorker = {
  readonly ref: PodRef;
  /** The newest API object. */
  update(pod: Pod): void;
  /** The object is gone from the API: end everything now. */
  removed(): void;
  /** A ConfigMap or Secret of the pod's namespace changed. */
  changed(kind: "configMap" | "secret", name: string): void;
  object(): Pod | undefined;
  record(): PodRecord;
  exec(container: string): ExecTarget | undefined;
  /** Resolves when the container's present run has ended; undefined when it does not run. */
  ended(container: string): Promise<void> | undefined;
  /** Resolves with whatever is left of the pod gone from this machine. */
  readonly gone: Promise<void>;
  /** Stops working on the pod and leaves its containers running: the kubelet goes, the pod stays. */
  leave(): Promise<void>;
};

export type WorkerInit = { readonly deps: KubeletDeps; readonly records: RecordStore; readonly record: PodRecord; readonly fresh: boolean };

export const createPodWorker = ({ deps, records, record: initial, fresh }: WorkerInit): PodWorker => {
  const ref: PodRef = { namespace: initial.namespace, name: initial.name, uid: initial.uid };
  const dir = records.dir(ref.uid);
  const runs = new Map<string, ContainerRun>();
  const gone = Promise.withResolvers<void>();
  const cutShort = new AbortController();
  const status = createStatusWriter(deps, ref);
  let record = initial;
  let object: Pod | undefined;
  let ending = false;
  let networked = !fresh && (initial.number === undefined || netnsExists(podNetns(deps.instance.id, initial.uid)));
  let sandbox: Sandbox | undefined;
  let lastRefusal = "";
  const tokens = { current: undefined as ReturnType<typeof createPodTokens> | undefined };

  const save = (next: PodRecord): void => {
    record = next;
    records.save(record);
  };
  const refuse = (name: string, reason: string, message: string): void => {
    const c = containerOf(record, name);
    if (c.state.t === "waiting" && c.state.reason === reason && c.state.message === message) return;
    const last = c.state.t === "terminated" ? c.state : c.last;
    save(withContainer(record, name, { state: { t: "waiting", reason, message }, last }));
  };
  const tell = (type: "Normal" | "Warning", reason: string, message: string): void => deps.event(ref, { type, reason, message });

  const runnerPod: RunnerPod = {
    ref,
    dir,
    object: () => object,
    record: () => record,
    change: (name: string, change: Partial<ContainerRecord>) => {
      save(withContainer(record, name, change));
      loop.kick();
    },
  };

  const follow = (run: ContainerRun): void => {
    runs.set(run.name, run);
    run.ended
      .then(() => {
        if (runs.get(run.name) === run) runs.delete(run.name);
        loop.kick();
      })
      .catch((e: unknown) => deps.log.warn("container not cleaned up", { pod: ref.name, container: run.name, error: String(e) }));
  };

  const publish = (pod: Pod, plan: PodPlan): void => {
    status.write(
      podStatus(pod, {
        record,
        plan,
        podIPs: networked ? podIPs(deps, record) : [],
        hostIPs: deps.node.ips,
        now: deps.world.now(),
        terminating: ending,
      }),
    );
  };

  const prepare = async (pod: Pod): Promise<Sandbox | undefined> => {
    if (!networked && record.number !== undefined)
      await createPodNetwork(deps.instance.id, { uid: ref.uid, node: deps.node.number, number: record.number });
    networked = true;
    createCgroup(podCgroup(deps.instance, deps.node.name, ref.uid));
    tokens.current ??= createPodTokens(deps, ref, pod.spec.serviceAccountName ?? "default");
    const held = await tokens.current.get((pod.spec.volumes ?? []).flatMap(tokensOf));
    const context = { pod, place: placeOf(deps, record), capacity: deps.node.capacity, lookups: deps.lookups(ref.namespace), tokens: held };
    const volumes = await prepareVolumes(pod, { dir: join(dir, "volumes"), nodeRun: nodeRunDir(deps.instance, deps.node.name) }, context);
    const renewAt = tokens.current.renewAt();
    if (renewAt !== undefined) loop.kickAt(renewAt);
    if (volumes.ok) return { dir, etc: sandbox?.etc ?? writeEtc(deps, pod, { dir, record }), volumes: volumes.value };
    if (volumes.error !== lastRefusal) tell("Warning", "FailedMount", volumes.error);
    lastRefusal = volumes.error;
    loop.kickAt(deps.world.now() + VOLUME_RETRY_MS);
    return sandbox; // a volume that cannot be brought up to date keeps its last content
  };

  const start = async (pod: Pod, name: string): Promise<void> => {
    const container = allContainers(pod.spec).find((c) => c.name === name);
    if (container === undefined || sandbox === undefined) return;
    const plan = launchPlan(deps, pod, { container, record, sandbox });
    if (!plan.ok) {
      refuse(name, plan.error.reason, plan.error.message);
      if (lastRefusal !== plan.error.message) tell("Warning", "Failed", plan.error.message);
      lastRefusal = plan.error.message;
      loop.kickAt(deps.world.now() + VOLUME_RETRY_MS);
      return;
    }
    follow(await runContainer(deps, runnerPod, name, plan.value));
    tell("Normal", "Started", `Started container ${name}`);
  };

  const stopAll = async (graceMs: number): Promise<void> => {
    const role = (name: string): string => (object === undefined ? "app" : roleOf(object.spec, name));
    const of = (sidecars: boolean): readonly ContainerRun[] => [...runs.values()].filter((r) => (role(r.name) === "sidecar") === sidecars);
    const endAt = deps.world.now() + graceMs;
    await Promise.all(of(false).map((r) => r.stop(graceMs, cutShort.signal)));
    // Sidecars serve the others to their end; the last started goes first.
    for (const r of of(true).toReversed()) await r.stop(Math.max(2_000, endAt - deps.world.now()), cutShort.signal);
  };

  /** Takes away everything but the logs and the record. */
  const dismantle = async (): Promise<void> => {
    await destroyCgroup(podCgroup(deps.instance, deps.node.name, ref.uid), AbortSignal.timeout(CLEANUP_MS));
    await unmountBelow(dir);
    if (record.number !== undefined) await removePodNetwork(deps.instance.id, { uid: ref.uid, node: deps.node.number });
    for (const part of ["volumes", "containers", "etc"]) rmSync(join(dir, part), { recursive: true, force: true });
    networked = false;
    sandbox = undefined;
  };

  const terminate = async (): Promise<void> => {
    const graceMs = cutShort.signal.aborted ? 0 : 1000 * (object?.metadata.deletionGracePeriodSeconds ?? record.graceSeconds);
    if (object !== undefined) publish(object, planPod(object.spec, record, deps.world.now()));
    if (runs.size > 0)
      tell("Normal", "Killing", `Stopping ${runs.size === 1 ? `container ${[...runs.keys()][0]}` : `${runs.size} containers`}`);
    await stopAll(graceMs);
    const ips = podIPs(deps, record);
    await dismantle();
    rmSync(podLogDir(deps.instance.dataDir, ref), { recursive: true, force: true });
    records.forget(ref.uid); // a kubelet that starts now finds the deleted object and confirms its deletion
    if (object !== undefined && !cutShort.signal.aborted) await confirm(object, ips);
    status.stop();
    void loop.stop();
    gone.resolve();
  };

  const confirm = async (pod: Pod, ips: readonly string[]): Promise<void> => {
    const plan: PodPlan = { kind: "ended", phase: allSucceeded(pod, record) ? "Succeeded" : "Failed", stop: [] };
    status.write(podStatus(pod, { record, plan, podIPs: ips, hostIPs: deps.node.ips, now: deps.world.now(), terminating: true }));
    await Promise.race([status.close(), abortedOnce(cutShort.signal)]);
    try {
      await confirmDeletion(deps, ref);
    } catch (e) {
      if (!isConflict(e)) throw e; // another pod has its name by now: this one is gone
    }
  };

  const sync = async (): Promise<void> => {
    if (ending) return terminate();
    const pod = object;
    if (pod === undefined) return; // adopted, and the API has not said yet what is wanted
    if (pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed") {
      if (runs.size > 0 || networked) {
        await stopAll(1000 * record.graceSeconds);
        await dismantle();
      }
      return;
    }
    const now = deps.world.now();
    const before = planPod(pod.spec, record, now);
    if (before.kind === "ended") {
      await stopAll(1000 * record.graceSeconds);
      publish(pod, planPod(pod.spec, record, now));
      await status.close();
      return;
    }
    publish(pod, before);
    sandbox = (await prepare(pod)) ?? sandbox;
    for (const name of sandbox === undefined ? [] : before.start) {
      if (ending || cutShort.signal.aborted) return loop.kick();
      if (!runs.has(name)) await start(pod, name);
    }
    for (const run of runs.values()) run.probe();
    const after = planPod(pod.spec, record, deps.world.now());
    if (after.kind === "run" && after.wakeAt !== undefined) loop.kickAt(after.wakeAt);
    publish(pod, after);
  };

  const loop = createWorkLoop(deps.world, sync, (e) => {
    const message = e instanceof Error ? e.message : String(e);
    deps.log.warn("pod not brought up to date", { pod: `${ref.namespace}/${ref.name}`, error: message });
    if (message !== lastRefusal) tell("Warning", "FailedCreatePodSandBox", message);
    lastRefusal = message;
  });

  if (!fresh)
    for (const [name, c] of Object.entries(record.containers)) {
      const run = takeOverContainer(deps, runnerPod, name, c);
      if (run !== undefined) follow(run);
    }

  return {
    ref,
    gone: gone.promise,
    update: (pod) => {
      const shorter = pod.metadata.deletionGracePeriodSeconds === 0 && object?.metadata.deletionGracePeriodSeconds !== 0;
      object = pod;
      if (pod.metadata.deletionTimestamp !== undefined) {
        ending = true;
        if (shorter) for (const run of runs.values()) void run.stop(0, cutShort.signal).catch(() => {}); // the loop's own stop reports it
      }
      loop.kick();
    },
    removed: () => {
      ending = true;
      cutShort.abort();
      loop.kick();
    },
    changed: (kind, name) => {
      const inEnv = JSON.stringify(allContainers(object?.spec ?? { containers: [] }).map((c) => [c.env, c.envFrom])).includes(`"${name}"`);
      if (inEnv || object?.spec.volumes?.some((v) => refersTo(v, kind, name)) === true) loop.kick();
    },
    object: () => object,
    record: () => record,
    exec: (container) => runs.get(container)?.exec(),
    ended: (container) => runs.get(container)?.ended,
    leave: async () => {
      await loop.stop();
      status.stop();
    },
  };
};

const allSucceeded = (pod: Pod, record: PodRecord): boolean =>
  pod.spec.containers.every(({ name }) => {
    const { state } = containerOf(record, name);
    return state.t === "terminated" && state.exitCode === 0;
  });

const abortedOnce = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
