// Does a rule match what the Gateway API says it matches?

import assert from "node:assert/strict";
import { test } from "node:test";
import type { RouteMatch, RouteRule, ValueMatch } from "@ambit/shared/route/types.ts";
import fc from "fast-check";
import { aRule } from "../test/rig.ts";
import { matchesPrefix, matchRoute, missed, queryParam, type RoutedRequest } from "./match.ts";
import { splitPath } from "./path.ts";
import { createPatterns } from "./regex.ts";

const regex = createPatterns().matcher;
const ctx = { callerNamespace: "shop", regex };
const exact = (value: string): ValueMatch => ({ type: "exact", value });

const req = (target: string, headers: Record<string, string> = {}, method = "GET"): RoutedRequest => ({
  method,
  ...splitPath(target),
  header: (name) => headers[name],
});
const match = (over: Partial<RouteMatch>): RouteMatch => ({ path: undefined, method: undefined, headers: [], queryParams: [], ...over });

test("a prefix is matched by path element", () => {
  for (const [prefix, path, want] of [
    ["/abc", "/abc", true],
    ["/abc", "/abc/", true],
    ["/abc", "/abc/def", true],
    ["/abc", "/abcd", false],
    ["/abc/", "/abc", true],
    ["/abc/", "/abc/d", true],
    ["/abc/", "/abcd", false],
    ["/", "/anything", true],
    ["/v2", "/v2example", false],
    ["/v2", "/foo/v2/example", false],
    ["/Abc", "/abc", false],
  ] as const)
    assert.equal(matchesPrefix(prefix, path), want, `${prefix} ${path}`);
});

/** Path elements, as the Gateway API says it: a list of elements that begins with another list. */
const elements = (path: string): string[] => {
  const list = path.split("/").slice(1);
  return list.at(-1) === "" ? list.slice(0, -1) : list;
};

test("a prefix matches as a comparison of path elements says", () => {
  const path = fc.array(fc.constantFrom("a", "b", "ab"), { maxLength: 4 }).map((s) => `/${s.join("/")}`);
  const slashed = fc.tuple(path, fc.boolean()).map(([p, slash]) => (slash && p !== "/" ? `${p}/` : p));
  fc.assert(
    fc.property(slashed, slashed, (prefix, p) => {
      const [want, have] = [elements(prefix), elements(p)];
      assert.equal(
        matchesPrefix(prefix, p),
        want.every((e, i) => have[i] === e),
        `${prefix} on ${p}`,
      );
    }),
    { numRuns: 3_000 },
  );
});

test("a prefix never matches past an element's end, and what it matches it matches with more behind", () => {
  const path = fc.string({ unit: fc.constantFrom("a", "/", "%", "."), maxLength: 6 }).map((s) => `/${s}`);
  fc.assert(
    fc.property(path, path, (prefix, p) => {
      if (matchesPrefix(prefix, p)) assert.ok(matchesPrefix(prefix, `${p}/more`), `${prefix} on ${p}`);
      if (!prefix.endsWith("/")) assert.equal(matchesPrefix(prefix, `${prefix}x`), false, prefix);
      assert.ok(matchesPrefix(prefix, prefix), prefix);
    }),
    { numRuns: 2_000 },
  );
});

