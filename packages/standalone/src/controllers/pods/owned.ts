// Which objects does a controller own, which orphans may it adopt, which must it let go?

import { controllerOf, type KubeObject, type LabelSelector } from "@ambit/shared/kube/objects/meta.ts";
import type { Resource } from "@ambit/shared/kube/resources.ts";
import { matchesSelector } from "@ambit/shared/kube/selector.ts";
import type { Action } from "../engine/plan.ts";
import { controllerRef } from "./state.ts";

type Owner = KubeObject & { readonly apiVersion: string; readonly kind: string; readonly spec: { readonly selector: LabelSelector } };

/** Owned and matching, plus the actions that adopt matching orphans and let go of owned objects that no longer match. */
export const claim = <T extends KubeObject>(
  owner: Owner,
  candidates: readonly T[],
  resource: Resource,
): { owned: T[]; actions: Action[] } => {
  const owned: T[] = [];
  const actions: Action[] = [];
  for (const o of candidates) {
    const controller = controllerOf(o);
    const matches = matchesSelector(owner.spec.selector, o.metadata.labels);
    if (controller === undefined) {
      if (!matches || o.metadata.deletionTimestamp !== undefined || owner.metadata.deletionTimestamp !== undefined) continue;
      const ownerReferences = [...(o.metadata.ownerReferences ?? []), controllerRef(owner)];
      actions.push({
        do: "update",
        resource,
        object: { ...o, metadata: { ...o.metadata, ownerReferences } },
        why: `adopted by ${owner.kind} ${owner.metadata.name}`,
      });
    } else if (controller.uid === owner.metadata.uid) {
      if (matches) owned.push(o);
      else if (o.metadata.deletionTimestamp === undefined) {
        const ownerReferences = o.metadata.ownerReferences?.filter((r) => r.uid !== owner.metadata.uid) ?? [];
        actions.push({
          do: "update",
          resource,
          object: { ...o, metadata: { ...o.metadata, ownerReferences } },
          why: `no longer matches ${owner.kind} ${owner.metadata.name}`,
        });
      }
    }
  }
  return { owned, actions };
};

/** Keys of the owners of the given kind that control the object, or that might adopt it. */
export const ownersOf = (object: KubeObject, kind: string, candidates: readonly Owner[]): string[] => {
  const controller = controllerOf(object);
  const namespace = object.metadata.namespace ?? "";
  if (controller !== undefined) return controller.kind === kind ? [`${namespace}/${controller.name}`] : [];
  return candidates.filter((c) => matchesSelector(c.spec.selector, object.metadata.labels)).map((c) => `${namespace}/${c.metadata.name}`);
};
