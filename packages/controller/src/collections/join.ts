// What is the union of several collections?

import { type Collection, type Graph, vertexOf } from "./core.ts";
import { createDiff, createVertex, settleKeysOf } from "./vertex.ts";

export type JoinOptions<V> = {
  readonly graph: Graph;
  readonly name: string;
  /** In order of precedence: under one key the first collection's record stands. */
  readonly from: readonly Collection<V>[];
  readonly equal: (a: NoInfer<V>, b: NoInfer<V>) => boolean;
};

export const join = <V>(options: JoinOptions<V>): Collection<V> => {
  const { graph } = options;
  const from = options.from.map((c) => vertexOf(c));
  const pending = new Set<string>();
  const first = (key: string): V | undefined => {
    for (const v of from) {
      const value = v.get(key);
      if (value !== undefined) return value;
    }
    return undefined;
  };
  const vertex = createVertex<V>({
    graph,
    name: options.name,
    kind: "join",
    inputs: from.map((v) => v.name),
    settle: (records) => {
      const diff = createDiff(records, options.equal);
      for (const key of pending) diff.put(key, first(key));
      pending.clear();
      return diff.changes();
    },
  });
  settleKeysOf(graph, vertex, { from, pending });
  return vertex;
};
