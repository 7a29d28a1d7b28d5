// Do the matchers agree with what they say, held against the plainest possible reading of it?
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseIp } from "../addr/ip.ts";
import { unwrap } from "../runtime/result.ts";
import { matches, matchTemplate } from "./match.ts";
import { type AuthzSubject, EMPTY_MATCH, type HttpAttributes, type Match, type StringMatch } from "./types.ts";

const ip = unwrap(parseIp("10.0.0.1"));
const subject = (http: Partial<HttpAttributes>): AuthzSubject => ({
  identity: undefined,
  sourceIp: ip,
  destinationIp: ip,
  destinationPort: 80,
  http: { method: "GET", path: "/", host: "h", headers: {}, ...http },
});
const holds = (m: Partial<Match>, http: Partial<HttpAttributes>): boolean => matches({ ...EMPTY_MATCH, ...m }, subject(http));

/** Short texts of few letters, so that they meet often. */
const text = fc.string({ unit: fc.constantFrom("a", "b", "/", "."), maxLength: 6 });
const segment = fc.constantFrom("", "a", "b", "ab");
const path = fc.array(segment, { maxLength: 4 }).map((s) => `/${s.join("/")}`);
const stringMatch: fc.Arbitrary<StringMatch> = fc.oneof(
  fc.record({ kind: fc.constantFrom("exact" as const, "prefix" as const, "suffix" as const), value: text }),
  fc.constant({ kind: "presence" as const }),
);

const naive = (m: StringMatch, value: string): boolean => {
  switch (m.kind) {
    case "exact":
      return [...m.value].join("|") === [...value].join("|");
    case "prefix":
      return [...m.value].every((c, i) => value[i] === c);
    case "suffix":
      return [...m.value].reverse().every((c, i) => value[value.length - 1 - i] === c);
    case "presence":
      return value.length > 0;
    case "template":
      return false;
  }
};

test("a text matches as a letter-by-letter comparison says; the negative list is the opposite", () => {
  fc.assert(
    fc.property(stringMatch, text, (m, value) => {
      assert.equal(holds({ paths: [m] }, { path: value }), naive(m, value));
      assert.equal(holds({ notPaths: [m] }, { path: value }), !naive(m, value));
      assert.equal(holds({ methods: [m] }, { method: value }), naive(m, value));
    }),
    { numRuns: 2_000 },
  );
});

test("several values are any of them, several negative ones none of them", () => {
  fc.assert(
    fc.property(fc.array(stringMatch, { minLength: 1, maxLength: 3 }), fc.array(stringMatch, { maxLength: 3 }), text, (yes, not, value) => {
      const want = yes.some((m) => naive(m, value)) && not.every((m) => !naive(m, value));
      assert.equal(holds({ paths: yes, notPaths: not }, { path: value }), want);
    }),
    { numRuns: 2_000 },
  );
});

test("hosts do not care for case, paths and methods do", () => {
  fc.assert(
    fc.property(stringMatch, text, (m, value) => {
      const loud = m.kind === "presence" ? m : { ...m, value: m.value.toUpperCase() };
      assert.equal(holds({ hosts: [loud] }, { host: value }), naive(m, value));
      assert.equal(holds({ hosts: [m] }, { host: value.toUpperCase() }), naive(m, value));
    }),
  );
  assert.equal(holds({ paths: [{ kind: "exact", value: "/A" }] }, { path: "/a" }), false);
});

/** The template as a regular expression: the other way to say it. */
const asRegex = (template: string): RegExp => {
  const parts = template.split("/");
  const one = (part: string): string => (part === "{*}" ? "[^/]+" : part.replaceAll(".", "\\."));
  const rest = parts.indexOf("{**}");
  if (rest < 0) return new RegExp(`^${parts.map(one).join("/")}$`);
  // Only the last may be the rest; anywhere else nothing matches.
  if (rest < parts.length - 1) return /(?!)/;
  return new RegExp(`^${parts.slice(0, -1).map(one).join("/")}/.*$`);
};

test("a path template matches as its regular expression does", () => {
  const template = fc
    .array(fc.constantFrom("a", "b", "ab", "{*}", "{**}", ""), { minLength: 1, maxLength: 4 })
    .map((s) => `/${s.join("/")}`);
  fc.assert(
    fc.property(template, path, (t, p) => {
      assert.equal(matchTemplate(t, p), asRegex(t).test(p), `${t} on ${p}`);
    }),
    { numRuns: 5_000 },
  );
});

test("a header that is there without a value is present; one that is not there is not", () => {
  const any: StringMatch = { kind: "presence" };
  const asks = { headers: [{ name: "x", values: [any], notValues: [] }] };
  const refuses = { headers: [{ name: "x", values: [], notValues: [any] }] };
  for (const [headers, present] of [
    [{ x: "" }, true],
    [{ x: "1" }, true],
    [{}, false],
    [{ y: "1" }, false],
  ] as const) {
    assert.equal(holds(asks, { headers }), present, JSON.stringify(headers));
    assert.equal(holds(refuses, { headers }), !present, JSON.stringify(headers));
  }
});
