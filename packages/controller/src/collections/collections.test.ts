// Do all kinds of collections keep the contract, alone and stacked into diamonds?

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Collection } from "./core.ts";
import { derive } from "./derive.ts";
import { dumpGraph } from "./dump.ts";
import { sameData } from "./equal.ts";
import { createGraph } from "./flush.ts";
import { join } from "./join.ts";
import { lookup } from "./lookup.ts";
import { conform, type Item, type SourceState, type Subject } from "./rig.ts";
import { staticCollection } from "./static.ts";

type Out = { readonly key: string; readonly sum: number };
const keyOf = (o: Out) => o.key;
const sum = (items: Iterable<Item>) => [...items].reduce((n, i) => n + i.n, 0);
const inGroup = (s: ReadonlyMap<string, Item>, group: string) => [...s.values()].filter((i) => i.group === group);
const outs = (list: readonly Out[]): Map<string, Out> => new Map(list.map((o) => [o.key, o]));
/** Of several claims to one key, that of the first input stands. */
const firstClaims = (list: readonly Out[]): Map<string, Out> => outs([...list].reverse());
const sorted = (m: ReadonlyMap<string, Item>) => [...m].toSorted(([a], [b]) => (a < b ? -1 : 1));

const subjects: readonly Subject<unknown>[] = [
  { name: "static", build: (_, s) => s.left, oracle: (s) => s.left },
  {
    name: "derive, reads by key",
    build: (graph, s) =>
      derive({ graph, name: "one", from: s.left, reads: [s.right], key: keyOf, equal: sameData }, (get, i, key) =>
        i.n === 3 ? [] : [{ key, sum: i.n + (get.one(s.right, i.group)?.n ?? 100) }],
      ),
    oracle: (s) => outs(sorted(s.left).flatMap(([key, i]) => (i.n === 3 ? [] : [{ key, sum: i.n + (s.right.get(i.group)?.n ?? 100) }]))),
  },
  {
    name: "derive, reads by predicate",
    build: (graph, s) =>
      derive({ graph, name: "where", from: s.left, reads: [s.right], key: keyOf, equal: sameData }, (get, i, key) => [
        { key, sum: sum(get.where(s.right, (r) => r.group === i.group)) },
      ]),
    oracle: (s) => outs(sorted(s.left).map(([key, i]) => ({ key, sum: sum(inGroup(s.right, i.group)) }))),
  },
  {
    name: "derive, many outputs with clashing keys",
    build: (graph, s) =>
      derive({ graph, name: "clash", from: s.left, key: keyOf, equal: sameData }, (_, i) =>
        Array.from({ length: i.n }, (_x, n) => ({ key: `${i.group}${n}`, sum: i.n })),
      ),
    oracle: (s) =>
      firstClaims(sorted(s.left).flatMap(([, i]) => Array.from({ length: i.n }, (_, n) => ({ key: `${i.group}${n}`, sum: i.n })))),
  },
  {
    name: "join",
    build: (graph, s) => join({ graph, name: "join", from: [s.right, s.left], equal: sameData }),
    oracle: (s) => new Map([...s.left, ...s.right]),
  },
  {
    name: "lookup",
    build: (graph, s) =>
      lookup({ graph, name: "byGroup", from: s.left, keysOf: (i) => (i.n === 0 ? [] : [i.group, `n${i.n}`]), equal: sameData }),
    oracle: (s) => {
      const out = new Map<string, Item[]>();
      for (const [, i] of sorted(s.left)) if (i.n > 0) for (const k of [i.group, `n${i.n}`]) out.set(k, [...(out.get(k) ?? []), i]);
      return out;
    },
  },
  { name: "a diamond of all kinds", build: diamond, oracle: diamondOracle },
];

/** left → groups(lookup) ↘; left+right → union(join) → derive reading both. A glitch would mix an old group with a new record. */
function diamond(graph: Parameters<Subject<Out>["build"]>[0], s: Parameters<Subject<Out>["build"]>[1]): Collection<Out> {
  const groups = lookup({ graph, name: "groups", from: s.left, keysOf: (i) => [i.group], equal: sameData });
  const union = join({ graph, name: "union", from: [s.left, s.right], equal: sameData });
  const doubled = derive({ graph, name: "doubled", from: s.left, key: keyOf, equal: sameData }, (_, i, key) => [{ key, sum: 2 * i.n }]);
  return derive({ graph, name: "top", from: union, reads: [groups, doubled, s.right], key: keyOf, equal: sameData }, (get, i, key) => {
    const twice = get.one(doubled, key);
    if (twice !== undefined) assert.equal(twice.sum, 2 * i.n, "the two sides of the diamond are of one moment");
    return [{ key, sum: i.n + (twice?.sum ?? 0) + (get.one(groups, i.group)?.length ?? 0) * 10 + get.all(s.right).length * 100 }];
  });
}