test("each part of a match", () => {
  const table: [Partial<RouteMatch>, RoutedRequest, boolean][] = [
    [{ path: { type: "exact", value: "/v1" } }, req("/v1?x=y"), true],
    [{ path: { type: "exact", value: "/v1" } }, req("/v1/"), false],
    [{ path: { type: "regex", value: "/v[0-9]+" } }, req("/v12"), true],
    [{ path: { type: "regex", value: "/v[0-9]+" } }, req("/v12/x"), false],
    [{ path: { type: "regex", value: "/v[0-9" } }, req("/v1"), false],
    [{ method: "POST" }, req("/"), false],
    [{ method: "POST" }, req("/", {}, "POST"), true],
    [{ headers: [{ name: "version", match: exact("two") }] }, req("/", { version: "two" }), true],
    [{ headers: [{ name: "version", match: exact("two") }] }, req("/", { version: "two,three" }), false],
    [{ headers: [{ name: "version", match: { type: "regex", value: "t.*" } }] }, req("/", { version: "two" }), true],
    [{ headers: [{ name: "version", match: exact("") }] }, req("/"), false],
    [{ queryParams: [{ name: "animal", match: exact("whale") }] }, req("/?animal=whale&x=1"), true],
    [{ queryParams: [{ name: "animal", match: exact("whale") }] }, req("/?animal=dog&animal=whale"), false],
    [{ queryParams: [{ name: "animal", match: exact("a whale") }] }, req("/?animal=a+wh%61le"), true],
    [{ queryParams: [{ name: "animal", match: exact("whale") }] }, req("/"), false],
  ];
  for (const [m, r, want] of table) assert.equal(missed(match(m), r, ctx) === undefined, want, JSON.stringify([m, r]));
});

test("the first value of a repeated parameter counts, decoded", () => {
  assert.equal(queryParam("a=1&a=2", "a"), "1");
  assert.equal(queryParam("a%20b=%26", "a b"), "&");
  assert.equal(queryParam("flag", "flag"), "");
  assert.equal(queryParam("a=%zz", "a"), "%zz");
  assert.equal(queryParam(undefined, "a"), undefined);
});

const rule = (name: string, m: Partial<RouteMatch>, consumerNamespace?: string): RouteRule =>
  aRule({ rule: name, match: match(m), consumerNamespace });
const pick = (rules: readonly RouteRule[], r: RoutedRequest, callerNamespace = "shop"): string => {
  const found = matchRoute({ routed: true, rules }, r, { callerNamespace, regex });
  return found.kind === "rule" ? found.rule.rule : found.kind;
};

test("MeshHTTPRouteMatching: rules in order of precedence", () => {
  // As the controller sorts them: longer prefixes, then header matches, then the catch-all.
  const rules = [
    rule("v2-path", { path: { type: "prefix", value: "/v2" } }),
    rule("v1-header", { path: { type: "prefix", value: "/" }, headers: [{ name: "version", match: exact("one") }] }),
    rule("v2-header", { path: { type: "prefix", value: "/" }, headers: [{ name: "version", match: exact("two") }] }),
    rule("v1", { path: { type: "prefix", value: "/" } }),
  ];
  for (const [target, headers, want] of [
    ["/", {}, "v1"],
    ["/example", {}, "v1"],
    ["/", { version: "one" }, "v1-header"],
    ["/v2", {}, "v2-path"],
    ["/v2/", {}, "v2-path"],
    ["/v2/example", {}, "v2-path"],
    ["/", { version: "two" }, "v2-header"],
    ["/v2example", {}, "v1"],
    ["/foo/v2/example", {}, "v1"],
  ] as const)
    assert.equal(pick(rules, req(target, headers)), want, target);
});

test("no match with routes attached is a miss that says why; nothing attached is plain forwarding", () => {
  const rules = [rule("only", { path: { type: "exact", value: "/only" } })];
  assert.deepEqual(matchRoute({ routed: true, rules }, req("/"), ctx), {
    kind: "no-match",
    trail: [{ route: "HTTPRoute/shop/reviews", rule: "only", missed: "path exact /only" }],
  });
  assert.equal(matchRoute({ routed: false, rules: [] }, req("/"), ctx).kind, "unrouted");
  assert.equal(matchRoute({ routed: true, rules: [] }, req("/"), ctx).kind, "no-match");
});

test("consumer rules hold for their namespace only, and hide the producers' there", () => {
  const rules = [rule("consumer", { path: { type: "exact", value: "/c" } }, "other"), rule("producer", {})];
  assert.equal(pick(rules, req("/c"), "other"), "consumer");
  assert.equal(pick(rules, req("/p"), "other"), "no-match");
  assert.equal(pick(rules, req("/c"), "shop"), "producer");
  assert.equal(pick([rule("consumer", {}, "other")], req("/"), "shop"), "unrouted");
});
