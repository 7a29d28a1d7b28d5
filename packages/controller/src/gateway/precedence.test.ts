// Which of two rules comes first? (the Gateway API's order, each line of it as a pair, and that it is an order at all)

import assert from "node:assert/strict";
import { test } from "node:test";
import type { RouteMatch, RouteRule } from "@ambit/shared/route/types.ts";
import fc from "fast-check";
import { byPrecedence, type Ranked } from "./precedence.ts";

const ANY: RouteMatch = { path: undefined, method: undefined, headers: [], queryParams: [] };
const prefix = (value: string) => ({ path: { type: "prefix" as const, value } });
const exact = (value: string) => ({ path: { type: "exact" as const, value } });
const regex = (value: string) => ({ path: { type: "regex" as const, value } });
const pairs = (n: number) => Array.from({ length: n }, (_, i) => ({ name: `n${i}`, match: { type: "exact" as const, value: "v" } }));

type Over = Partial<Omit<Ranked, "rule">> & { readonly match?: Partial<RouteMatch> };
const ranked = ({ match, ...over }: Over = {}): Ranked => ({
  // Only the match decides.
  rule: { match: { ...ANY, ...match } } as RouteRule,
  created: "2026-01-01T00:00:00Z",
  route: "shop/r",
  ruleIndex: 0,
  matchIndex: 0,
  ...over,
});

const before: readonly (readonly [string, Over, Over])[] = [
  ["exact before a longer prefix", { match: exact("/a") }, { match: prefix("/a/b/c") }],
  ["a prefix before a regular expression", { match: prefix("/") }, { match: regex("/a/b/c") }],
  ["a regular expression before no path", { match: regex("/") }, {}],
  ["the longer prefix", { match: prefix("/a/b") }, { match: prefix("/a") }],
  ["the longer prefix before a method", { match: prefix("/a/b") }, { match: { ...prefix("/a"), method: "GET" } }],
  ["a method before headers", { match: { method: "GET" } }, { match: { headers: pairs(5) } }],
  ["more headers", { match: { headers: pairs(2) } }, { match: { headers: pairs(1) } }],
  ["headers before query parameters", { match: { headers: pairs(1) } }, { match: { queryParams: pairs(5) } }],
  ["more query parameters", { match: { queryParams: pairs(2) } }, { match: { queryParams: pairs(1) } }],
  ["the older route", { created: "2025-01-01T00:00:00Z", route: "z/z" }, { route: "a/a" }],
  ["of one age, the name", { route: "shop/a" }, { route: "shop/b" }],
  ["the earlier rule of a route", { ruleIndex: 1, matchIndex: 9 }, { ruleIndex: 2 }],
  ["the earlier match of a rule", { matchIndex: 0 }, { matchIndex: 1 }],
];
for (const [name, first, second] of before)
  test(`precedence: ${name}`, () => {
    assert.ok(byPrecedence(ranked(first), ranked(second)) < 0);
    assert.ok(byPrecedence(ranked(second), ranked(first)) > 0);
  });

test("precedence: the same is the same", () => assert.equal(byPrecedence(ranked(), ranked()), 0));

const anyRanked: fc.Arbitrary<Ranked> = fc
  .record({
    path: fc.option(
      fc.record({
        type: fc.constantFrom("exact" as const, "prefix" as const, "regex" as const),
        value: fc.constantFrom("/", "/a", "/a/b"),
      }),
      { nil: undefined },
    ),
    method: fc.constantFrom(undefined, "GET"),
    headers: fc.nat(2).map(pairs),
    queryParams: fc.nat(2).map(pairs),
  })
  .chain((match) =>
    fc
      .record({
        created: fc.constantFrom("2025", "2026"),
        route: fc.constantFrom("a/a", "a/b"),
        ruleIndex: fc.nat(2),
        matchIndex: fc.nat(2),
      })
      .map((over) => ranked({ ...over, match })),
  );

test("precedence: the order does not depend on what it is asked first, so every controller sends the same rules", () => {
  fc.assert(
    fc.property(fc.array(anyRanked, { maxLength: 8 }), (list) => {
      const key = (r: Ranked): string => JSON.stringify(r);
      assert.deepEqual(list.toSorted(byPrecedence).map(key), list.toReversed().toSorted(byPrecedence).map(key));
    }),
  );
  fc.assert(
    fc.property(anyRanked, anyRanked, anyRanked, (a, b, c) => {
      if (byPrecedence(a, b) <= 0 && byPrecedence(b, c) <= 0) assert.ok(byPrecedence(a, c) <= 0);
    }),
  );
});
