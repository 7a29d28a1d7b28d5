// What does a watcher see of a change: does the object enter, stay in or leave its selection?

import type { KubeObject } from "../model/object.ts";
import { type Selection, selects } from "../read/select.ts";

export type WatchType = "ADDED" | "MODIFIED" | "DELETED";

export type ObservedChange = { readonly type: WatchType; readonly object: KubeObject; readonly prev: KubeObject | undefined };

/** An object that no longer matches is DELETED to this watcher, and one that now matches is ADDED (storage/cacher's cacheWatcher). */
export const observed = (s: Selection, c: ObservedChange): WatchType | undefined => {
  if (c.type === "ADDED") return selects(s, c.object) ? "ADDED" : undefined;
  const before = c.prev !== undefined && selects(s, c.prev);
  if (c.type === "DELETED") return before ? "DELETED" : undefined;
  const after = selects(s, c.object);
  if (after) return before ? "MODIFIED" : "ADDED";
  return before ? "DELETED" : undefined;
};
