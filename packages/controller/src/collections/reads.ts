// Which inputs of a derivation read what, and so which must run again?

import { type Change, type Collection, type Vertex, vertexOf } from "./core.ts";

/** Reads of other collections from inside a transform; each is remembered and re-runs the transform when its answer may differ. */
export type Get = {
  /** The record under a key. */
  one<V>(from: Collection<V>, key: string): V | undefined;
  /** All records that satisfy the predicate, ordered by key. The predicate must be pure. */
  where<V>(from: Collection<V>, satisfies: (value: V) => boolean): readonly V[];
  all<V>(from: Collection<V>): readonly V[];
};

type Satisfies = (value: unknown) => boolean;
/** What one input read in its last run, by collection. */
type Reads = { readonly keys: Map<number, Set<string>>; readonly wheres: Map<number, Satisfies[]> };

export type ReadIndex = {
  /** Runs the transform with a `get` that remembers; what the input read before is forgotten, also when it throws. */
  track<T>(input: string, transform: (get: Get) => T): T;
  forget(input: string): void;
  /** The inputs whose reads may answer differently after the change. */
  affected(order: number, change: Change<unknown>): Iterable<string>;
  /** Reads remembered at present. */
  size(): number;
};

/** `readable`: the only collections a transform may read; another one is a bug and throws. */
export const createReadIndex = (name: string, readable: readonly Vertex[]): ReadIndex => {
  const allowed = new Set(readable.map((v) => v.order));
  const readsOf = new Map<string, Reads>();
  /** collection → key → inputs that read that key. */
  const byKey = new Map<number, Map<string, Set<string>>>();
  /** collection → inputs that read it by predicate. */
  const byWhere = new Map<number, Set<string>>();

  const forget = (input: string): void => {
    const reads = readsOf.get(input);
    if (reads === undefined) return;
    for (const [order, keys] of reads.keys)
      for (const key of keys) {
        const readers = byKey.get(order)?.get(key);
        readers?.delete(input);
        if (readers?.size === 0) byKey.get(order)?.delete(key);
      }
    for (const order of reads.wheres.keys()) byWhere.get(order)?.delete(input);
    readsOf.delete(input);
  };

  const remember = (input: string, reads: Reads): void => {
    forget(input);
    if (reads.keys.size === 0 && reads.wheres.size === 0) return;
    readsOf.set(input, reads);
    for (const [order, keys] of reads.keys) {
      const index = ensure(byKey, order, () => new Map<string, Set<string>>());
      for (const key of keys) ensure(index, key, () => new Set<string>()).add(input);
    }
    for (const order of reads.wheres.keys()) ensure(byWhere, order, () => new Set<string>()).add(input);
  };

  const vertexFor = <V>(c: Collection<V>): Vertex<V> => {
    const v = vertexOf(c);
    if (!allowed.has(v.order)) throw new Error(`${name} reads ${v.name}, which is not among its declared reads`);
    return v;
  };

  /** True when the answer of one of the input's predicate reads may differ. */
  const mayDiffer = (input: string, order: number, { old, value }: Change<unknown>): boolean =>
    (readsOf.get(input)?.wheres.get(order) ?? []).some((s) => (old !== undefined && s(old)) || (value !== undefined && s(value)));

  return {
    forget,
    track: (input, transform) => {
      const reads: Reads = { keys: new Map(), wheres: new Map() };
      try {
        return transform(recordingGet(reads, vertexFor));
      } finally {
        remember(input, reads);
      }
    },
    affected: function* (order, change) {
      yield* byKey.get(order)?.get(change.key) ?? [];
      for (const input of byWhere.get(order) ?? []) if (mayDiffer(input, order, change)) yield input;
    },
    size: () => [...readsOf.values()].reduce((n, r) => n + [...r.keys.values()].reduce((m, s) => m + s.size, 0) + r.wheres.size, 0),
  };
};

const recordingGet = (reads: Reads, vertexFor: <V>(c: Collection<V>) => Vertex<V>): Get => {
  const where: Get["where"] = (c, satisfies) => {
    const v = vertexFor(c);
    ensure(reads.wheres, v.order, () => []).push(satisfies as Satisfies);
    return v
      .keys()
      .toSorted()
      .flatMap((k) => {
        const value = v.get(k);
        return value !== undefined && satisfies(value) ? [value] : [];
      });
  };
  return {
    one: (c, key) => {
      const v = vertexFor(c);
      ensure(reads.keys, v.order, () => new Set<string>()).add(key);
      return v.get(key);
    },
    where,
    all: (c) => where(c, () => true),
  };
};

const ensure = <K, V>(map: Map<K, V>, key: K, make: () => V): V => {
  const there = map.get(key);
  if (there !== undefined) return there;
  const made = make();
  map.set(key, made);
  return made;
};
