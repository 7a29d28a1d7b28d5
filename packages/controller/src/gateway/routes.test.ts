// What do HTTPRoutes become, in which order, and what is said of their faults? (istio's TestConvertResources mesh cases, route sort cases)

import assert from "node:assert/strict";
import { test } from "node:test";
import type { HTTPRoute, HttpRouteFilter, HttpRouteRule } from "@ambit/shared/kube/objects/gateway.ts";
import { DEFAULT_RETRY } from "@ambit/shared/route/types.ts";
import fc from "fast-check";
import { gateway, httpRoute, meshOf, namespace, service, toService } from "../model/test/fixtures.ts";
import { gatewayDurationMs } from "./duration.ts";
import { byPrecedence, type Ranked } from "./precedence.ts";
import { compileMatch, compileRoute, type RouteService } from "./routes.ts";

const USE = { "istio.io/use-waypoint": "wp" };
const world = (routes: readonly HTTPRoute[]) =>
  meshOf({
    namespaces: [namespace("shop"), namespace("client")],
    gateways: [gateway("shop", "wp")],
    services: [
      service("shop", "web", {
        ip: "10.96.0.5",
        labels: USE,
        spec: {
          ports: [
            { name: "http", port: 80 },
            { name: "alt", port: 8080 },
          ],
        },
      }),
      service("shop", "web-v1", { ip: "10.96.0.6" }),
      service("shop", "web-v2", { ip: "10.96.0.7" }),
      service("client", "own", { ip: "10.96.0.8" }),
    ],
    httpRoutes: routes,
  });
const backend = (name: string, more: object = {}) => ({ name, port: 80, ...more });
const rulesOn = (m: ReturnType<typeof world>, port: number) => m.owned("shop", "web")?.service.ports.find((p) => p.port === port);
const labels = (m: ReturnType<typeof world>, port: number) =>
  rulesOn(m, port)?.rules.map((r) => `${r.route.slice("HTTPRoute/".length)}#${r.rule}`);

test("no route: default forwarding", () => {
  assert.deepEqual(rulesOn(world([]), 80), { port: 80, name: "http", protocol: "HTTP", routed: false, rules: [], tcpBackends: [] });
});

test("a simple route replaces default forwarding", () => {
  const m = world([
    httpRoute("shop", "r", {
      parentRefs: [toService("web", { port: 80 })],
      rules: [{ backendRefs: [backend("web-v1", { weight: 9 }), backend("web-v2")] }],
    }),
  ]);
  assert.deepEqual(rulesOn(m, 80)?.rules, [
    {
      route: "HTTPRoute/shop/r",
      rule: "0.0",
      consumerNamespace: undefined,
      match: { path: { type: "prefix", value: "/" }, method: undefined, headers: [], queryParams: [] },
      filters: [],
      backends: [
        { weight: 9, target: { kind: "service", namespace: "shop", hostname: "web-v1.shop.svc.cluster.local", port: 80 }, filters: [] },
        { weight: 1, target: { kind: "service", namespace: "shop", hostname: "web-v2.shop.svc.cluster.local", port: 80 }, filters: [] },
      ],
      requestTimeoutMs: undefined,
      backendTimeoutMs: undefined,
      retry: DEFAULT_RETRY,
    },
  ]);
});

