// What objects exist, in which order did they change, and when is a write durable?

import { jsonOf } from "../model/json.ts";
import type { KubeObject } from "../model/object.ts";
import type { ObjectView } from "../registry/types.ts";
import { type ChangeType, type DurableLog, type LogEntry, StorageError } from "./log.ts";

export type Change = {
  readonly rv: number;
  readonly bucket: string;
  readonly key: string;
  readonly type: ChangeType;
  readonly object: KubeObject;
  readonly prev: KubeObject | undefined;
};

export type Staged = {
  /** The object with its new resourceVersion. */
  readonly object: KubeObject;
  /** Resolves when the write is durable and visible; rejects with StorageError when it was not made. */
  readonly durable: Promise<void>;
};

export type Store = {
  /** Durable state: what readers see. */
  readonly committed: ObjectView;
  /** Durable state plus writes on their way: what writers decide on. */
  readonly latest: ObjectView;
  /** Puts an object (or with undefined removes it) in one step with all other writes of this loop turn. The object is the store's from now on. */
  stage(bucket: string, key: string, object: KubeObject | undefined): Staged;
  /** resourceVersion of the newest durable change. */
  revision(): number;
  /** Oldest resourceVersion a watch can start from. */
  floor(): number;
  /** Durable changes of a bucket after rv, oldest first; undefined when rv is older than the floor. */
  since(bucket: string, rv: number): readonly Change[] | undefined;
  /** The bucket as it was at rv, in key order; undefined when rv is older than the floor. */
  snapshot(bucket: string, rv: number): readonly KubeObject[] | undefined;
  /** Called after each commit with the bucket's new changes, in order. "*" hears all buckets. */
  subscribe(bucket: string, listener: (changes: readonly Change[]) => void): () => void;
  /** Objects per bucket and their number, for metrics. */
  sizes(): ReadonlyMap<string, number>;
  close(): void;
};

export type StoreOptions = {
  /** Changes kept for watches to resume from. */
  readonly history: number;
  /** Told once per failed commit. */
  readonly onFailure?: (error: StorageError) => void;
};

export const keyOf = (namespace: string | undefined, name: string): string => (namespace === undefined ? name : `${namespace}/${name}`);

export const keyOfObject = (o: KubeObject): string => keyOf(o.metadata.namespace, o.metadata.name ?? "");

type Bucket = { readonly byKey: Map<string, KubeObject>; keys: readonly string[] | undefined };

const sorted = (b: Bucket): readonly string[] => {
  b.keys ??= [...b.byKey.keys()].sort();
  return b.keys;
};

const inNamespace = (key: string, namespace: string | undefined): boolean => namespace === undefined || key.startsWith(`${namespace}/`);

const parse = (json: string): KubeObject => JSON.parse(json) as KubeObject; // written by us, checked by quick_check

type Pending = { readonly change: Change; readonly done: () => void; readonly failed: (e: StorageError) => void };

