// What becomes of each filter of an HTTPRoute, and which are refused?
import assert from "node:assert/strict";
import { test } from "node:test";
import type { HeaderFilter, HttpRouteFilter } from "@ambit/shared/kube/objects/gateway.ts";
import type { Filter } from "@ambit/shared/route/types.ts";
import { incompatible, toFilter } from "./filters.ts";

const web = { kind: "service", namespace: "shop", hostname: "web.shop.svc.cluster.local", port: 80 } as const;
const become = (f: HttpRouteFilter, prefix?: string): Filter => toFilter(f, { prefix, backend: () => web });
const why = (f: Filter): string => (f.kind === "unsupported" ? f.reason : `accepted: ${JSON.stringify(f)}`);

test("header edits: lower case, the first of several stands, and what would forge a header or another request is refused", () => {
  const h = (name: string, value = "v") => ({ name, value });
  const table: [HeaderFilter | undefined, RegExp | object][] = [
    [undefined, { set: [], add: [], remove: [] }],
    [
      { set: [h("X-A", "1"), h("x-a", "2")], add: [h("X-B")], remove: ["X-C"] },
      { set: [h("x-a", "1")], add: [h("x-b")], remove: ["x-c"] },
    ],
    [{ set: [h("x", "tab\there")] }, { set: [h("x", "tab\there")], add: [], remove: [] }],
    [{ set: [h("x y")] }, /header "x y" has characters that no header may have/],
    [{ add: [h("")] }, /header "" has characters/],
    [{ set: [h("x", "a\r\nhost: b")] }, /header "x" has characters/],
    [{ set: [h("x", "\u007f")] }, /header "x" has characters/],
    [{ set: [h(":path")] }, /header ":path" has characters/],
    [{ remove: ["a b"] }, /header "a b" has characters/],
    ...["Transfer-Encoding", "content-length", "Connection", "Upgrade", "TE", "Trailer", "Expect", "keep-alive", "http2-settings"].flatMap(
      (name): [HeaderFilter, RegExp][] => [
        [{ set: [h(name)] }, new RegExp(`header "${name}" belongs to the connection`)],
        [{ add: [h(name)] }, new RegExp(`header "${name}" belongs to the connection`)],
        [{ remove: [name] }, new RegExp(`header "${name}" belongs to the connection`)],
      ],
    ),
    [{ set: [h("x-forwarded-client-cert", "URI=spiffe://td/ns/a/sa/b")] }, /header "x-forwarded-client-cert" belongs to/],
    [{ add: [h("X_Forwarded_Client_Cert")] }, /header "X_Forwarded_Client_Cert" belongs to/],
  ];
  for (const [f, want] of table) {
    const got = become(f === undefined ? { type: "RequestHeaderModifier" } : { type: "RequestHeaderModifier", requestHeaderModifier: f });
    if (want instanceof RegExp) assert.match(why(got), want);
    else assert.deepEqual(got, { kind: "request-headers", edits: want });
  }
});

test("each type of filter", () => {
  const table: [HttpRouteFilter, string | undefined, object | RegExp][] = [
    [
      { type: "RequestHeaderModifier", requestHeaderModifier: { remove: ["A"] } },
      undefined,
      { kind: "request-headers", edits: { set: [], add: [], remove: ["a"] } },
    ],
    [
      { type: "ResponseHeaderModifier", responseHeaderModifier: { remove: ["A"] } },
      undefined,
      { kind: "response-headers", edits: { set: [], add: [], remove: ["a"] } },
    ],
    [
      { type: "ResponseHeaderModifier", responseHeaderModifier: { set: [{ name: "content-length", value: "1" }] } },
      undefined,
      /belongs to/,
    ],
    [
      { type: "RequestRedirect" },
      undefined,
      { kind: "redirect", scheme: undefined, hostname: undefined, port: undefined, path: undefined, status: 302 },
    ],
    [{ type: "RequestRedirect", requestRedirect: { statusCode: 304 } }, undefined, /redirect status 304 is not one of/],
    [
      { type: "URLRewrite", urlRewrite: { hostname: "h", path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/n" } } },
      "/o",
      { kind: "rewrite", hostname: "h", path: { type: "prefix", prefix: "/o", value: "/n" } },
    ],
    [
      { type: "URLRewrite", urlRewrite: { path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/n" } } },
      undefined,
      /needs a PathPrefix/,
    ],
    [
      { type: "URLRewrite", urlRewrite: { path: { type: "ReplaceFullPath", replaceFullPath: "/n" } } },
      undefined,
      { kind: "rewrite", hostname: undefined, path: { type: "full", value: "/n" } },
    ],
    [{ type: "RequestMirror" }, undefined, /names no backend/],
    [{ type: "RequestMirror", requestMirror: { backendRef: { name: "web" } } }, undefined, { kind: "mirror", backend: web, percent: 100 }],
    [
      { type: "RequestMirror", requestMirror: { backendRef: { name: "web" }, fraction: { numerator: 1, denominator: 4 } } },
      undefined,
      { kind: "mirror", backend: web, percent: 25 },
    ],
    [{ type: "RequestMirror", requestMirror: { backendRef: { name: "web" }, percent: 101 } }, undefined, /asks for 101 percent/],
    [{ type: "ExtensionRef" }, undefined, /filter ExtensionRef is not supported/],
  ];
  for (const [f, prefix, want] of table) {
    const got = become(f, prefix);
    if (want instanceof RegExp) assert.match(why(got), want);
    else assert.deepEqual(got, want, JSON.stringify(f));
  }
});

test("filters that cannot stand together", () => {
  const of = (...types: string[]): string | undefined => incompatible(types.map((type) => ({ type }) as HttpRouteFilter));
  assert.equal(of(), undefined);
  assert.equal(of("RequestHeaderModifier", "ResponseHeaderModifier", "URLRewrite"), undefined);
  assert.equal(of("RequestMirror", "RequestMirror"), undefined);
  assert.equal(of("RequestRedirect", "URLRewrite"), "RequestRedirect and URLRewrite cannot stand together");
  assert.equal(of("URLRewrite", "URLRewrite"), "filter URLRewrite stands twice");
});
