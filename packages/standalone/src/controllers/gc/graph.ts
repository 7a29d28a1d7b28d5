// Who owns whom, over all kinds?

import type { KubeObject, OwnerReference } from "@ambit/shared/kube/objects/meta.ts";
import type { Resource } from "@ambit/shared/kube/resources.ts";

export type Held = { readonly resource: Resource; readonly object: KubeObject };

export type Graph = {
  set(resource: Resource, object: KubeObject): void;
  remove(resource: Resource, object: KubeObject): void;
  byUid(uid: string): Held | undefined;
  dependents(ownerUid: string): readonly Held[];
  in(namespace: string): readonly Held[];
};

export const createGraph = (): Graph => {
  const objects = new Map<string, Held>();
  const dependents = new Map<string, Map<string, Held>>();
  const owners = (o: KubeObject): readonly OwnerReference[] => o.metadata.ownerReferences ?? [];
  const unlink = (held: Held): void => {
    for (const o of owners(held.object)) {
      const set = dependents.get(o.uid);
      set?.delete(held.object.metadata.uid ?? "");
      if (set?.size === 0) dependents.delete(o.uid);
    }
  };
  return {
    set: (resource, object) => {
      const uid = object.metadata.uid ?? "";
      const before = objects.get(uid);
      if (before !== undefined) unlink(before);
      const held = { resource, object };
      objects.set(uid, held);
      for (const o of owners(object)) {
        const set = dependents.get(o.uid) ?? new Map<string, Held>();
        set.set(uid, held);
        dependents.set(o.uid, set);
      }
    },
    remove: (_resource, object) => {
      const before = objects.get(object.metadata.uid ?? "");
      if (before === undefined) return;
      unlink(before);
      objects.delete(object.metadata.uid ?? "");
    },
    byUid: (uid) => objects.get(uid),
    dependents: (uid) => [...(dependents.get(uid)?.values() ?? [])],
    in: (namespace) => [...objects.values()].filter((h) => h.object.metadata.namespace === namespace),
  };
};
