// How do pods come to be captured, and stay so? (one loop per pod: what is wanted, what is done, the next step)

import type { KubeClient } from "@ambit/shared/kube/client.ts";
import { isNotFound } from "@ambit/shared/kube/error.ts";
import type { Namespace } from "@ambit/shared/kube/objects/core.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import type { Reflector } from "@ambit/shared/kube/reflector.ts";
import type { Netns } from "@ambit/shared/linux/netns.ts";
import { backoffMs } from "@ambit/shared/runtime/backoff.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { ScopedLogger } from "@ambit/shared/telemetry/log.ts";
import { findNetns } from "../netns/scan.ts";
import { type EnrolmentPlan, enrolmentText, planEnrolment, podAddresses, REDIRECTION } from "../plan.ts";
import { type Done, remainingSteps, type Step } from "../steps.ts";
import type { SnapshotEntry, ZdsServer } from "../zds/server.ts";
import { annotate, changeProbes, deleteRules, podInfo, writeRules } from "./actions.ts";

export type AgentDeps = {
  readonly client: KubeClient;
  readonly pods: Reflector<Pod>;
  readonly namespaces: Reflector<Namespace>;
  readonly procRoot: string;
  readonly excludeNamespaces: readonly string[];
  readonly zds: () => ZdsServer;
  readonly world: World;
  readonly log: ScopedLogger;
  /** For the metric of reconcile events. */
  readonly onStep: (step: Step, outcome: "ok" | "error") => void;
};

/** What is kept for one pod, by uid. */
type Kept = {
  pod: Pod;
  deleted: boolean;
  done: Done;
  netns: Netns | undefined;
  lastError: string | undefined;
  wake: AbortController;
  working: Promise<void> | undefined;
};

export type PodReport = {
  readonly wanted: EnrolmentPlan;
  readonly text: string;
  readonly done: Done;
  readonly lastError: string | undefined;
};

export type Agent = {
  /** Follows pods and namespaces until the signal aborts; resolves when every step under way has ended. */
  run(signal: AbortSignal): Promise<void>;
  /** The pods ztunnel must have: those announced, and those whose rules already send their traffic to it. */
  snapshot(): readonly SnapshotEntry[];
  /** A ztunnel came: what failed for want of one is tried now. */
  wakeAll(): void;
  report(namespace: string, name: string): PodReport | undefined;
  captured(): number;
  /** Takes every pod out again: the node leaves the mesh. */
  release(): Promise<void>;
};

const RETRY = { baseMs: 50, maxMs: 5_000 };

const annotationOf = (pod: Pod): Done["annotation"] => {
  const value = pod.metadata.annotations?.[REDIRECTION];
  return value === "enabled" || value === "pending" ? value : undefined;
};

const isServing = (pod: Pod): boolean => pod.status?.conditions?.some((c) => c.type === "Ready" && c.status === "True") === true;

