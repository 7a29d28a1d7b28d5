// Is a path made one that every reader takes the same way?

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { joinPath, normalisePath, splitPath } from "./path.ts";

test("what two readers could take differently is made one", () => {
  for (const [path, want] of [
    ["/a/b", "/a/b"],
    ["/a/./b", "/a/b"],
    ["/a/../b", "/b"],
    ["/../../b", "/b"],
    ["/a/..", "/"],
    ["/a/.", "/a/"],
    ["/a/%2e%2e/b", "/b"],
    ["/a/%2E./b", "/b"],
    ["/%61dmin", "/admin"],
    ["/a\\b", "/a/b"],
    ["/a\\..\\b", "/b"],
    ["//a", "//a"],
    ["/a%2Fb", "/a%2Fb"],
    ["/a%2fb", "/a%2fb"],
    ["/%zz", "/%zz"],
    ["/.well-known/x", "/.well-known/x"],
    ["/...", "/..."],
    ["*", "*"],
  ] as const)
    assert.equal(normalisePath(path), want, path);
});

test("normalising twice is normalising once, and no dot segment is left", () => {
  const part = fc.constantFrom("a", ".", "..", "%2e", "%2E", "\\", "/", "%61", "%2f", "%25", "b.");
  fc.assert(
    fc.property(fc.array(part), (parts) => {
      const once = normalisePath(`/${parts.join("")}`);
      assert.equal(normalisePath(once), once);
      assert.ok(!once.split("/").some((s) => s === "." || s === ".."));
    }),
  );
});

test("query and path come apart and together", () => {
  fc.assert(fc.property(fc.string(), (s) => joinPath(splitPath(s)) === s));
});
