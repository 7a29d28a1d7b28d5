// What are the objects of one kind, counting what we wrote ourselves and have not seen come back yet?

import { type KubeObject, keyOf } from "@ambit/shared/kube/objects/meta.ts";
import type { ReflectorEvent } from "@ambit/shared/kube/relist.ts";
import type { Lister } from "./view.ts";

export type Cache<T extends KubeObject> = Lister<T> & {
  /** Takes in what the watch says. */
  apply(events: readonly ReflectorEvent<T>[], now: number): void;
  /** Takes in an answer to our own write, which the watch has not told us yet. */
  wrote(object: T, now: number): void;
  /** We asked for this object's deletion: it counts as being deleted from now on. */
  deleting(object: T, now: number): void;
  changedAt(uid: string | undefined): number;
  /** Our own writes older than this that never came back are forgotten; their keys. */
  expire(before: number): string[];
};

type Own<T> = { readonly object: T; readonly at: number };

const REMEMBERED = 4096;

export const createCache = <T extends KubeObject>(): Cache<T> => {
  const seen = new Map<string, T>();
  const own = new Map<string, Own<T>>();
  const changed = new Map<string, number>();
  const buried = new Set<string>(); // uids known to be gone: a late answer to our own write must not bring them back
  let namespaces: Map<string, T[]> | undefined;
  let all: readonly T[] | undefined;

  const forget = (): void => {
    all = undefined;
    namespaces = undefined;
  };
  const current = (key: string): T | undefined => own.get(key)?.object ?? seen.get(key);
  const bury = (uid: string | undefined): void => {
    if (uid === undefined) return;
    changed.delete(uid);
    buried.add(uid);
    for (const first of buried) {
      if (buried.size <= REMEMBERED) break;
      buried.delete(first);
    }
  };
  const list = (): readonly T[] => {
    all ??= [...new Set([...seen.keys(), ...own.keys()])].flatMap((key) => current(key) ?? []);
    return all;
  };

  return {
    get: current,
    list,
    in: (namespace) => {
      namespaces ??= Map.groupBy(list(), (o) => o.metadata.namespace ?? "");
      return namespaces.get(namespace) ?? [];
    },
    apply: (events, now) => {
      for (const e of events) {
        const object = e.type === "delete" ? e.old : e.object;
        const key = keyOf(object);
        const mine = own.get(key)?.object;
        if (e.type === "delete") {
          seen.delete(key);
          bury(object.metadata.uid);
        } else {
          seen.set(key, object);
          if (object.metadata.uid !== undefined) changed.set(object.metadata.uid, now);
        }
        if (
          mine !== undefined &&
          (mine.metadata.uid !== object.metadata.uid ? e.type !== "delete" : e.type === "delete" || !isOlder(object, mine))
        )
          own.delete(key);
      }
      forget();
    },
    wrote: (object, now) => {
      if (object.metadata.uid !== undefined && buried.has(object.metadata.uid)) return;
      const key = keyOf(object);
      const known = seen.get(key);
      if (known !== undefined && known.metadata.uid === object.metadata.uid && isOlder(object, known)) return;
      own.set(key, { object, at: now });
      forget();
    },
    deleting: (object, now) => {
      const key = keyOf(object);
      const known = current(key);
      if (known === undefined || known.metadata.uid !== object.metadata.uid || known.metadata.deletionTimestamp !== undefined) return;
      own.set(key, { object: { ...known, metadata: { ...known.metadata, deletionTimestamp: new Date(now).toISOString() } }, at: now });
      forget();
    },
    changedAt: (uid) => (uid === undefined ? 0 : (changed.get(uid) ?? 0)),
    expire: (before) => {
      const old = [...own].filter(([, o]) => o.at < before).map(([key]) => key);
      for (const key of old) own.delete(key);
      if (old.length > 0) forget();
      return old;
    },
  };
};

/** True when `a` is an earlier state than `b`, or the very state `b` was assumed on. The embedded API server counts versions upwards. */
const isOlder = (a: KubeObject, b: KubeObject): boolean => {
  const [x, y] = [Number(a.metadata.resourceVersion), Number(b.metadata.resourceVersion)];
  return x < y || (x === y && a.metadata.deletionTimestamp === undefined && b.metadata.deletionTimestamp !== undefined);
};