const attachment: readonly { readonly name: string; readonly ref: object; readonly on: readonly number[]; readonly accepted?: string }[] = [
  { name: "without port: all ports", ref: toService("web"), on: [80, 8080] },
  { name: "with port", ref: toService("web", { port: 8080 }), on: [8080] },
  { name: "with sectionName", ref: toService("web", { sectionName: "alt" }), on: [8080] },
  {
    name: "port and sectionName that disagree",
    ref: toService("web", { port: 80, sectionName: "alt" }),
    on: [],
    accepted: "NoMatchingParent",
  },
  { name: "a port the service does not have", ref: toService("web", { port: 99 }), on: [], accepted: "NoMatchingParent" },
  { name: "a service that is not there", ref: toService("gone"), on: [], accepted: "NoMatchingParent" },
  { name: "a Gateway parent is somebody else's", ref: { name: "web" }, on: [] },
];
for (const c of attachment)
  test(`parentRef: ${c.name}`, () => {
    const m = world([
      httpRoute("shop", "r", { parentRefs: [c.ref as ReturnType<typeof toService>], rules: [{ backendRefs: [backend("web-v1")] }] }),
    ]);
    assert.deepEqual(
      [80, 8080].filter((p) => rulesOn(m, p)?.routed === true),
      c.on,
    );
    const parents = m.status("httpRoutes/shop/r")?.parents ?? [];
    const accepted = parents[0]?.conditions.find((x) => x.type === "Accepted");
    assert.equal(accepted?.reason, c.accepted ?? (c.on.length > 0 ? "Accepted" : undefined));
  });

test("consumer routes carry their namespace, producer routes none", () => {
  const m = world([
    httpRoute("shop", "producer", { parentRefs: [toService("web")], rules: [{ backendRefs: [backend("web-v1")] }] }),
    httpRoute("client", "consumer", {
      parentRefs: [toService("web", { namespace: "shop" })],
      rules: [{ backendRefs: [backend("web-v2", { namespace: "shop" })] }],
    }),
  ]);
  assert.deepEqual(
    rulesOn(m, 80)?.rules.map((r) => [r.route, r.consumerNamespace]),
    [
      ["HTTPRoute/client/consumer", "client"],
      ["HTTPRoute/shop/producer", undefined],
    ],
  );
});

const path = (type: string, value: string) => ({ matches: [{ path: { type, value } }] });
test("precedence over all routes of a port: exact, longest prefix, regex; then method, headers, query", () => {
  const rules: readonly HttpRouteRule[] = [
    { ...path("RegularExpression", "/a.*"), name: "regex" },
    { ...path("PathPrefix", "/"), name: "root" },
    { ...path("PathPrefix", "/a"), name: "a" },
    { ...path("PathPrefix", "/a/b/"), name: "a-b" },
    { ...path("Exact", "/a"), name: "exact" },
    { matches: [{ path: { type: "PathPrefix", value: "/a" }, method: "GET" }], name: "a-get" },
    { matches: [{ path: { type: "PathPrefix", value: "/a" }, headers: [{ name: "x", value: "1" }] }], name: "a-header" },
    { matches: [{ path: { type: "PathPrefix", value: "/a" }, queryParams: [{ name: "x", value: "1" }] }], name: "a-query" },
  ];
  const m = world([httpRoute("shop", "r", { parentRefs: [toService("web")], rules })]);
  assert.deepEqual(
    rulesOn(m, 80)?.rules.map((r) => r.rule),
    ["exact", "a-b", "a-get", "a-header", "a-query", "a", "root", "regex"],
  );
});

test("ties: the older route, then namespace/name, then the order within", () => {
  const same = { parentRefs: [toService("web")], rules: [{ backendRefs: [backend("web-v1")] }, { backendRefs: [backend("web-v2")] }] };
  const m = world([
    httpRoute("shop", "b", same, "2026-01-01T00:00:00Z"),
    httpRoute("shop", "a", same, "2026-01-01T00:00:00Z"),
    httpRoute("shop", "z", same, "2025-01-01T00:00:00Z"),
  ]);
  assert.deepEqual(labels(m, 80), ["shop/z#0.0", "shop/z#1.0", "shop/a#0.0", "shop/a#1.0", "shop/b#0.0", "shop/b#1.0"]);
});

