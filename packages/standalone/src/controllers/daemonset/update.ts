// Which daemon pods does a node get or lose next, in the steady state and in a rolling update? (pkg/controller/daemon/update.go)

import type { DaemonSet } from "@ambit/shared/kube/objects/apps.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import { scaled } from "../pods/budget.ts";
import { byAge, isAvailable, isTerminal } from "../pods/state.ts";
import { REVISION_HASH } from "./history.ts";

export type NodePods = { readonly node: string; readonly place: "run" | "keep" | "none"; readonly pods: readonly Pod[] };
export type Moves = { readonly create: readonly { node: string; why: string }[]; readonly remove: readonly { pod: Pod; why: string }[] };

type Sorted = { readonly node: string; readonly fresh: Pod | undefined; readonly old: Pod | undefined; readonly ending: boolean };

const isDeleting = (p: Pod): boolean => p.metadata.deletionTimestamp !== undefined;

/** maxSurge and maxUnavailable as counts; the API allows just one of them above zero. */
const budgets = (ds: DaemonSet, wanted: number): { surge: number; unavailable: number } => {
  const rolling = ds.spec.updateStrategy?.rollingUpdate;
  const surge = scaled(rolling?.maxSurge, wanted, "up") ?? 0;
  const unavailable = scaled(rolling?.maxUnavailable ?? (surge > 0 ? 0 : 1), wanted, "up") ?? 0;
  return surge === 0 && unavailable === 0 ? { surge: 0, unavailable: 1 } : { surge, unavailable };
};

export const moves = (ds: DaemonSet, nodes: readonly NodePods[], at: { hash: string; now: number }): Moves => {
  const create: { node: string; why: string }[] = [];
  const remove: { pod: Pod; why: string }[] = [];
  const minReady = ds.spec.minReadySeconds ?? 0;
  const wanted = nodes.filter((n) => n.place === "run").length;
  const { surge, unavailable } = budgets(ds, wanted);
  const sorted: Sorted[] = [];
  for (const { node, place, pods } of nodes) {
    const living = pods.filter((p) => !isDeleting(p) && !isTerminal(p));
    for (const pod of pods) if (isTerminal(pod) && !isDeleting(pod)) remove.push({ pod, why: `ended as ${pod.status?.phase}` });
    if (place === "none") {
      remove.push(...living.map((pod) => ({ pod, why: `${node} shall not run it` })));
      continue;
    }
    const [fresh, ...moreFresh] = byAge(living.filter((p) => p.metadata.labels?.[REVISION_HASH] === at.hash));
    const [old, ...moreOld] = byAge(living.filter((p) => p.metadata.labels?.[REVISION_HASH] !== at.hash));
    remove.push(...[...moreFresh, ...moreOld].map((pod) => ({ pod, why: `${node} runs more than one` })));
    // Without surge a second pod is an accident: the older one stays, and the update replaces it in its turn.
    if (surge === 0 && fresh !== undefined && old !== undefined) remove.push({ pod: fresh, why: `${node} runs more than one` });
    const ending = pods.some(isDeleting) || pods.length > living.length;
    if (living.length === 0 && place === "run" && !(ending && surge === 0)) create.push({ node, why: `${node} runs none` });
    if (place === "run" || living.length > 0)
      sorted.push({ node, fresh: surge === 0 && old !== undefined ? undefined : fresh, old, ending });
  }
  if (ds.spec.updateStrategy?.type !== "OnDelete") {
    const available = (p: Pod | undefined): boolean => p !== undefined && isAvailable(p, minReady, at.now);
    if (surge > 0) create.push(...surging(sorted, { surge, available, remove }));
    else remove.push(...replacing(sorted, { unavailable, available }));
  }
  return { create, remove };
};

type Budget = { readonly available: (p: Pod | undefined) => boolean };

/** maxUnavailable: old pods that do not work go at once, working ones as the budget allows; their nodes get new ones next. */
const replacing = (nodes: readonly Sorted[], { unavailable, available }: Budget & { unavailable: number }): { pod: Pod; why: string }[] => {
  const broken = nodes.flatMap((n) => (n.old !== undefined && !available(n.old) ? [n.old] : []));
  const working = nodes.flatMap((n) => (n.old !== undefined && available(n.old) ? [n.old] : []));
  const down = nodes.filter((n) => !available(n.old) && !available(n.fresh)).length;
  return [
    ...broken.map((pod) => ({ pod, why: "of an old revision, and not available" })),
    ...working.slice(0, Math.max(0, unavailable - down)).map((pod) => ({ pod, why: "of an old revision" })),
  ];
};

/** maxSurge: a new pod comes up beside the old one, which goes when the new one is available. */
const surging = (
  nodes: readonly Sorted[],
  { surge, available, remove }: Budget & { surge: number; remove: { pod: Pod; why: string }[] },
): { node: string; why: string }[] => {
  const create: { node: string; why: string }[] = [];
  const candidates: string[] = [];
  let surging = 0;
  for (const n of nodes) {
    if (n.old === undefined) continue;
    if (n.fresh !== undefined) {
      if (available(n.fresh)) remove.push({ pod: n.old, why: "its successor is available" });
      else surging++;
    } else if (!available(n.old)) create.push({ node: n.node, why: "the old pod is not available" });
    else candidates.push(n.node);
  }
  const room = Math.max(0, surge - surging);
  return [...create, ...candidates.slice(0, room).map((node) => ({ node, why: "a newer revision beside the old one" }))];
};
