// What changed between the state we hold and a fresh list, or by a watch event?

import { type KubeObject, keyOf } from "./objects/meta.ts";
import type { WatchEvent } from "./watch.ts";

export type ReflectorEvent<T> =
  | { readonly type: "upsert"; readonly object: T; readonly old: T | undefined }
  | { readonly type: "delete"; readonly old: T };

/** The events that lead from `held` to exactly `items`. An object deleted and made anew under its old name is a delete, then an upsert. */
export const relist = <T extends KubeObject>(held: ReadonlyMap<string, T>, items: readonly T[]): ReflectorEvent<T>[] => {
  const seen = new Set(items.map(keyOf));
  const gone = [...held].flatMap(([key, old]): ReflectorEvent<T>[] => (seen.has(key) ? [] : [{ type: "delete", old }]));
  return [...gone, ...items.flatMap((object) => upsert(held.get(keyOf(object)), object))];
};

/** The events of one watch event; none when we already hold exactly that. */
export const watched = <T extends KubeObject>(held: ReadonlyMap<string, T>, event: WatchEvent<T>): ReflectorEvent<T>[] => {
  if (event.type === "BOOKMARK") return [];
  const old = held.get(keyOf(event.object));
  if (event.type !== "DELETED") return upsert(old, event.object);
  // The deleted object's last state is what the server sends: finalizers and labels at its end.
  return old === undefined ? [] : [{ type: "delete", old: event.object }];
};

const upsert = <T extends KubeObject>(old: T | undefined, object: T): ReflectorEvent<T>[] => {
  if (old === undefined) return [{ type: "upsert", object, old: undefined }];
  if (old.metadata.uid !== object.metadata.uid)
    return [
      { type: "delete", old },
      { type: "upsert", object, old: undefined },
    ];
  const version = object.metadata.resourceVersion;
  return version !== undefined && old.metadata.resourceVersion === version ? [] : [{ type: "upsert", object, old }];
};
