import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isObject, sameJson } from "../model/object.ts";
import { applyMergePatch } from "./merge.ts";

// RFC 7396, Appendix A.
const cases: readonly (readonly [doc: unknown, patch: unknown, expect: unknown])[] = [
  [{ a: "b" }, { a: "c" }, { a: "c" }],
  [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
  [{ a: "b" }, { a: null }, {}],
  [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
  [{ a: ["b"] }, { a: "c" }, { a: "c" }],
  [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
  [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
  [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
  [
    ["a", "b"],
    ["c", "d"],
    ["c", "d"],
  ],
  [{ a: "b" }, ["c"], ["c"]],
  [{ a: "foo" }, null, null],
  [{ a: "foo" }, "bar", "bar"],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: "b", c: null }, { a: "b" }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
];
for (const [doc, patch, expect] of cases) {
  test(`${JSON.stringify(doc)} + ${JSON.stringify(patch)}`, () => assert.deepEqual(applyMergePatch(doc, patch), expect));
}

/** The merge patch from a to b; it can say everything but a null inside an object. */
const diff = (a: unknown, b: unknown): unknown => {
  if (!isObject(a) || !isObject(b)) return b;
  const gone = Object.keys(a).filter((key) => !Object.hasOwn(b, key));
  const changed = Object.entries(b).filter(([key, value]) => !Object.hasOwn(a, key) || !sameJson(a[key], value));
  return Object.fromEntries([...gone.map((key) => [key, null]), ...changed.map(([key, value]) => [key, diff(a[key], value)])]);
};

const withoutNulls = (value: unknown): unknown => {
  if (Array.isArray(value)) return value;
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).flatMap(([k, v]) => (v === null ? [] : [[k, withoutNulls(v)]])));
};

test("property: merging the difference gives the other document, and the first one is untouched", () => {
  const json = fc.jsonValue({ maxDepth: 3 });
  fc.assert(
    fc.property(json, json, (a, raw) => {
      const b = withoutNulls(raw);
      const before = structuredClone(a);
      assert.ok(sameJson(applyMergePatch(a, diff(a, b)), b));
      assert.ok(sameJson(a, before));
    }),
    { numRuns: 300 },
  );
});
