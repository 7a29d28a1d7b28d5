import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isObject, sameJson } from "../model/object.ts";
import { applyJsonPatch } from "./json.ts";

const cases: readonly { name: string; doc: unknown; ops: unknown; expect: unknown }[] = [
  { name: "add a member", doc: { a: 1 }, ops: [{ op: "add", path: "/b", value: 2 }], expect: { a: 1, b: 2 } },
  { name: "add replaces a member", doc: { a: 1 }, ops: [{ op: "add", path: "/a", value: 2 }], expect: { a: 2 } },
  { name: "add inserts in an array", doc: [1, 3], ops: [{ op: "add", path: "/1", value: 2 }], expect: [1, 2, 3] },
  { name: "add appends with -", doc: [1], ops: [{ op: "add", path: "/-", value: 2 }], expect: [1, 2] },
  { name: "add at the root", doc: 1, ops: [{ op: "add", path: "", value: { a: 1 } }], expect: { a: 1 } },
  { name: "remove", doc: { a: [1, 2] }, ops: [{ op: "remove", path: "/a/0" }], expect: { a: [2] } },
  { name: "replace", doc: { a: [1, 2] }, ops: [{ op: "replace", path: "/a/1", value: { x: 1 } }], expect: { a: [1, { x: 1 }] } },
  { name: "move", doc: { a: 1, b: {} }, ops: [{ op: "move", from: "/a", path: "/b/c" }], expect: { b: { c: 1 } } },
  { name: "move within an array", doc: [1, 2, 3], ops: [{ op: "move", from: "/0", path: "/2" }], expect: [2, 3, 1] },
  { name: "copy", doc: { a: { x: 1 } }, ops: [{ op: "copy", from: "/a", path: "/b" }], expect: { a: { x: 1 }, b: { x: 1 } } },
  {
    name: "test passes whatever the order of members",
    doc: { a: { x: 1, y: 2 } },
    ops: [{ op: "test", path: "/a", value: { y: 2, x: 1 } }],
    expect: { a: { x: 1, y: 2 } },
  },
  { name: "escapes", doc: { "a/b": { "~": 1 } }, ops: [{ op: "replace", path: "/a~1b/~0", value: 2 }], expect: { "a/b": { "~": 2 } } },
  { name: "null is a value", doc: { a: 1 }, ops: [{ op: "add", path: "/a", value: null }], expect: { a: null } },
];
for (const c of cases) test(c.name, () => assert.deepEqual(applyJsonPatch(c.doc, c.ops), { ok: true, value: c.expect }));

const refused: readonly { name: string; doc: unknown; ops: unknown; says: RegExp }[] = [
  { name: "no array", doc: {}, ops: {}, says: /must be an array/ },
  { name: "an unknown operation", doc: {}, ops: [{ op: "merge", path: "" }], says: /"merge" is not an operation/ },
  { name: "add without value", doc: {}, ops: [{ op: "add", path: "/a" }], says: /has no value/ },
  { name: "a pointer without slash", doc: {}, ops: [{ op: "remove", path: "a" }], says: /does not start with/ },
  { name: "a bad escaped", doc: {}, ops: [{ op: "remove", path: "/~2" }], says: /"~"/ },
  { name: "remove of nothing", doc: {}, ops: [{ op: "remove", path: "/a" }], says: /does not exist/ },
  { name: "replace of nothing", doc: {}, ops: [{ op: "replace", path: "/a", value: 1 }], says: /does not exist/ },
  { name: "add below nothing", doc: {}, ops: [{ op: "add", path: "/a/b", value: 1 }], says: /does not exist/ },
  { name: "an index with a leading zero", doc: [1, 2], ops: [{ op: "remove", path: "/01" }], says: /does not exist/ },
  { name: "an index past the end", doc: [1], ops: [{ op: "add", path: "/2", value: 1 }], says: /outside the array/ },
  { name: "a test that fails", doc: { a: 1 }, ops: [{ op: "test", path: "/a", value: 2 }], says: /testing value \/a failed/ },
  { name: "a move into itself", doc: { a: {} }, ops: [{ op: "move", from: "/a", path: "/a/b" }], says: /cannot be moved into itself/ },
  { name: "an inherited member", doc: {}, ops: [{ op: "test", path: "/constructor", value: 1 }], says: /does not exist/ },
];
for (const c of refused) {
  test(`refused: ${c.name}`, () => {
    const result = applyJsonPatch(c.doc, c.ops);
    assert.ok(!result.ok);
    assert.match(result.error, c.says);
  });
}

// The difference of two documents as a patch: written for the tests, so that applying it is checked against an independent idea.
const escaped = (key: string): string => key.replaceAll("~", "~0").replaceAll("/", "~1");
const diff = (a: unknown, b: unknown, path = ""): object[] => {
  if (sameJson(a, b)) return [];
  if (!isObject(a) || !isObject(b)) return [{ op: "replace", path, value: b }];
  const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])];
  return keys.flatMap((key) => {
    const at = `${path}/${escaped(key)}`;
    if (!Object.hasOwn(b, key))
      return [
        { op: "test", path: at, value: a[key] },
        { op: "remove", path: at },
      ];
    return Object.hasOwn(a, key) ? diff(a[key], b[key], at) : [{ op: "add", path: at, value: b[key] }];
  });
};

const json = fc.jsonValue({ maxDepth: 3 });

test("property: applying the difference gives the other document, and the first one is untouched", () => {
  fc.assert(
    fc.property(json, json, (a, b) => {
      const before = structuredClone(a);
      const result = applyJsonPatch(a, diff(a, b));
      assert.ok(result.ok && sameJson(result.value, b));
      assert.ok(sameJson(a, before));
    }),
    { numRuns: 300 },
  );
});

test("property: a patch whose last operation fails changes nothing", () => {
  fc.assert(
    fc.property(json, json, (a, b) => {
      const before = structuredClone(a);
      const result = applyJsonPatch(a, [...diff(a, b), { op: "test", path: "", value: { not: [b] } }]);
      assert.ok(!result.ok);
      assert.ok(sameJson(a, before));
    }),
    { numRuns: 100 },
  );
});