test("property: precedence is a total order, the same whatever the order of arrival", () => {
  const ranked: fc.Arbitrary<Ranked> = fc
    .record({
      type: fc.constantFrom("exact" as const, "prefix" as const, "regex" as const),
      value: fc.constantFrom("/", "/a", "/a/b"),
      method: fc.option(fc.constant("GET"), { nil: undefined }),
      headers: fc.integer({ min: 0, max: 2 }),
      created: fc.constantFrom("2025", "2026"),
      route: fc.constantFrom("a/x", "a/y", "b/x"),
      ruleIndex: fc.integer({ min: 0, max: 2 }),
    })
    .map((r) => ({
      created: r.created,
      route: r.route,
      ruleIndex: r.ruleIndex,
      matchIndex: 0,
      rule: {
        route: r.route,
        rule: "",
        consumerNamespace: undefined,
        match: {
          path: { type: r.type, value: r.value },
          method: r.method,
          headers: Array.from({ length: r.headers }, (_, i) => ({ name: `h${i}`, match: { type: "exact" as const, value: "" } })),
          queryParams: [],
        },
        filters: [],
        backends: [],
        requestTimeoutMs: undefined,
        backendTimeoutMs: undefined,
        retry: DEFAULT_RETRY,
      },
    }));
  fc.assert(
    fc.property(fc.uniqueArray(ranked, { selector: (r) => JSON.stringify(r), maxLength: 8 }), (list) => {
      const there = list.toSorted(byPrecedence);
      assert.deepEqual(list.toReversed().toSorted(byPrecedence), there);
    }),
    { numRuns: 200 },
  );
});

const services = (key: string): RouteService | undefined =>
  ["shop/web", "shop/web-v1"].includes(key)
    ? { namespace: "shop", name: key.slice(5), hostname: `${key.slice(5)}.shop.svc.cluster.local`, ports: [{ name: "http", port: 80 }] }
    : undefined;
const compiled = (rule: HttpRouteRule) => {
  const r = compileRoute(httpRoute("shop", "r", { parentRefs: [toService("web")], rules: [rule] }), services);
  const [parent] = r.parents;
  return { rule: r.ranked[0]?.rule, accepted: parent?.accepted, resolved: parent?.resolved };
};
const reasonOf = (x: { readonly ok: boolean; readonly reason?: string } | undefined) => (x?.ok === true ? "ok" : x?.reason);

const backends: readonly { readonly name: string; readonly ref: object; readonly target: string; readonly resolved: string }[] = [
  { name: "found", ref: backend("web-v1"), target: "service", resolved: "ok" },
  { name: "not there", ref: backend("gone"), target: "invalid", resolved: "BackendNotFound" },
  { name: "no such port", ref: { name: "web-v1", port: 99 }, target: "invalid", resolved: "BackendNotFound" },
  { name: "no port named", ref: { name: "web-v1" }, target: "invalid", resolved: "BackendNotFound" },
  { name: "unknown kind", ref: backend("web-v1", { group: "x.example", kind: "Bucket" }), target: "invalid", resolved: "InvalidKind" },
  {
    name: "not there with weight 0 still does not break the rule",
    ref: backend("gone", { weight: 0 }),
    target: "invalid",
    resolved: "BackendNotFound",
  },
];
for (const c of backends)
  test(`backend: ${c.name}`, () => {
    const r = compiled({ backendRefs: [c.ref as ReturnType<typeof backend>] });
    assert.deepEqual([r.rule?.backends[0]?.target.kind, reasonOf(r.resolved), reasonOf(r.accepted)], [c.target, c.resolved, "ok"]);
  });

