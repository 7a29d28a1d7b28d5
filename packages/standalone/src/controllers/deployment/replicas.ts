// How many pods shall each ReplicaSet of a Deployment have next? (k8s.io/kubernetes/pkg/controller/deployment: rolling.go, sync.go)

import type { Deployment, ReplicaSet } from "@ambit/shared/kube/objects/apps.ts";
import { fenceposts } from "../pods/budget.ts";
import { byAge } from "../pods/state.ts";

export const DESIRED = "deployment.kubernetes.io/desired-replicas";
export const MAX = "deployment.kubernetes.io/max-replicas";

/** A ReplicaSet's wanted size; those not named keep theirs. */
export type Sizes = ReadonlyMap<ReplicaSet, number>;
export type Family = { readonly deployment: Deployment; readonly fresh: ReplicaSet | undefined; readonly old: readonly ReplicaSet[] };

export const sizeOf = (rs: ReplicaSet): number => rs.spec.replicas ?? 1;
const total = (sets: readonly ReplicaSet[], of: (rs: ReplicaSet) => number): number => sets.reduce((n, rs) => n + of(rs), 0);
const available = (rs: ReplicaSet): number => rs.status?.availableReplicas ?? 0;
export const wantedOf = (d: Deployment): number => d.spec.replicas ?? 1;
const isRecreate = (d: Deployment): boolean => d.spec.strategy?.type === "Recreate";

export const limits = (d: Deployment): { surge: number; unavailable: number; max: number } => {
  if (isRecreate(d)) return { surge: 0, unavailable: 0, max: wantedOf(d) };
  const { surge, unavailable } = fenceposts(d.spec.strategy?.rollingUpdate, wantedOf(d));
  return { surge, unavailable, max: wantedOf(d) + surge };
};

/** The size of the new ReplicaSet, existing or about to be created. */
export const freshSize = ({ deployment, fresh, old }: Family): number => {
  const wanted = wantedOf(deployment);
  const now = fresh === undefined ? 0 : sizeOf(fresh);
  if (now >= wanted) return wanted;
  if (isRecreate(deployment)) return wanted;
  const room = limits(deployment).max - total(old, sizeOf) - now;
  return room <= 0 ? now : now + Math.min(room, wanted - now);
};

/** The old ReplicaSets' sizes: first those pods that never became available, then as many as minimum availability allows. */
export const oldSizes = ({ deployment, fresh, old }: Family): Sizes => {
  const sizes = new Map<ReplicaSet, number>();
  if (isRecreate(deployment)) {
    for (const rs of old) if (sizeOf(rs) > 0) sizes.set(rs, 0);
    return sizes;
  }
  const all = fresh === undefined ? old : [...old, fresh];
  const minAvailable = wantedOf(deployment) - limits(deployment).unavailable;
  const freshUnavailable = fresh === undefined ? 0 : sizeOf(fresh) - available(fresh);
  let unhealthy = total(all, sizeOf) - minAvailable - freshUnavailable;
  if (unhealthy <= 0) return sizes;
  for (const rs of byAge(old)) {
    const cut = Math.min(unhealthy, sizeOf(rs) - available(rs));
    if (cut <= 0) continue;
    sizes.set(rs, sizeOf(rs) - cut);
    unhealthy -= cut;
  }
  let healthy = total(all, available) - minAvailable;
  for (const rs of byAge(old)) {
    const size = sizes.get(rs) ?? sizeOf(rs);
    const cut = Math.min(healthy, size);
    if (cut <= 0) continue;
    sizes.set(rs, size - cut);
    healthy -= cut;
  }
  return sizes;
};

/** True when spec.replicas changed since the ReplicaSets were last sized: they are resized before a rollout goes on. */
export const isResize = ({ deployment, fresh, old }: Family): boolean =>
  [...old, ...(fresh === undefined ? [] : [fresh])].some((rs) => {
    const desired = rs.metadata.annotations?.[DESIRED];
    return sizeOf(rs) > 0 && desired !== undefined && Number(desired) !== wantedOf(deployment);
  });

/** The sizes after spec.replicas changed, or for a paused Deployment: one active set takes it all, several share in proportion. */
export const resized = ({ deployment, fresh, old }: Family): Sizes => {
  const sizes = new Map<ReplicaSet, number>();
  const all = fresh === undefined ? old : [...old, fresh];
  const active = all.filter((rs) => sizeOf(rs) > 0);
  const wanted = wantedOf(deployment);
  if (active.length <= 1) {
    const only = active[0] ?? fresh ?? byAge(all).at(-1);
    if (only !== undefined && sizeOf(only) !== wanted) sizes.set(only, wanted);
    return sizes;
  }
  if (fresh !== undefined && sizeOf(fresh) === wanted && available(fresh) >= wanted) {
    for (const rs of old) if (sizeOf(rs) > 0) sizes.set(rs, 0);
    return sizes;
  }
  if (isRecreate(deployment)) return sizes;
  const target = wanted > 0 ? limits(deployment).max : 0;
  const sum = total(active, sizeOf);
  // Largest first (ties: the newest); the first takes what rounding leaves over.
  const ordered = byAge(active)
    .reverse()
    .sort((a, b) => sizeOf(b) - sizeOf(a));
  let left = target - sum;
  for (const rs of ordered) {
    const share = Math.round((sizeOf(rs) * target) / sum) - sizeOf(rs);
    const change = left > 0 ? Math.max(0, Math.min(share, left)) : Math.min(0, Math.max(share, left));
    sizes.set(rs, sizeOf(rs) + change);
    left -= change;
  }
  const first = ordered[0];
  if (first !== undefined) sizes.set(first, Math.max(0, (sizes.get(first) ?? 0) + left));
  return sizes;
};
