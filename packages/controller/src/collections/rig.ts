// Does a collection keep its contract? One rig for every kind: random edits against a recompute-from-scratch oracle.

import assert from "node:assert/strict";
import fc from "fast-check";
import type { Change, Collection, Graph } from "./core.ts";
import { vertexOf } from "./core.ts";
import { createGraph } from "./flush.ts";
import { type StaticCollection, staticCollection } from "./static.ts";

/** Small numbers make collisions, equal updates and come-backs likely. */
export type Item = { readonly group: string; readonly n: number };
export type Sources = { readonly left: StaticCollection<Item>; readonly right: StaticCollection<Item> };
export type SourceState = { readonly left: ReadonlyMap<string, Item>; readonly right: ReadonlyMap<string, Item> };

export type Subject<V> = {
  readonly name: string;
  build(graph: Graph, sources: Sources): Collection<V>;
  /** What the collection must hold, computed from nothing but the sources. */
  oracle(state: SourceState): ReadonlyMap<string, V>;
};

type Edit = { readonly side: "left" | "right"; readonly key: string; readonly item: Item | undefined };

const item: fc.Arbitrary<Item> = fc.record(
  { group: fc.constantFrom("a", "b", "c"), n: fc.integer({ min: 0, max: 3 }) },
  { noNullPrototype: true },
);
const edit: fc.Arbitrary<Edit> = fc.record({
  side: fc.constantFrom("left" as const, "right" as const),
  key: fc.constantFrom("a", "b", "c", "d", "e"),
  item: fc.option(item, { nil: undefined }),
});
const batches = fc.array(fc.array(edit, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 12 });

const plain = <V>(c: Collection<V>): Map<string, V> =>
  new Map(
    c
      .keys()
      .toSorted()
      .flatMap((k) => pair(k, c.get(k))),
  );
const pair = <V>(k: string, v: V | undefined): [string, V][] => (v === undefined ? [] : [[k, v]]);
const ordered = <V>(m: ReadonlyMap<string, V>): Map<string, V> => new Map([...m].toSorted(([a], [b]) => (a < b ? -1 : 1)));

const applyTo = <V>(mirror: Map<string, V>, changes: readonly Change<V>[]): void => {
  for (const { key, old, value } of changes) {
    assert.deepEqual(mirror.get(key), old, `the change of ${key} does not start where the listener is`);
    assert.ok(old !== undefined || value !== undefined, "a change of nothing to nothing");
    assert.notDeepEqual(old, value, "equal records are not a change");
    if (value === undefined) mirror.delete(key);
    else mirror.set(key, value);
  }
};

const runBatches = <V>(subject: Subject<V>, list: readonly (readonly Edit[])[]): void => {
  const graph = createGraph((e) => assert.fail(`${e.collection}/${e.key}: ${String(e.cause)}`));
  const equal = (a: Item, b: Item) => a.group === b.group && a.n === b.n;
  const sources = {
    left: staticCollection<Item>({ graph, name: "left", equal }),
    right: staticCollection<Item>({ graph, name: "right", equal }),
  };
  const state = { left: new Map<string, Item>(), right: new Map<string, Item>() };
  const collection = subject.build(graph, sources);
  const early = new Map<string, V>();
  let deliveries = 0;
  collection.subscribe((changes) => {
    deliveries++;
    applyTo(early, changes);
    // Whatever a listener reads is of one moment: never half a diamond.
    assert.deepEqual(ordered(early), ordered(subject.oracle(state)), "a listener saw a half-updated graph");
  });
  for (const edits of list) {
    const before = deliveries;
    graph.batch(() => {
      for (const e of edits) {
        if (e.item === undefined) {
          state[e.side].delete(e.key);
          sources[e.side].delete(e.key);
        } else {
          state[e.side].set(e.key, e.item);
          sources[e.side].set(e.key, e.item);
        }
      }
    });
    assert.ok(deliveries - before <= 1, "one batch, one delivery");
    assert.deepEqual(plain(collection), ordered(subject.oracle(state)));
    const late = new Map<string, V>();
    collection.subscribe((changes) => applyTo(late, changes))();
    assert.deepEqual(ordered(late), plain(collection), "a late listener is told all that is there");
  }
  graph.batch(() => {
    state.left.clear();
    state.right.clear();
    sources.left.replace([]);
    sources.right.replace([]);
  });
  assert.equal(collection.size, 0);
  for (const v of graph.vertices) assert.equal(vertexOf(v).dependencies(), 0, `${v.name} holds dependencies of inputs that are gone`);
};

/** Throws on the first counterexample, with the edits that lead to it. */
export const conform = <V>(subject: Subject<V>, runs = 150): void => {
  fc.assert(
    fc.property(batches, (list) => runBatches(subject, list)),
    { numRuns: runs },
  );
};
