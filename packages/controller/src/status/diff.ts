// Which change makes an object's status say what it should? None when it does already.

import type { ParentReference } from "@ambit/shared/kube/objects/gateway.ts";
import type { Condition, KubeObject } from "@ambit/shared/kube/objects/meta.ts";
import { sameData } from "../collections/equal.ts";
import type { Wanted, WantedStatus } from "../gateway/conditions.ts";
import { ROUTE_CONTROLLER } from "../model/labels.ts";

type Listener = {
  readonly name: string;
  readonly attachedRoutes: number;
  readonly supportedKinds?: unknown;
  readonly conditions?: readonly Condition[];
};
type Parent = { readonly parentRef: ParentReference; readonly controllerName: string; readonly conditions?: readonly Condition[] };
type Status = {
  readonly conditions?: readonly Condition[];
  readonly addresses?: unknown;
  readonly listeners?: readonly Listener[];
  readonly parents?: readonly Parent[];
};
export type WithStatus = KubeObject & { readonly status?: Status };

type Stamp = { readonly generation: number | undefined; readonly now: string };

/** What stays keeps its time; a condition whose status turns gets a new one. */
const stamped = (wanted: Wanted, there: Condition | undefined, { generation, now }: Stamp): Condition => ({
  ...wanted,
  lastTransitionTime: there !== undefined && there.status === wanted.status ? (there.lastTransitionTime ?? now) : now,
  ...(generation === undefined ? {} : { observedGeneration: generation }),
});

/** Other people's conditions keep their place; ours are replaced, added or taken away. */
const mergeConditions = (
  there: readonly Condition[],
  wanted: readonly Wanted[],
  by: Stamp & { readonly owned: readonly string[] },
): readonly Condition[] => {
  const kept = there.filter((c) => !by.owned.includes(c.type) && !wanted.some((w) => w.type === c.type));
  return [
    ...kept,
    ...wanted.map((w) =>
      stamped(
        w,
        there.find((c) => c.type === w.type),
        by,
      ),
    ),
  ];
};

/** In any order: a list of conditions is a map by type. */
const sameConditions = (a: readonly Condition[], b: readonly Condition[]): boolean => {
  const normal = (list: readonly Condition[]) => list.map(withNumber).toSorted((x, y) => (x.type < y.type ? -1 : 1));
  return sameData(normal(a), normal(b));
};
/** Istio's CRDs keep observedGeneration as a text. */
const withNumber = (c: Condition): Condition =>
  c.observedGeneration === undefined ? c : { ...c, observedGeneration: Number(c.observedGeneration) };

const sameRef = (a: ParentReference, b: ParentReference): boolean => sameData(a, b);

const mergeListeners = (there: readonly Listener[], wanted: NonNullable<WantedStatus["listeners"]>, by: Stamp): readonly Listener[] =>
  wanted.map((l) => ({
    name: l.name,
    attachedRoutes: l.attachedRoutes,
    supportedKinds: [],
    conditions: mergeConditions(there.find((t) => t.name === l.name)?.conditions ?? [], l.conditions, { ...by, owned: [] }),
  }));

/** Entries of other controllers stay as they are; ours are exactly those wanted. */
const mergeParents = (there: readonly Parent[], wanted: NonNullable<WantedStatus["parents"]>, by: Stamp): readonly Parent[] => [
  ...there.filter((p) => p.controllerName !== ROUTE_CONTROLLER),
  ...wanted.map((w) => {
    const before = there.find((p) => p.controllerName === ROUTE_CONTROLLER && sameRef(p.parentRef, w.parentRef));
    return {
      parentRef: w.parentRef,
      controllerName: ROUTE_CONTROLLER,
      conditions: mergeConditions(before?.conditions ?? [], w.conditions, { ...by, owned: [] }),
    };
  }),
];

/** The `status` of a merge patch. `now` is RFC 3339. */
export const statusPatch = (object: WithStatus, wanted: WantedStatus, now: string): Readonly<Record<string, unknown>> | undefined => {
  const there = object.status ?? {};
  const by: Stamp = { generation: wanted.generation, now };
  const patch: Record<string, unknown> = {};
  const conditions = mergeConditions(there.conditions ?? [], wanted.conditions, { ...by, owned: wanted.owned });
  if (wanted.parents === undefined && !sameConditions(there.conditions ?? [], conditions)) patch.conditions = conditions;
  if (wanted.addresses !== undefined && !sameData(there.addresses ?? [], wanted.addresses)) patch.addresses = wanted.addresses;
  if (wanted.listeners !== undefined) {
    const listeners = mergeListeners(there.listeners ?? [], wanted.listeners, by);
    if (!sameListeners(there.listeners ?? [], listeners)) patch.listeners = listeners;
  }
  if (wanted.parents !== undefined) {
    const parents = mergeParents(there.parents ?? [], wanted.parents, by);
    if (!sameParents(there.parents ?? [], parents)) patch.parents = parents;
  }
  return Object.keys(patch).length === 0 ? undefined : patch;
};

const sameListeners = (a: readonly Listener[], b: readonly Listener[]): boolean =>
  a.length === b.length &&
  a.every((l, i) => {
    const other = b[i];
    return (
      other !== undefined &&
      l.name === other.name &&
      l.attachedRoutes === other.attachedRoutes &&
      sameConditions(l.conditions ?? [], other.conditions ?? [])
    );
  });

const sameParents = (a: readonly Parent[], b: readonly Parent[]): boolean =>
  a.length === b.length &&
  a.every((p, i) => {
    const other = b[i];
    return (
      other !== undefined &&
      p.controllerName === other.controllerName &&
      sameRef(p.parentRef, other.parentRef) &&
      sameConditions(p.conditions ?? [], other.conditions ?? [])
    );
  });
