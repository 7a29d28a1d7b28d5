// How do pods come to be captured, and stay so? (one loop per pod: what is wanted, what is done, the next step)

import type { Namespace } from "@ambit/shared/kube/objects/core.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import type { Reflector } from "@ambit/shared/kube/reflector.ts";
import { aborted } from "@ambit/shared/runtime/run.ts";
import { type EnrolmentPlan, enrolmentText } from "../plan.ts";
import { type Done, remainingSteps } from "../steps.ts";
import type { SnapshotEntry } from "../zds/server.ts";
import { annotationOf, isZtunnels, type Kept, keep, phaseOf, snapshotEntry, uidOf, wantedFor } from "./kept.ts";
import { bringAbout, findNetnsOf, type LoopDeps } from "./loop.ts";

export type AgentDeps = Omit<LoopDeps, "wanted"> & {
  readonly pods: Pick<Reflector<Pod>, "subscribe">;
  readonly namespaces: Pick<Reflector<Namespace>, "subscribe" | "get">;
  readonly excludeNamespaces: readonly string[];
  readonly captureDns: boolean;
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
  /** Takes every pod out again, as far as it can be done until the signal aborts: the node leaves the mesh. */
  release(until: AbortSignal): Promise<void>;
};

type Pods = { readonly kept: Map<string, Kept>; readonly deps: LoopDeps };

const work = async ({ kept, deps }: Pods, k: Kept, stop: AbortSignal): Promise<void> => {
  if (!(await bringAbout(k, deps, stop))) return;
  k.netns?.[Symbol.dispose]();
  k.netns = undefined;
  if (k.deleted) kept.delete(uidOf(k.pod));
};

/** One loop per pod at a time: what changes meanwhile is seen by its next look, and one that waits is woken. */
const schedule = (pods: Pods, k: Kept, stop: AbortSignal): void => {
  k.wake.abort();
  if (k.working !== undefined) return;
  k.working = work(pods, k, stop).finally(() => {
    k.working = undefined;
    // A change may have come between the last look and here.
    const left = pods.kept.has(uidOf(k.pod)) ? remainingSteps(pods.deps.wanted(k), k.done, phaseOf(k.pod)) : [];
    if (!stop.aborted && left.length > 0) schedule(pods, k, stop);
  });
};

const onPod = (pods: Pods, event: { readonly pod: Pod; readonly deleted: boolean }, stop: AbortSignal): void => {
  const known = pods.kept.get(uidOf(event.pod));
  if (known === undefined && event.deleted) return;
  const k = known ?? keep(event.pod);
  k.pod = event.pod;
  k.deleted = event.deleted;
  k.done = { ...k.done, annotation: annotationOf(event.pod) };
  pods.kept.set(uidOf(event.pod), k);
  schedule(pods, k, stop);
};

export const createAgent = (given: AgentDeps): Agent => {
  const kept = new Map<string, Kept>();
  let leaving = false;
  const wanted = (k: Kept): EnrolmentPlan =>
    wantedFor(k, {
      namespace: given.namespaces.get(k.pod.metadata.namespace ?? ""),
      excludeNamespaces: given.excludeNamespaces,
      captureDns: given.captureDns,
      leaving,
    });
  const deps: LoopDeps = { ...given, wanted };
  const pods: Pods = { kept, deps };
  const wakeAll = (): void => {
    for (const k of kept.values()) k.wake.abort();
  };

  return {
    run: async (signal) => {
      const stops = [
        given.pods.subscribe((events) => {
          for (const e of events) onPod(pods, { pod: e.type === "delete" ? e.old : e.object, deleted: e.type === "delete" }, signal);
        }),
        given.namespaces.subscribe((events) => {
          const changed = new Set(events.map((e) => (e.type === "delete" ? e.old : e.object).metadata.name));
          for (const k of kept.values()) if (changed.has(k.pod.metadata.namespace ?? "")) schedule(pods, k, signal);
        }),
      ];
      await aborted(signal);
      for (const unsubscribe of stops) unsubscribe();
      wakeAll();
      await Promise.all([...kept.values()].map((k) => k.working));
    },
    snapshot: () => [...kept.values()].filter((k) => isZtunnels(k, wanted(k))).map((k) => snapshotEntry(k, findNetnsOf(k, deps.actions))),
    wakeAll,
    report: (namespace, name) => {
      const k = [...kept.values()].find((c) => c.pod.metadata.name === name && c.pod.metadata.namespace === namespace);
      if (k === undefined) return undefined;
      const plan = wanted(k);
      return { wanted: plan, text: enrolmentText(plan), done: k.done, lastError: k.lastError };
    },
    captured: () => [...kept.values()].filter((k) => k.done.announced && k.done.rules === "yes").length,
    release: async (until) => {
      leaving = true;
      until.addEventListener("abort", wakeAll, { once: true });
      await Promise.all([...kept.values()].map((k) => work(pods, k, until)));
      until.removeEventListener("abort", wakeAll);
    },
  };
};
