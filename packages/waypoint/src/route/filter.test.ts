// Do filters edit paths, headers and redirects as the Gateway API says?

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Filter, HeaderEdits, PathRewrite } from "@ambit/shared/route/types.ts";
import { applyFilters, type EditedRequest, rewritePath } from "./filter.ts";

const edits = (over: Partial<HeaderEdits>): HeaderEdits => ({ set: [], add: [], remove: [], ...over });
const request: EditedRequest = {
  scheme: "http",
  authority: "echo:80",
  path: { path: "/foo/bar", query: "q=1" },
  headers: [
    ["x-set", "old"],
    ["x-add", "a"],
    ["x-gone", "1"],
  ],
};

test("path rewrites (the table of HTTPPathModifier)", () => {
  const prefix = (from: string, value: string): PathRewrite => ({ type: "prefix", prefix: from, value });
  for (const [path, rewrite, want] of [
    ["/foo/bar", prefix("/foo", "/xyz"), "/xyz/bar"],
    ["/foo/bar", prefix("/foo", "/xyz/"), "/xyz/bar"],
    ["/foo/bar", prefix("/foo/", "/xyz"), "/xyz/bar"],
    ["/foo/bar", prefix("/foo/", "/xyz/"), "/xyz/bar"],
    ["/foo", prefix("/foo", "/xyz"), "/xyz"],
    ["/foo/", prefix("/foo", "/xyz"), "/xyz/"],
    ["/foo/bar", prefix("/foo", ""), "/bar"],
    ["/foo/bar", prefix("/foo", "/"), "/bar"],
    ["/foo/", prefix("/foo", ""), "/"],
    ["/foo/", prefix("/foo", "/"), "/"],
    ["/foo", prefix("/foo", ""), "/"],
    ["/foo", prefix("/foo", "/"), "/"],
    ["/a", prefix("/", "/xyz"), "/xyz/a"],
    ["/anything", { type: "full", value: "/one" }, "/one"],
  ] as const)
    assert.equal(rewritePath(path, rewrite), want, `${path} ${JSON.stringify(rewrite)}`);
});

const location = (over: Partial<Extract<Filter, { kind: "redirect" }>>, port = 80): string => {
  const f: Filter = { kind: "redirect", scheme: undefined, hostname: undefined, port: undefined, path: undefined, status: 302, ...over };
  const r = applyFilters([f], request, port);
  return r.kind === "redirect" ? r.location : r.kind;
};

test("Location: explicit port, else that of the scheme, else the caller's; well-known ports left out", () => {
  assert.equal(location({ hostname: "example.org" }), "http://example.org/foo/bar?q=1");
  assert.equal(location({ hostname: "example.org" }, 8080), "http://example.org:8080/foo/bar?q=1");
  assert.equal(location({ scheme: "https" }), "https://echo/foo/bar?q=1");
  assert.equal(location({ scheme: "https" }, 8080), "https://echo/foo/bar?q=1");
  assert.equal(location({ port: 8083 }), "http://echo:8083/foo/bar?q=1");
  assert.equal(location({ scheme: "https", port: 443 }), "https://echo/foo/bar?q=1");
  assert.equal(location({ scheme: "https", port: 80 }), "https://echo:80/foo/bar?q=1");
  assert.equal(location({ path: { type: "prefix", prefix: "/foo", value: "/new" } }), "http://echo/new/bar?q=1");
  assert.equal(location({ path: { type: "full", value: "/full" } }), "http://echo/full?q=1");
});

test("header edits: set replaces, add appends, remove drops, names in any case; host is the authority", () => {
  const r = applyFilters(
    [
      {
        kind: "request-headers",
        edits: edits({
          set: [
            { name: "X-Set", value: "new" },
            { name: "Host", value: "other" },
          ],
          add: [
            { name: "X-Add", value: "b" },
            { name: "x-fresh", value: "c" },
          ],
          remove: ["X-Gone"],
        }),
      },
      { kind: "response-headers", edits: edits({ remove: ["server"] }) },
    ],
    request,
    80,
  );
  assert.equal(r.kind, "forward");
  if (r.kind !== "forward") return;
  assert.equal(r.request.authority, "other");
  assert.deepEqual(Object.fromEntries(r.request.headers), { "x-set": "new", "x-add": "a,b", "x-fresh": "c" });
  assert.equal(r.responseEdits.length, 1);
});

test("a rewrite keeps the query; what is not understood fails the request", () => {
  const r = applyFilters([{ kind: "rewrite", hostname: "h", path: { type: "full", value: "/x" } }], request, 80);
  assert.deepEqual(r.kind === "forward" && [r.request.authority, r.request.path], ["h", { path: "/x", query: "q=1" }]);
  assert.deepEqual(applyFilters([{ kind: "unsupported", reason: "why" }], request, 80), { kind: "unsupported", reason: "why" });
});
