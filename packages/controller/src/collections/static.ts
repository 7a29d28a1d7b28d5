// Where do records enter the graph? (from reflectors, from tests)

import type { Collection, Graph } from "./core.ts";
import { createDiff, createVertex } from "./vertex.ts";

export type StaticCollection<V> = Collection<V> & {
  /** Puts or replaces a record. */
  set(key: string, value: V): void;
  delete(key: string): void;
  /** Makes the collection hold exactly these records. */
  replace(records: Iterable<readonly [string, V]>): void;
};

export type StaticOptions<V> = {
  readonly graph: Graph;
  readonly name: string;
  /** Records that are equal are not a change. */
  readonly equal: (a: V, b: V) => boolean;
};

/** A collection edited from outside. Edits outside a batch settle at once, each by itself. */
export const staticCollection = <V>(options: StaticOptions<V>): StaticCollection<V> => {
  const { graph } = options;
  const staged = new Map<string, V | undefined>();
  const vertex = createVertex<V>({
    graph,
    name: options.name,
    kind: "static",
    inputs: [],
    settle: (records) => {
      const diff = createDiff(records, options.equal);
      for (const [key, value] of staged) diff.put(key, value);
      staged.clear();
      return diff.changes();
    },
  });
  const stage = (key: string, value: V | undefined): void => {
    staged.set(key, value);
    graph.touch(vertex.order);
  };
  const replace = (records: Iterable<readonly [string, V]>): void =>
    graph.batch(() => {
      const wanted = new Map(records);
      for (const key of new Set([...vertex.keys(), ...staged.keys()])) if (!wanted.has(key)) stage(key, undefined);
      for (const [key, value] of wanted) stage(key, value);
    });
  return Object.assign(vertex, {
    set: (key: string, value: V) => stage(key, value),
    delete: (key: string) => stage(key, undefined),
    replace,
  });
};
