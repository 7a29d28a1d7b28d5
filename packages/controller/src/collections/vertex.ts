// What do all kinds of collections have in common: records, dependents and listeners?

import type { Change, Dependent, Graph, Listener, Vertex } from "./core.ts";

export type VertexParts<V> = {
  readonly graph: Graph;
  readonly name: string;
  readonly kind: string;
  readonly inputs: readonly string[];
  readonly settle: (records: Map<string, V>) => readonly Change<V>[];
  readonly dependencies?: () => number;
};

/** Makes a vertex and adds it to the graph. `settle` edits the records and answers with the changes it made. */
export const createVertex = <V>(parts: VertexParts<V>): Vertex<V> => {
  const { graph, name } = parts;
  const records = new Map<string, V>();
  const dependents: Dependent<V>[] = [];
  const listeners = new Set<Listener<V>>();
  let runs = 0;
  const vertex: Vertex<V> = {
    name,
    kind: parts.kind,
    order: graph.nextOrder(),
    inputs: parts.inputs,
    get: (key) => records.get(key),
    list: () => [...records.values()],
    keys: () => [...records.keys()],
    get size() {
      return records.size;
    },
    subscribe: (listener) => {
      listener([...records].map(([key, value]) => ({ key, old: undefined, value })));
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    settle: () => {
      runs++;
      return parts.settle(records);
    },
    onChange: (dependent) => void dependents.push(dependent),
    changed: (changes) => {
      for (const d of dependents) if (d.queue(changes)) graph.touch(d.order);
    },
    notify: (changes) => {
      for (const listener of [...listeners])
        try {
          listener(changes);
        } catch (cause) {
          graph.report({ collection: name, key: "(listener)", cause }); // the other listeners must still hear of the batch
        }
    },
    dependencies: parts.dependencies ?? (() => 0),
    runs: () => runs,
  };
  graph.add(vertex);
  return vertex;
};

/** Has the vertex settle every key that is there or changes in one of the collections, which it takes from `pending`. */
export const settleKeysOf = (graph: Graph, vertex: Vertex, { from, pending }: { from: readonly Vertex[]; pending: Set<string> }): void => {
  for (const v of from) {
    for (const key of v.keys()) pending.add(key);
    v.onChange({
      order: vertex.order,
      queue: (changes) => {
        for (const c of changes) pending.add(c.key);
        return true;
      },
    });
  }
  if (pending.size > 0) graph.touch(vertex.order);
};

/** Changes of one settling by key: several edits of a key become one change, and one that ends where it began becomes none. */
export const createDiff = <V>(records: Map<string, V>, equal: (a: V, b: V) => boolean) => {
  const before = new Map<string, V | undefined>();
  return {
    put: (key: string, value: V | undefined): void => {
      const now = records.get(key);
      if (now === value || (now !== undefined && value !== undefined && equal(now, value))) return;
      if (!before.has(key)) before.set(key, now);
      if (value === undefined) records.delete(key);
      else records.set(key, value);
    },
    changes: (): readonly Change<V>[] =>
      [...before].flatMap(([key, old]) => {
        const value = records.get(key);
        if (old === undefined && value === undefined) return [];
        if (old !== undefined && value !== undefined && equal(old, value)) return [];
        return [{ key, old, value }];
      }),
  };
};