/** Loads everything from the log. The store owns the log and closes it. */
export const openStore = (log: DurableLog, options: StoreOptions): Store => {
  const buckets = new Map<string, Bucket>();
  const listeners = new Map<string, Set<(changes: readonly Change[]) => void>>();
  const bucketOf = (name: string): Bucket => {
    const have = buckets.get(name);
    if (have !== undefined) return have;
    const made: Bucket = { byKey: new Map(), keys: undefined };
    buckets.set(name, made);
    return made;
  };

  const loaded = log.load();
  for (const o of loaded.objects) bucketOf(o.bucket).byKey.set(o.key, parse(o.json));
  let floor = loaded.floor;
  let history: Change[] = loaded.changes.map((c) => ({
    ...c,
    object: parse(c.json),
    prev: c.prev === undefined ? undefined : parse(c.prev),
  }));
  let revision = history.at(-1)?.rv ?? floor;
  let next = revision;

  let pending: Pending[] = [];
  let closed = false;
  const overlay = new Map<string, Map<string, KubeObject | undefined>>();

  const committed: ObjectView = {
    get: (bucket, key) => buckets.get(bucket)?.byKey.get(key),
    list: (bucket, namespace) => {
      const b = buckets.get(bucket);
      if (b === undefined) return [];
      const out: KubeObject[] = [];
      for (const key of sorted(b)) {
        const o = inNamespace(key, namespace) ? b.byKey.get(key) : undefined;
        if (o !== undefined) out.push(o);
      }
      return out;
    },
  };
  const latest: ObjectView = {
    get: (bucket, key) => {
      const over = overlay.get(bucket);
      return over?.has(key) === true ? over.get(key) : committed.get(bucket, key);
    },
    list: (bucket, namespace) => {
      const over = overlay.get(bucket);
      if (over === undefined) return committed.list(bucket, namespace);
      const merged = new Map(buckets.get(bucket)?.byKey);
      for (const [k, o] of over) {
        if (o === undefined) merged.delete(k);
        else merged.set(k, o);
      }
      return [...merged.keys()]
        .filter((k) => inNamespace(k, namespace))
        .sort()
        .flatMap((k) => merged.get(k) ?? []);
    },
  };

  const apply = (c: Change): void => {
    const b = bucketOf(c.bucket);
    if (c.type === "DELETED") b.byKey.delete(c.key);
    else b.byKey.set(c.key, c.object);
    if (c.type !== "MODIFIED") b.keys = undefined;
    history.push(c);
    revision = c.rv;
  };
  const tell = (changes: readonly Change[]): void => {
    for (const [bucket, group] of Map.groupBy(changes, (c) => c.bucket)) for (const l of listeners.get(bucket) ?? []) l(group);
    for (const l of listeners.get("*") ?? []) l(changes);
  };

  const commit = (): void => {
    if (pending.length === 0) return;
    const batch = pending;
    pending = [];
    overlay.clear();
    const changes = batch.map((p) => p.change);
    // Compacting in steps of a quarter keeps deletes from the log rare.
    const excess = history.length + changes.length - options.history;
    const cut = excess > options.history / 4 ? [...history, ...changes][excess - 1]?.rv : undefined;
    try {
      log.append(
        changes.map((c): LogEntry => ({ ...c, json: jsonOf(c.object), prev: c.prev === undefined ? undefined : jsonOf(c.prev) })),
        cut ?? floor,
      );
    } catch (e) {
      const error = e instanceof StorageError ? e : new StorageError(String(e), { cause: e });
      options.onFailure?.(error);
      for (const p of batch) p.failed(error);
      return;
    }
    for (const c of changes) apply(c);
    if (cut !== undefined) {
      floor = cut;
      history = history.filter((c) => c.rv > cut);
    }
    for (const p of batch) p.done();
    tell(changes);
  };

  const stage = (bucket: string, key: string, object: KubeObject | undefined): Staged => {
    if (closed) throw new StorageError("the API server is stopping and takes no more writes");
    const prev = latest.get(bucket, key);
    if (object === undefined && prev === undefined) throw new Error(`${bucket} ${key} does not exist and cannot be removed`);
    next += 1;
    const base = object ?? { ...prev, apiVersion: prev?.apiVersion ?? "", kind: prev?.kind ?? "", metadata: { ...prev?.metadata } };
    base.metadata.resourceVersion = String(next);
    const type: ChangeType = object === undefined ? "DELETED" : prev === undefined ? "ADDED" : "MODIFIED";
    const over = overlay.get(bucket) ?? new Map<string, KubeObject | undefined>();
    overlay.set(bucket, over);
    over.set(key, object);
    const change: Change = { rv: next, bucket, key, type, object: base, prev };
    const durable = new Promise<void>((done, failed) => {
      if (pending.length === 0) setImmediate(commit);
      pending.push({ change, done, failed });
    });
    return { object: base, durable };
  };

  return {
    committed,
    latest,
    stage,
    revision: () => revision,
    floor: () => floor,
    since: (bucket, rv) => {
      if (rv < floor) return undefined;
      let i = history.length;
      while (i > 0 && (history[i - 1]?.rv ?? 0) > rv) i--;
      return history.slice(i).filter((c) => c.bucket === bucket);
    },
    snapshot: (bucket, rv) => {
      if (rv < floor) return undefined;
      const state = new Map(buckets.get(bucket)?.byKey);
      for (const c of history.toReversed()) {
        if (c.rv <= rv) break;
        if (c.bucket !== bucket) continue;
        if (c.prev === undefined) state.delete(c.key);
        else state.set(c.key, c.prev);
      }
      return [...state.keys()].sort().flatMap((k) => state.get(k) ?? []);
    },
    subscribe: (bucket, listener) => {
      const set = listeners.get(bucket) ?? new Set();
      listeners.set(bucket, set);
      set.add(listener);
      return () => set.delete(listener);
    },
    sizes: () => new Map([...buckets].map(([name, b]) => [name, b.byKey.size])),
    close: () => {
      commit();
      closed = true;
      log.close();
    },
  };
};
