// What must happen to an object because of its owners, and to its dependents before it may go? (pkg/controller/garbagecollector)

import type { KubeObject, OwnerReference } from "@ambit/shared/kube/objects/meta.ts";
import type { Action } from "../engine/plan.ts";
import type { Graph, Held } from "./graph.ts";

export const FOREGROUND = "foregroundDeletion";
export const ORPHAN = "orphan";

export type OwnerState = "solid" | "waiting" | "absent";

const isDeleting = (o: KubeObject): boolean => o.metadata.deletionTimestamp !== undefined;
const has = (o: KubeObject, finalizer: string): boolean => o.metadata.finalizers?.includes(finalizer) === true;

const without = (held: Held, finalizer: string): Action => {
  const finalizers = held.object.metadata.finalizers?.filter((f) => f !== finalizer) ?? [];
  return {
    do: "update",
    resource: held.resource,
    object: { ...held.object, metadata: { ...held.object.metadata, finalizers } },
    why: `${finalizer} is done`,
  };
};

/** References whose owner we do not hold: only these need asking the server before anything is deleted. */
export const doubtful = (held: Held, graph: Graph): readonly OwnerReference[] =>
  isDeleting(held.object) ? [] : (held.object.metadata.ownerReferences ?? []).filter((o) => graph.byUid(o.uid) === undefined);

/** `absent` names the owner uids that the server itself says are gone. */
export const collect = (held: Held, graph: Graph, absent: ReadonlySet<string>): Action[] => {
  if (isDeleting(held.object)) return releasing(held, graph);
  const references = held.object.metadata.ownerReferences ?? [];
  if (references.length === 0) return [];
  const state = (o: OwnerReference): OwnerState => {
    if (absent.has(o.uid)) return "absent";
    const owner = graph.byUid(o.uid)?.object;
    return owner !== undefined && isDeleting(owner) && has(owner, FOREGROUND) ? "waiting" : "solid";
  };
  const solid = references.filter((o) => state(o) === "solid");
  const waiting = references.filter((o) => state(o) === "waiting");
  const gone = references.filter((o) => state(o) === "absent");
  if (solid.length > 0) {
    if (gone.length + waiting.length === 0) return [];
    const object = { ...held.object, metadata: { ...held.object.metadata, ownerReferences: solid } };
    return [
      {
        do: "update",
        resource: held.resource,
        object,
        why: `owner ${[...gone, ...waiting].map((o) => o.name).join(", ")} is gone, others remain`,
      },
    ];
  }
  const policy = waiting.length > 0 && graph.dependents(held.object.metadata.uid ?? "").length > 0 ? "Foreground" : policyOf(held.object);
  const why = `its owner ${references.map((o) => `${o.kind} ${o.name}`).join(", ")} ${waiting.length > 0 ? "waits for it to go" : "is gone"}`;
  return [{ do: "delete", resource: held.resource, object: held.object, opts: { propagationPolicy: policy }, why }];
};

const policyOf = (o: KubeObject): "Foreground" | "Orphan" | "Background" =>
  has(o, ORPHAN) ? "Orphan" : has(o, FOREGROUND) ? "Foreground" : "Background";

/** An object being deleted with "orphan" first frees its dependents; with "foregroundDeletion" it waits until those that block it are gone. */
const releasing = (held: Held, graph: Graph): Action[] => {
  const uid = held.object.metadata.uid ?? "";
  const dependents = graph.dependents(uid);
  if (has(held.object, ORPHAN)) {
    const freed = dependents.map((d): Action => {
      const ownerReferences = d.object.metadata.ownerReferences?.filter((o) => o.uid !== uid) ?? [];
      return {
        do: "update",
        resource: d.resource,
        object: { ...d.object, metadata: { ...d.object.metadata, ownerReferences } },
        why: `orphaned by ${held.object.metadata.name}`,
      };
    });
    return [...freed, without(held, ORPHAN)];
  }
  if (!has(held.object, FOREGROUND)) return [];
  const blocking = dependents.filter(
    (d) => d.object.metadata.ownerReferences?.some((o) => o.uid === uid && o.blockOwnerDeletion === true) === true,
  );
  return blocking.length === 0 ? [without(held, FOREGROUND)] : [];
};