const edits = { set: [], add: [], remove: [] };
const filters: readonly {
  readonly name: string;
  readonly filters: readonly HttpRouteFilter[];
  readonly match?: HttpRouteRule["matches"];
  readonly expect: object;
  readonly accepted?: string;
}[] = [
  {
    name: "header modifier: lower case, the first of a name stands",
    filters: [
      {
        type: "RequestHeaderModifier",
        requestHeaderModifier: {
          set: [
            { name: "X-A", value: "1" },
            { name: "x-a", value: "2" },
          ],
          add: [{ name: "X-B", value: "3" }],
          remove: ["X-C"],
        },
      },
    ],
    expect: [
      { kind: "request-headers", edits: { set: [{ name: "x-a", value: "1" }], add: [{ name: "x-b", value: "3" }], remove: ["x-c"] } },
    ],
  },
  {
    name: "response headers",
    filters: [{ type: "ResponseHeaderModifier", responseHeaderModifier: {} }],
    expect: [{ kind: "response-headers", edits }],
  },
  {
    name: "a header value with a line break fails the request",
    filters: [{ type: "RequestHeaderModifier", requestHeaderModifier: { set: [{ name: "x", value: "a\r\nb" }] } }],
    expect: [{ kind: "unsupported", reason: 'header "x" has characters that no header may have' }],
    accepted: "UnsupportedValue",
  },
  {
    name: "a header that frames the message is refused, and the route's status says so",
    filters: [{ type: "RequestHeaderModifier", requestHeaderModifier: { set: [{ name: "Transfer-Encoding", value: "chunked" }] } }],
    expect: [{ kind: "unsupported", reason: 'header "Transfer-Encoding" belongs to the connection and the proxy: no route may edit it' }],
    accepted: "UnsupportedValue",
  },
  {
    name: "redirect, default status",
    filters: [{ type: "RequestRedirect", requestRedirect: { hostname: "example.org" } }],
    expect: [{ kind: "redirect", scheme: undefined, hostname: "example.org", port: undefined, path: undefined, status: 302 }],
  },
  {
    name: "redirect with a status that is none",
    filters: [{ type: "RequestRedirect", requestRedirect: { statusCode: 200 } }],
    expect: [{ kind: "unsupported", reason: "redirect status 200 is not one of 301, 302, 303, 307, 308" }],
    accepted: "UnsupportedValue",
  },
  {
    name: "rewrite of a prefix",
    match: [{ path: { type: "PathPrefix", value: "/old/" } }],
    filters: [{ type: "URLRewrite", urlRewrite: { hostname: "h", path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/new" } } }],
    expect: [{ kind: "rewrite", hostname: "h", path: { type: "prefix", prefix: "/old", value: "/new" } }],
  },
  {
    name: "rewrite of a prefix under an exact match",
    match: [{ path: { type: "Exact", value: "/old" } }],
    filters: [{ type: "URLRewrite", urlRewrite: { path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/new" } } }],
    expect: [{ kind: "unsupported", reason: "ReplacePrefixMatch needs a PathPrefix match" }],
    accepted: "UnsupportedValue",
  },
  {
    name: "mirror of a fraction",
    filters: [{ type: "RequestMirror", requestMirror: { backendRef: backend("web-v1"), fraction: { numerator: 1, denominator: 8 } } }],
    expect: [
      {
        kind: "mirror",
        percent: 12.5,
        backend: { kind: "service", namespace: "shop", hostname: "web-v1.shop.svc.cluster.local", port: 80 },
      },
    ],
  },
  {
    name: "an unknown filter fails the request",
    filters: [{ type: "ExtensionRef", extensionRef: { group: "x", kind: "Y", name: "z" } }],
    expect: [{ kind: "unsupported", reason: "filter ExtensionRef is not supported" }],
    accepted: "UnsupportedValue",
  },
  {
    name: "redirect and rewrite together",
    filters: [
      { type: "RequestRedirect", requestRedirect: {} },
      { type: "URLRewrite", urlRewrite: {} },
    ],
    expect: [{ kind: "unsupported", reason: "RequestRedirect and URLRewrite cannot stand together" }],
    accepted: "IncompatibleFilters",
  },
  {
    name: "one kind twice",
    filters: [{ type: "RequestHeaderModifier" }, { type: "RequestHeaderModifier" }],
    expect: [{ kind: "unsupported", reason: "filter RequestHeaderModifier stands twice" }],
    accepted: "IncompatibleFilters",
  },
];
for (const c of filters)
  test(`filter: ${c.name}`, () => {
    const r = compiled({ filters: c.filters, ...(c.match === undefined ? {} : { matches: c.match }) });
    assert.deepEqual([r.rule?.filters, reasonOf(r.accepted)], [c.expect, c.accepted ?? "ok"]);
  });

test("a redirect on a backend is not honoured: its share fails", () => {
  const r = compiled({ backendRefs: [{ ...backend("web-v1"), filters: [{ type: "RequestRedirect", requestRedirect: {} }] }] });
  assert.deepEqual([r.rule?.backends[0]?.filters[0]?.kind, reasonOf(r.accepted)], ["unsupported", "UnsupportedValue"]);
});

test("timeouts and retries", () => {
  const r = compiled({ timeouts: { request: "10s", backendRequest: "500ms" }, retry: { codes: [503], attempts: 3, backoff: "1s" } }).rule;
  assert.deepEqual([r?.requestTimeoutMs, r?.backendTimeoutMs, r?.retry], [10_000, 500, { attempts: 3, codes: [503], backoffMs: 1000 }]);
  assert.equal(compiled({ timeouts: { request: "0s" } }).rule?.requestTimeoutMs, undefined);
  assert.equal(reasonOf(compiled({ timeouts: { request: "soon" } }).accepted), "UnsupportedValue");
});

const durations: readonly (readonly [string, number | undefined])[] = [
  ["10s", 10_000],
  ["1h30m", 5_400_000],
  ["500ms", 500],
  ["1m500ms", 60_500],
  ["0s", 0],
  ["1.5s", undefined],
  ["10", undefined],
  ["", undefined],
  ["100000s", undefined],
];
for (const [text, ms] of durations)
  test(`duration ${JSON.stringify(text)}`, () => {
    const d = gatewayDurationMs(text);
    assert.equal(d.ok ? d.value : undefined, ms);
  });

test("matches: the first of a header name stands, names in lower case, query names as written", () => {
  const m = compileMatch({
    headers: [
      { name: "X", value: "1" },
      { name: "x", value: "2" },
    ],
    queryParams: [{ name: "Q", value: "1", type: "RegularExpression" }],
  });
  assert.deepEqual(m.ok ? [m.value.headers, m.value.queryParams] : m.error, [
    [{ name: "x", match: { type: "exact", value: "1" } }],
    [{ name: "Q", match: { type: "regex", value: "1" } }],
  ]);
});

test("status: parents of Services only, with waypoint and fault named", () => {
  const m = world([
    httpRoute("shop", "r", {
      parentRefs: [{ name: "gw" }, toService("web"), toService("web-v1")],
      rules: [{ backendRefs: [backend("gone")] }],
    }),
  ]);
  const parents = m.status("httpRoutes/shop/r")?.parents ?? [];
  assert.deepEqual(
    parents.map((p) => [p.parentRef.name, ...p.conditions.map((c) => `${c.type}=${c.status}/${c.reason}`)]),
    [
      ["web", "Accepted=True/Accepted", "ResolvedRefs=False/BackendNotFound", "ResolvedWaypoints=True/ResolvedWaypoints"],
      ["web-v1", "Accepted=True/Accepted", "ResolvedRefs=False/BackendNotFound", "ResolvedWaypoints=False/WaypointMissing"],
    ],
  );
  assert.equal(parents[0]?.conditions[1]?.message, "backend Service shop/gone does not exist");
});

test("a backend that appears mends the route", () => {
  const m = world([httpRoute("shop", "r", { parentRefs: [toService("web", { port: 80 })], rules: [{ backendRefs: [backend("late")] }] })]);
  const target = () => rulesOn(m, 80)?.rules[0]?.backends[0]?.target.kind;
  assert.equal(target(), "invalid");
  m.put("services", service("shop", "late", { ip: "10.96.0.9" }));
  assert.equal(target(), "service");
  m.remove("httpRoutes", "shop/r");
  assert.equal(rulesOn(m, 80)?.routed, false);
});