function diamondOracle(s: SourceState): Map<string, Out> {
  const union = new Map([...s.right, ...s.left]);
  return outs(
    [...union].map(([key, i]) => {
      const left = s.left.get(key);
      return { key, sum: i.n + (left === undefined ? 0 : 2 * left.n) + inGroup(s.left, i.group).length * 10 + s.right.size * 100 };
    }),
  );
}

for (const subject of subjects) test(`conformance: ${subject.name}`, () => conform(subject));

const numbers = () => {
  const errors: string[] = [];
  const graph = createGraph((e) => errors.push(`${e.collection}/${e.key}`));
  const source = staticCollection<Item>({ graph, name: "source", equal: sameData });
  return { graph, source, errors };
};

test("equality stops the wave", () => {
  const { graph, source } = numbers();
  const parity = derive({ graph, name: "parity", from: source, key: keyOf, equal: sameData }, (_, i, key) => [{ key, sum: i.n % 2 }]);
  let runs = 0;
  derive({ graph, name: "after", from: parity, key: keyOf, equal: sameData }, (_, o) => {
    runs++;
    return [o];
  });
  source.set("x", { group: "a", n: 1 });
  source.set("x", { group: "a", n: 3 });
  assert.equal(runs, 1);
  source.set("x", { group: "a", n: 2 });
  assert.equal(runs, 2);
});

test("only inputs whose reads may answer differently run again", () => {
  const { graph, source } = numbers();
  const other = staticCollection<Item>({ graph, name: "other", equal: sameData });
  const ran: string[] = [];
  derive({ graph, name: "out", from: source, reads: [other], key: keyOf, equal: sameData }, (get, i, key) => {
    ran.push(key);
    return [{ key, sum: get.where(other, (o) => o.group === i.group).length + (get.one(other, `by-${key}`)?.n ?? 0) }];
  });
  graph.batch(() => {
    source.set("x", { group: "a", n: 1 });
    source.set("y", { group: "b", n: 1 });
  });
  ran.length = 0;
  other.set("o", { group: "b", n: 0 });
  assert.deepEqual(ran, ["y"]);
  ran.length = 0;
  other.set("by-x", { group: "c", n: 5 });
  assert.deepEqual(ran, ["x"]);
  ran.length = 0;
  other.set("o", { group: "a", n: 0 }); // moves between groups: both are affected
  assert.deepEqual(ran.toSorted(), ["x", "y"]);
});

test("a transform that throws is reported, keeps its last good output and harms no other", () => {
  const { graph, source, errors } = numbers();
  const out = derive({ graph, name: "out", from: source, key: keyOf, equal: sameData }, (_, i, key) => {
    if (i.n === 3) throw new Error("three");
    return [{ key, sum: i.n }];
  });
  source.set("x", { group: "a", n: 1 });
  graph.batch(() => {
    source.set("x", { group: "a", n: 3 });
    source.set("y", { group: "a", n: 2 });
  });
  assert.deepEqual(out.list(), [
    { key: "x", sum: 1 },
    { key: "y", sum: 2 },
  ]);
  assert.deepEqual(errors, ["out/x"]);
  source.delete("x");
  assert.deepEqual(out.keys(), ["y"]);
});

test("reading an undeclared collection is a bug that is reported", () => {
  const { graph, source, errors } = numbers();
  const later = staticCollection<Item>({ graph, name: "later", equal: sameData });
  derive({ graph, name: "out", from: source, key: keyOf, equal: sameData }, (get, _i, key) => [{ key, sum: get.all(later).length }]);
  source.set("x", { group: "a", n: 1 });
  assert.deepEqual(errors, ["out/x"]);
});

test("a listener may edit the graph: its edit is a batch of its own, after all have heard", () => {
  const { source } = numbers();
  const heard: number[] = [];
  source.subscribe((changes) => {
    for (const c of changes) if (c.value !== undefined && c.value.n < 3) source.set(c.key, { ...c.value, n: c.value.n + 1 });
  });
  source.subscribe((changes) => heard.push(...changes.map((c) => c.value?.n ?? -1)));
  source.set("x", { group: "a", n: 1 });
  assert.deepEqual(heard, [1, 2, 3]);
});

test("the graph prints itself", () => {
  const { graph, source } = numbers();
  derive({ graph, name: "out", from: source, key: keyOf, equal: sameData }, (_, i, key) => [{ key, sum: i.n }]);
  source.set("x", { group: "a", n: 1 });
  assert.equal(dumpGraph(graph), "static  source  1 records  1 runs  0 deps\nderive  out     1 records  1 runs  0 deps  <- source\n");
});
