// How is one collection computed from another, re-running only what a change can affect?

import { createClaims } from "./claims.ts";
import { type Change, type Collection, type Graph, vertexOf } from "./core.ts";
import { createReadIndex, type Get } from "./reads.ts";
import { createDiff, createVertex } from "./vertex.ts";

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

/**
 * A collection with zero or more outputs per input. When two inputs give an output of the same key, the input whose key
 * sorts first wins, whatever the order of events.
 */
export const derive = <I, O>(options: DeriveOptions<I, O>, transform: Transform<I, O>): Collection<O> => {
  const { graph, name } = options;
  const from = vertexOf(options.from);
  const read = (options.reads ?? []).map((c) => vertexOf(c));
  const reads = createReadIndex(name, read);
  const claims = createClaims<O>(options.key);
  const pending = new Set<string>(from.keys());

  /** The keys under which something else may stand now. A transform that throws changes nothing: last good outputs stay. */
  const rerun = (key: string): Iterable<string> => {
    const input = from.get(key);
    if (input === undefined) {
      reads.forget(key);
      return claims.replace(key, []);
    }
    try {
      return claims.replace(
        key,
        reads.track(key, (get) => transform(get, input, key)),
      );
    } catch (cause) {
      graph.report({ collection: name, key, cause });
      return [];
    }
  };

  const vertex = createVertex<O>({
    graph,
    name,
    kind: "derive",
    inputs: [from.name, ...read.map((v) => v.name)],
    settle: (records) => {
      const diff = createDiff(records, options.equal);
      const touched = new Set([...pending].flatMap((key) => [...rerun(key)]));
      pending.clear();
      for (const key of touched) diff.put(key, claims.winner(key));
      return diff.changes();
    },
    dependencies: reads.size,
  });

  const queue = (inputsOf: (change: Change<unknown>) => Iterable<string>) => (changes: readonly Change<unknown>[]) => {
    for (const change of changes) for (const input of inputsOf(change)) pending.add(input);
    return pending.size > 0;
  };
  from.onChange({ order: vertex.order, queue: queue((c) => [c.key]) });
  for (const v of read) v.onChange({ order: vertex.order, queue: queue((c) => reads.affected(v.order, c)) });
  if (pending.size > 0) graph.touch(vertex.order);
  return vertex;
};
