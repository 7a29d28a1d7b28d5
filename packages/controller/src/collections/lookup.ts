// Which records share a secondary key?

import { type Collection, type Graph, vertexOf } from "./core.ts";
import { createDiff, createVertex, settleKeysOf } from "./vertex.ts";

export type LookupOptions<V> = {
  readonly graph: Graph;
  readonly name: string;
  readonly from: Collection<V>;
  /** The secondary keys of a record: none, one or many. Pure. */
  readonly keysOf: (value: V, key: string) => readonly string[];
  /** Of two members; groups whose members are pairwise equal are equal. */
  readonly equal: (a: NoInfer<V>, b: NoInfer<V>) => boolean;
};

/** Groups by secondary key; a group is ordered by primary key and is absent when empty. */
export const lookup = <V>(options: LookupOptions<V>): Collection<readonly V[]> => {
  const { graph } = options;
  const from = vertexOf(options.from);
  const pending = new Set<string>();
  const keysOf = new Map<string, readonly string[]>();
  const members = new Map<string, Map<string, V>>();
  const sameMember = (a: V, b: V | undefined): boolean => a === b || (b !== undefined && options.equal(a, b));
  const group = (key: string): readonly V[] | undefined => {
    const m = members.get(key);
    return m === undefined ? undefined : [...m].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, v]) => v);
  };
  const vertex = createVertex<readonly V[]>({
    graph,
    name: options.name,
    kind: "lookup",
    inputs: [from.name],
    settle: (records) => {
      const diff = createDiff<readonly V[]>(records, (a, b) => a.length === b.length && a.every((v, i) => sameMember(v, b[i])));
      const touched = new Set<string>();
      for (const primary of pending) {
        for (const key of keysOf.get(primary) ?? []) {
          touched.add(key);
          const m = members.get(key);
          m?.delete(primary);
          if (m?.size === 0) members.delete(key);
        }
        const value = from.get(primary);
        const keys = value === undefined ? [] : options.keysOf(value, primary);
        for (const key of keys) {
          touched.add(key);
          const m = members.get(key) ?? new Map<string, V>();
          if (value !== undefined) m.set(primary, value);
          members.set(key, m);
        }
        if (keys.length === 0) keysOf.delete(primary);
        else keysOf.set(primary, keys);
      }
      pending.clear();
      for (const key of touched) diff.put(key, group(key));
      return diff.changes();
    },
  });
  settleKeysOf(graph, vertex, { from: [from], pending });
  return vertex;
};