export const createAgent = (deps: AgentDeps): Agent => {
  const kept = new Map<string, Kept>();
  let leaving = false;

  const wanted = (k: Kept): EnrolmentPlan => {
    if (k.deleted) return { kind: "forget", why: "deleted" };
    const plan = planEnrolment({
      pod: k.pod,
      namespace: deps.namespaces.get(k.pod.metadata.namespace ?? ""),
      excludeNamespaces: deps.excludeNamespaces,
    });
    return leaving && plan.kind === "enrol" ? { kind: "leave", why: "not-labelled" } : plan;
  };

  const findNetnsOf = (k: Kept): Netns | undefined => {
    const uid = k.pod.metadata.uid ?? "";
    k.netns ??= findNetns(deps.procRoot, [{ uid, addresses: podAddresses(k.pod) }]).get(uid);
    return k.netns;
  };
  const netnsOf = (k: Kept): Netns => {
    const netns = findNetnsOf(k);
    if (netns === undefined) throw new Error("no process of the pod runs yet in a namespace that has its address");
    return netns;
  };

  const perform = async (k: Kept, step: Step, plan: EnrolmentPlan): Promise<Partial<Done>> => {
    const uid = k.pod.metadata.uid ?? "";
    switch (step) {
      case "write-rules":
        await writeRules(netnsOf(k), k.pod, plan.kind === "enrol" ? plan.options : { bypassInbound: false });
        return { rules: "yes" };
      case "delete-rules":
        await deleteRules(netnsOf(k), k.pod);
        return { rules: "no" };
      case "announce":
        await deps.zds().add(uid, podInfo(k.pod), netnsOf(k).fd);
        return { announced: true };
      case "withdraw":
        await deps.zds().del(uid);
        return { announced: false };
      case "add-probes":
        await changeProbes("add", k.pod);
        return { probes: true };
      case "delete-probes":
        await changeProbes("destroy", k.pod);
        return { probes: false };
      case "annotate-enabled":
        await annotate(deps.client, k.pod, "enabled");
        return { annotation: "enabled" };
      case "delete-annotation":
        await annotate(deps.client, k.pod, undefined);
        return { annotation: undefined };
    }
  };

  const forget = (k: Kept): void => {
    k.netns?.[Symbol.dispose]();
    k.netns = undefined;
    if (k.deleted) kept.delete(k.pod.metadata.uid ?? "");
  };

  const fail = async (k: Kept, step: Step, { error, attempt }: { readonly error: unknown; readonly attempt: number }): Promise<void> => {
    const sentence = error instanceof Error ? error.message : String(error);
    if (k.lastError !== sentence) deps.log.warn("pod not in its wanted state yet", { pod: keyOf(k.pod), step, error: sentence });
    k.lastError = sentence;
    // A pod that was captured stays marked so: its rules hold, and ztunnel is told of it by the next snapshot.
    if (step === "announce" && k.done.annotation === undefined) {
      await annotate(deps.client, k.pod, "pending").then(
        () => {
          k.done = { ...k.done, annotation: "pending" };
        },
        (e: unknown) => deps.log.debug("the pending annotation was not written", { pod: keyOf(k.pod), error: String(e) }),
      );
    }
    k.wake = new AbortController();
    await deps.world.sleep(backoffMs(attempt, deps.world.random, RETRY), k.wake.signal).catch(() => undefined); // woken early: something changed
  };

  const work = async (k: Kept, stop: AbortSignal): Promise<void> => {
    for (let attempt = 0; !stop.aborted; ) {
      const plan = wanted(k);
      const [step] = remainingSteps(plan, k.done, isServing(k.pod));
      if (step === undefined) {
        if (plan.kind !== "enrol") forget(k);
        return;
      }
      try {
        const change = await perform(k, step, plan);
        k.done = { ...k.done, ...change };
        k.lastError = undefined;
        attempt = 0;
        deps.onStep(step, "ok");
        if (step === "annotate-enabled" || step === "delete-annotation") deps.log.info(enrolmentText(plan), { pod: keyOf(k.pod) });
      } catch (error) {
        if (isNotFound(error)) {
          // Only annotating asks the API server: the pod is gone, and its deletion is on its way through the watch.
          k.done = { ...k.done, annotation: plan.kind === "enrol" ? "enabled" : undefined };
          continue;
        }
        deps.onStep(step, "error");
        await fail(k, step, { error, attempt: attempt++ });
      }
    }
  };

  const schedule = (k: Kept, stop: AbortSignal): void => {
    k.wake.abort();
    if (k.working !== undefined) return;
    k.working = work(k, stop).finally(() => {
      k.working = undefined;
      // A change may have come between the last look and here.
      if (!stop.aborted && kept.has(k.pod.metadata.uid ?? "") && remainingSteps(wanted(k), k.done, isServing(k.pod)).length > 0)
        schedule(k, stop);
    });
  };

  const onPod = (pod: Pod, deleted: boolean, stop: AbortSignal): void => {
    const uid = pod.metadata.uid ?? "";
    const annotation = annotationOf(pod);
    const known = kept.get(uid);
    if (known === undefined && deleted) return;
    const k: Kept = known ?? {
      pod,
      deleted,
      // Captured by an agent before us: the rules are there but may be of another version.
      done: { rules: annotation === undefined ? "no" : "stale", announced: false, probes: false, annotation },
      netns: undefined,
      lastError: undefined,
      wake: new AbortController(),
      working: undefined,
    };
    k.pod = pod;
    k.deleted = deleted;
    k.done = { ...k.done, annotation };
    kept.set(uid, k);
    schedule(k, stop);
  };

  return {
    run: async (signal) => {
      const stops = [
        deps.pods.subscribe((events) => {
          for (const e of events) onPod(e.type === "delete" ? e.old : e.object, e.type === "delete", signal);
        }),
        deps.namespaces.subscribe((events) => {
          const changed = new Set(events.map((e) => (e.type === "delete" ? e.old : e.object).metadata.name));
          for (const k of kept.values()) if (changed.has(k.pod.metadata.namespace ?? "")) schedule(k, signal);
        }),
      ];
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      for (const unsubscribe of stops) unsubscribe();
      for (const k of kept.values()) k.wake.abort();
      await Promise.all([...kept.values()].map((k) => k.working));
    },
    snapshot: () =>
      [...kept.values()].flatMap((k) => {
        if (wanted(k).kind !== "enrol" || (k.done.rules === "no" && !k.done.announced)) return [];
        return [{ uid: k.pod.metadata.uid ?? "", info: podInfo(k.pod), netns: findNetnsOf(k)?.fd }];
      }),
    wakeAll: () => {
      for (const k of kept.values()) k.wake.abort();
    },
    report: (namespace, name) => {
      const k = [...kept.values()].find((c) => c.pod.metadata.name === name && c.pod.metadata.namespace === namespace);
      if (k === undefined) return undefined;
      const plan = wanted(k);
      return { wanted: plan, text: enrolmentText(plan), done: k.done, lastError: k.lastError };
    },
    captured: () => [...kept.values()].filter((k) => k.done.announced && k.done.rules === "yes").length,
    release: async () => {
      leaving = true;
      const never = new AbortController().signal;
      await Promise.all([...kept.values()].map((k) => work(k, never)));
    },
  };
};

const keyOf = (pod: Pod): string => `${pod.metadata.namespace}/${pod.metadata.name}`;
