// How is one collection computed from another, re-running only what a change can affect?

import { type Change, type Collection, type Graph, vertexOf } from "./core.ts";
import { createDiff, createVertex } from "./vertex.ts";

/** Reads of other collections from inside a transform; each is remembered and re-runs the transform when its answer may differ. */
export type Get = {
  /** The record under a key. */
  one<V>(from: Collection<V>, key: string): V | undefined;
  /** All records that satisfy the predicate, ordered by key. The predicate must be pure. */
  where<V>(from: Collection<V>, satisfies: (value: V) => boolean): readonly V[];
  all<V>(from: Collection<V>): readonly V[];
};

/** Pure: no I/O, no clock, nothing but its input and `get`. Nothing returned means absent. */
export type Transform<I, O> = (get: Get, input: I, key: string) => readonly O[];

export type DeriveOptions<I, O> = {
  readonly graph: Graph;
  readonly name: string;
  readonly from: Collection<I>;
  /** Every collection `get` may read; reading another one is a bug and throws. */
  readonly reads?: readonly Collection<unknown>[];
  readonly key: (output: O) => string;
  /** Equal outputs are not a change: the wave stops here. */
  readonly equal: (a: NoInfer<O>, b: NoInfer<O>) => boolean;
};

type Where = { readonly satisfies: (value: unknown) => boolean };
type Reads = { readonly keys: Map<number, Set<string>>; readonly wheres: Map<number, Where[]> };

/**
 * A collection with zero or more outputs per input. When two inputs give an output of the same key, the input whose key
 * sorts first wins, whatever the order of events.
 */
export const derive = <I, O>(options: DeriveOptions<I, O>, transform: Transform<I, O>): Collection<O> => {
  const { graph, name } = options;
  const from = vertexOf(options.from);
  const read = (options.reads ?? []).map((c) => vertexOf(c));
  const readable = new Set(read.map((v) => v.order));

  const pending = new Set<string>();
  const readsOf = new Map<string, Reads>();
  /** collection → key → inputs that read that key. */
  const byKey = new Map<number, Map<string, Set<string>>>();
  /** collection → inputs that read it by predicate. */
  const byWhere = new Map<number, Set<string>>();
  const outputsOf = new Map<string, readonly string[]>();
  const claims = new Map<string, Map<string, O>>();

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

  const tracker = (reads: Reads): Get => {
    const vertex = <V>(c: Collection<V>) => {
      const v = vertexOf(c);
      if (!readable.has(v.order)) throw new Error(`${name} reads ${v.name}, which is not among its declared reads`);
      return v;
    };
    const where: Get["where"] = (c, satisfies) => {
      const v = vertex(c);
      ensure(reads.wheres, v.order, () => []).push({ satisfies: satisfies as (value: unknown) => boolean });
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
        const v = vertex(c);
        ensure(reads.keys, v.order, () => new Set<string>()).add(key);
        return v.get(key);
      },
      where,
      all: (c) => where(c, () => true),
    };
  };

  /** The outputs of one input, with what it read; undefined when the transform threw (last good outputs stay). */
  const run = (key: string, input: I): readonly O[] | undefined => {
    const reads: Reads = { keys: new Map(), wheres: new Map() };
    try {
      return transform(tracker(reads), input, key);
    } catch (cause) {
      graph.report({ collection: name, key, cause });
      return undefined;
    } finally {
      remember(key, reads);
    }
  };

  const claim = (input: string, outputs: readonly O[], touchedKeys: Set<string>): void => {
    for (const out of outputsOf.get(input) ?? []) {
      touchedKeys.add(out);
      const claimants = claims.get(out);
      claimants?.delete(input);
      if (claimants?.size === 0) claims.delete(out);
    }
    const keys = outputs.map((o) => {
      const key = options.key(o);
      touchedKeys.add(key);
      ensure(claims, key, () => new Map<string, O>()).set(input, o);
      return key;
    });
    if (keys.length === 0) outputsOf.delete(input);
    else outputsOf.set(input, keys);
  };

  const winner = (key: string): O | undefined => {
    const claimants = claims.get(key);
    if (claimants === undefined) return undefined;
    const [first] = [...claimants.keys()].toSorted();
    return first === undefined ? undefined : claimants.get(first);
  };

  const vertex = createVertex<O>({
    graph,
    name,
    kind: "derive",
    inputs: [from.name, ...read.map((v) => v.name)],
    settle: (records) => {
      const diff = createDiff(records, options.equal);
      const touchedKeys = new Set<string>();
      for (const key of pending) {
        const input = from.get(key);
        if (input === undefined) {
          forget(key);
          claim(key, [], touchedKeys);
          continue;
        }
        const outputs = run(key, input);
        if (outputs !== undefined) claim(key, outputs, touchedKeys);
      }
      pending.clear();
      for (const key of touchedKeys) diff.put(key, winner(key));
      return diff.changes();
    },
    dependencies: () => [...readsOf.values()].reduce((n, r) => n + [...r.keys.values()].reduce((m, s) => m + s.size, 0) + r.wheres.size, 0),
  });

  /** True when the answer of one of the input's predicate reads may differ. */
  const affects = (input: string, order: number, change: Change<unknown>): boolean =>
    (readsOf.get(input)?.wheres.get(order) ?? []).some(
      (w) => (change.old !== undefined && w.satisfies(change.old)) || (change.value !== undefined && w.satisfies(change.value)),
    );

  for (const key of from.keys()) pending.add(key);
  from.onChange({
    order: vertex.order,
    queue: (changes) => {
      for (const c of changes) pending.add(c.key);
      return true;
    },
  });
  for (const v of read) {
    v.onChange({
      order: vertex.order,
      queue: (changes) => {
        for (const c of changes) {
          for (const input of byKey.get(v.order)?.get(c.key) ?? []) pending.add(input);
          for (const input of byWhere.get(v.order) ?? []) if (!pending.has(input) && affects(input, v.order, c)) pending.add(input);
        }
        return pending.size > 0;
      },
    });
  }
  if (pending.size > 0) graph.touch(vertex.order);
  return vertex;
};

const ensure = <K, V>(map: Map<K, V>, key: K, make: () => V): V => {
  const there = map.get(key);
  if (there !== undefined) return there;
  const made = make();
  map.set(key, made);
  return made;
};
