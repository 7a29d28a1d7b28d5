// How do the caches of all kinds make one view, and which caches does an event belong to?

import type { KubeObject } from "@ambit/shared/kube/objects/meta.ts";
import { type Resource, resourceName } from "@ambit/shared/kube/resources.ts";
import { type Cache, createCache } from "./cache.ts";
import { KIND_RESOURCES, type KindName, type Kinds, type View } from "./view.ts";

export type Caches = { readonly [K in KindName]: Cache<Kinds[K]> };

const KIND_NAMES = Object.keys(KIND_RESOURCES) as KindName[];
const BY_RESOURCE = new Map(KIND_NAMES.map((name) => [resourceName(KIND_RESOURCES[name]), name]));

/** The typed kind of a resource; undefined for those no controller reads. */
export const kindOf = (r: Resource): KindName | undefined => BY_RESOURCE.get(resourceName(r));

export const createCaches = (): Caches => Object.fromEntries(KIND_NAMES.map((k) => [k, createCache<KubeObject>()])) as unknown as Caches;

export const viewOf = (caches: Caches, now: () => number): View => ({
  ...caches,
  get now() {
    return now();
  },
  changedAt: (object) => Math.max(...KIND_NAMES.map((k) => caches[k].changedAt(object.metadata.uid))),
});
