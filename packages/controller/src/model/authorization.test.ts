// What do policies become for ztunnels and waypoints, and is every doubt resolved towards denying? (istio's TestRBACConvert, policy attachment)

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseIp } from "@ambit/shared/addr/ip.ts";
import { authorize } from "@ambit/shared/authz/authorize.ts";
import { type AuthzSubject, EMPTY_MATCH, type Match, type Policy } from "@ambit/shared/authz/types.ts";
import { spiffeId } from "@ambit/shared/identity/spiffe.ts";
import type { AuthorizationPolicy } from "@ambit/shared/kube/objects/istio.ts";
import { unwrap } from "@ambit/shared/runtime/result.ts";
import { toL4Policy, toL7Policy } from "./authorization.ts";
import { authz, gateway, meshOf, namespace, pod, service } from "./test/fixtures.ts";

type Spec = NonNullable<AuthorizationPolicy["spec"]>;
const exact = (value: string) => ({ kind: "exact", value }) as const;
const match = (m: Partial<Match>): Match => ({ ...EMPTY_MATCH, ...m });
const l4 = (spec: Spec, ns = "shop") => toL4Policy(authz(ns, "p", spec), "istio-system");

// ---- ztunnel: TestRBACConvert ----

const rbac: readonly {
  readonly name: string;
  readonly spec: Spec;
  readonly ns?: string;
  readonly expect: Partial<Policy> | undefined;
  readonly reason: string;
}[] = [
  { name: "allow-nothing: no rules", spec: {}, expect: { action: "ALLOW", scope: "NAMESPACE", rules: [] }, reason: "Accepted" },
  { name: "allow-all: one empty rule", spec: { rules: [{}] }, expect: { action: "ALLOW", rules: [{ clauses: [] }] }, reason: "Accepted" },
  { name: "root namespace is global", spec: { rules: [{}] }, ns: "istio-system", expect: { scope: "GLOBAL" }, reason: "Accepted" },
  {
    name: "selector",
    spec: { selector: { matchLabels: { app: "a" } }, rules: [{}] },
    expect: { scope: "WORKLOAD_SELECTOR" },
    reason: "Accepted",
  },
  {
    name: "from and to and when are clauses of one rule",
    spec: {
      action: "DENY",
      rules: [
        {
          from: [{ source: { principals: ["cluster.local/ns/a/sa/*"] } }, { source: { namespaces: ["b"] } }],
          to: [{ operation: { ports: ["80", "81"] } }],
          when: [{ key: "source.ip", notValues: ["10.0.0.0/8"] }],
        },
      ],
    },
    expect: {
      action: "DENY",
      rules: [
        {
          clauses: [
            { matches: [match({ destinationPorts: [80, 81] })] },
            {
              matches: [match({ principals: [{ kind: "prefix", value: "cluster.local/ns/a/sa/" }] }), match({ namespaces: [exact("b")] })],
            },
            { matches: [match({ notSourceIps: [{ ip: unwrap(parseIp("10.0.0.0")), bits: 8, bytes: Uint8Array.of(10, 0, 0, 0) }] })] },
          ],
        },
      ],
    },
    reason: "Accepted",
  },
  {
    name: "string matches",
    spec: { rules: [{ from: [{ source: { principals: ["*", "*x", "x*", "x"] } }] }] },
    expect: {
      rules: [
        {
          clauses: [
            {
              matches: [
                match({ principals: [{ kind: "presence" }, { kind: "suffix", value: "x" }, { kind: "prefix", value: "x" }, exact("x")] }),
              ],
            },
          ],
        },
      ],
    },
    reason: "Accepted",
  },
  {
    name: "service accounts, with and without namespace",
    spec: { rules: [{ from: [{ source: { serviceAccounts: ["a/b", "c"] } }] }] },
    expect: {
      rules: [
        {
          clauses: [
            {
              matches: [
                match({
                  serviceAccounts: [
                    { namespace: "a", serviceAccount: "b" },
                    { namespace: "shop", serviceAccount: "c" },
                  ],
                }),
              ],
            },
          ],
        },
      ],
    },
    reason: "Accepted",
  },
  {
    name: "ALLOW with HTTP attributes: the rule is omitted",
    spec: { rules: [{ to: [{ operation: { methods: ["GET"] } }] }] },
    expect: { action: "ALLOW", rules: [] },
    reason: "UnsupportedValue",
  },
  {
    name: "ALLOW with HTTP attributes in one of two rules",
    spec: { rules: [{ to: [{ operation: { methods: ["GET"] } }] }, { to: [{ operation: { ports: ["80"] } }] }] },
    expect: { rules: [{ clauses: [{ matches: [match({ destinationPorts: [80] })] }] }] },
    reason: "UnsupportedValue",
  },
  {
    name: "DENY with only HTTP attributes in a clause: the rule goes inert",
    spec: { action: "DENY", rules: [{ from: [{ source: { principals: ["x"] } }], to: [{ operation: { methods: ["GET"] } }] }] },
    expect: { rules: [{ clauses: [{ matches: [EMPTY_MATCH] }, { matches: [match({ principals: [exact("x")] })] }] }] },
    reason: "UnsupportedValue",
  },
  {
    name: "DENY with ports and methods: enforced more broadly",
    spec: { action: "DENY", rules: [{ to: [{ operation: { ports: ["80"], methods: ["GET"] } }] }] },
    expect: { rules: [{ clauses: [{ matches: [match({ destinationPorts: [80] })] }] }] },
    reason: "UnsupportedValue",
  },
  {
    name: "request principals need HTTP",
    spec: { rules: [{ from: [{ source: { requestPrincipals: ["*"] } }] }] },
    expect: { rules: [] },
    reason: "UnsupportedValue",
  },
  {
    name: "an unknown when key needs HTTP",
    spec: { rules: [{ when: [{ key: "request.headers[x]", values: ["1"] }] }] },
    expect: { rules: [] },
    reason: "UnsupportedValue",
  },
  { name: "AUDIT is not sent", spec: { action: "AUDIT", rules: [{}] }, expect: undefined, reason: "UnsupportedValue" },
  { name: "CUSTOM is not sent", spec: { action: "CUSTOM", rules: [{}] }, expect: undefined, reason: "UnsupportedValue" },
  {
    name: "malformed CIDR in ALLOW: the rule allows nothing",
    spec: { rules: [{ from: [{ source: { notIpBlocks: ["10.0.0.0/99"] } }] }] },
    expect: { rules: [] },
    reason: "UnsupportedValue",
  },
  {
    name: "malformed CIDR in DENY: the rule denies more",
    spec: { action: "DENY", rules: [{ from: [{ source: { ipBlocks: ["nonsense"] } }] }] },
    expect: { rules: [{ clauses: [] }] },
    reason: "UnsupportedValue",
  },
  {
    name: "malformed port in DENY: the rule denies more",
    spec: { action: "DENY", rules: [{ to: [{ operation: { ports: ["99999"] } }] }] },
    expect: { rules: [{ clauses: [] }] },
    reason: "UnsupportedValue",
  },
  {
    name: "a * inside a namespace, DENY: the rule denies more, never nothing",
    spec: { action: "DENY", rules: [{ from: [{ source: { namespaces: ["team-*-prod"] } }] }] },
    expect: { rules: [{ clauses: [] }] },
    reason: "UnsupportedValue",
  },
  {
    name: "a * inside a namespace, ALLOW by exception: the rule allows nothing",
    spec: { rules: [{ from: [{ source: { notNamespaces: ["team-*-prod"] } }] }] },
    expect: { rules: [] },
    reason: "UnsupportedValue",
  },
  {
    name: "a * at both ends of a principal, DENY",
    spec: { action: "DENY", rules: [{ from: [{ source: { principals: ["*/ns/bad/*"] } }] }] },
    expect: { rules: [{ clauses: [] }] },
    reason: "UnsupportedValue",
  },
  {
    name: "a * inside a source.namespace condition, DENY",
    spec: { action: "DENY", rules: [{ when: [{ key: "source.namespace", values: ["a*b"] }] }] },
    expect: { rules: [{ clauses: [] }] },
    reason: "UnsupportedValue",
  },
  {
    name: "an attribute of a later API version, ALLOW",
    spec: { rules: [{ from: [{ source: { planets: ["mars"] } as object }] }] },
    expect: { rules: [] },
    reason: "UnsupportedValue",
  },
  {
    name: "an attribute of a later API version, DENY",
    spec: { action: "DENY", rules: [{ from: [{ source: { planets: ["mars"] } as object }] }] },
    expect: { rules: [{ clauses: [] }] },
    reason: "UnsupportedValue",
  },
];
for (const c of rbac)
  test(`TestRBACConvert: ${c.name}`, () => {
    const p = l4(c.spec, c.ns);
    assert.equal(p?.condition.reason, c.reason);
    const got = p?.policy;
    assert.deepEqual(
      got === undefined ? undefined : Object.fromEntries(Object.keys(c.expect ?? {}).map((k) => [k, got[k as keyof Policy]])),
      c.expect,
    );
  });

test("what are no rules denies everything", () => {
  const spec = { rules: [{ from: "everyone" }] } as unknown as Spec;
  assert.deepEqual([l4(spec)?.policy?.action, l4(spec)?.policy?.rules], ["DENY", [{ clauses: [] }]]);
  assert.equal(toL7Policy(authz("shop", "p", { ...toWaypoint, ...spec }))?.outcome.kind, "broken");
});

test("dry run is sent as such", () => {
  assert.equal(
    toL4Policy(authz("shop", "p", { rules: [{}] }, { annotations: { "istio.io/dry-run": "true" } }), "istio-system")?.policy?.dryRun,
    true,
  );
});

test("the condition names the attributes found and what comes of it", () => {
  assert.equal(
    l4({ action: "DENY", rules: [{ to: [{ operation: { methods: ["GET"], paths: ["/x"] } }] }] })?.condition.message,
    "ztunnel does not support HTTP attributes (found: methods, paths). In ambient mode you must use a waypoint proxy to enforce HTTP rules. Within a DENY policy, rules matching only HTTP attributes have no effect.",
  );
  assert.match(
    l4({ rules: [{ from: [{ source: { ipBlocks: ["x"] } }] }] })?.condition.message ?? "",
    /spec\.rules\[0\]\.from\[0\]\.source\.ipBlocks: "x" is not an address/,
  );
});

test("a * that would mean nothing is named, with what to write instead", () => {
  assert.match(
    l4({ action: "DENY", rules: [{ from: [{ source: { namespaces: ["team-*-prod"] } }] }] })?.condition.message ?? "",
    /spec\.rules\[0\]\.from\[0\]\.source\.namespaces: "team-\*-prod": a \* may only be the first or the last character/,
  );
  assert.match(
    toL7Policy(authz("shop", "p", { ...toWaypoint, rules: [{ to: [{ operation: { paths: ["/a/*/b"] } }] }] }))?.problems[0] ?? "",
    /use \{\*\} for one whole segment/,
  );
});

test("TestAmbientIndex_Policy: pods name the policies that select them", () => {
  const m = meshOf({
    pods: [pod("shop", "a", { ip: "10.244.1.2", labels: { app: "a" } }), pod("shop", "b", { ip: "10.244.1.3", labels: { app: "b" } })],
    authorizationPolicies: [
      authz("shop", "select-a", { selector: { matchLabels: { app: "a" } }, rules: [{}] }),
      authz("istio-system", "root-a", { selector: { matchLabels: { app: "a" } }, rules: [{}] }),
      authz("other", "select-a", { selector: { matchLabels: { app: "a" } }, rules: [{}] }),
      authz("shop", "whole", { rules: [{}] }),
      authz("shop", "not-sent", { selector: { matchLabels: { app: "a" } }, action: "AUDIT" }),
    ],
  });
  assert.deepEqual(m.workload("shop", "a")?.authorizationPolicies, ["istio-system/root-a", "shop/select-a"]);
  assert.deepEqual(m.workload("shop", "b")?.authorizationPolicies, []);
  assert.deepEqual(m.mesh.policies.keys().toSorted(), ["istio-system/root-a", "other/select-a", "shop/select-a", "shop/whole"]);
  m.remove("authorizationPolicies", "shop/select-a");
  assert.deepEqual(m.workload("shop", "a")?.authorizationPolicies, ["istio-system/root-a"]);
});

// ---- waypoint ----

const toWaypoint = { targetRefs: [{ kind: "Service", name: "web" }] };
const subject = (
  over: { readonly from?: string; readonly method?: string; readonly path?: string; readonly headers?: Record<string, string> } = {},
): AuthzSubject => ({
  identity: spiffeId("cluster.local", "shop", over.from ?? "client"),
  sourceIp: unwrap(parseIp("10.244.1.2")),
  destinationIp: unwrap(parseIp("10.96.0.5")),
  destinationPort: 80,
  http: { method: over.method ?? "GET", path: over.path ?? "/", host: "web", headers: over.headers ?? {} },
});
/** Whether the one policy lets the request pass. */
const passes = (spec: Spec, s: AuthzSubject): boolean => {
  const p = toL7Policy(authz("shop", "p", { ...toWaypoint, ...spec }));
  if (p?.outcome.kind === "broken") return false;
  return authorize({ policies: p?.outcome.kind === "enforced" ? [p.outcome.policy] : [], missing: [] }, s).allowed;
};

const l7: readonly {
  readonly name: string;
  readonly spec: Spec;
  readonly request?: Parameters<typeof subject>[0];
  readonly passes: boolean;
}[] = [
  { name: "ALLOW GET", spec: { rules: [{ to: [{ operation: { methods: ["GET"] } }] }] }, passes: true },
  {
    name: "ALLOW GET, DELETE comes",
    spec: { rules: [{ to: [{ operation: { methods: ["GET"] } }] }] },
    request: { method: "DELETE" },
    passes: false,
  },
  {
    name: "DENY DELETE",
    spec: { action: "DENY", rules: [{ to: [{ operation: { methods: ["DELETE"] } }] }] },
    request: { method: "DELETE" },
    passes: false,
  },
  { name: "path prefix", spec: { rules: [{ to: [{ operation: { paths: ["/api/*"] } }] }] }, request: { path: "/api/x" }, passes: true },
  {
    name: "path template",
    spec: { rules: [{ to: [{ operation: { paths: ["/users/{*}/cart"] } }] }] },
    request: { path: "/users/7/cart" },
    passes: true,
  },
  {
    name: "path template, too deep",
    spec: { rules: [{ to: [{ operation: { paths: ["/users/{*}/cart"] } }] }] },
    request: { path: "/users/7/8/cart" },
    passes: false,
  },
  {
    name: "a * inside a path, DENY: denies more",
    spec: { action: "DENY", rules: [{ to: [{ operation: { paths: ["/users/*/cart"] } }] }] },
    request: { path: "/users/7/cart" },
    passes: false,
  },
  {
    name: "a * inside a host, ALLOW: allows nothing",
    spec: { rules: [{ to: [{ operation: { notHosts: ["w*b"] } }] }] },
    passes: false,
  },
  {
    name: "a * inside a header's value is Istio's: a value that ends with /*",
    spec: { rules: [{ when: [{ key: "request.headers[accept]", values: ["*/*"] }] }] },
    request: { headers: { accept: "text/*" } },
    passes: true,
  },
  { name: "hosts without regard to case", spec: { rules: [{ to: [{ operation: { hosts: ["WEB"] } }] }] }, passes: true },
  {
    name: "header",
    spec: { rules: [{ when: [{ key: "request.headers[X-Token]", values: ["let-me"] }] }] },
    request: { headers: { "x-token": "let-me" } },
    passes: true,
  },
  {
    name: "header, values and notValues",
    spec: { rules: [{ when: [{ key: "request.headers[x]", values: ["a*"], notValues: ["ab"] }] }] },
    request: { headers: { x: "ab" } },
    passes: false,
  },
  { name: "trust domain", spec: { rules: [{ when: [{ key: "source.trustDomain", values: ["cluster.local"] }] }] }, passes: true },
  { name: "another trust domain", spec: { rules: [{ when: [{ key: "source.trustDomain", values: ["cluster"] }] }] }, passes: false },
  {
    name: "ALLOW requestPrincipals matches nothing",
    spec: { rules: [{ from: [{ source: { requestPrincipals: ["*"] } }] }] },
    passes: false,
  },
  {
    name: "ALLOW notRequestPrincipals matches nothing",
    spec: { rules: [{ from: [{ source: { notRequestPrincipals: ["x"] } }] }] },
    passes: false,
  },
  {
    name: "ALLOW: the other source still counts",
    spec: { rules: [{ from: [{ source: { requestPrincipals: ["*"] } }, { source: { principals: ["*"] } }] }] },
    passes: true,
  },
  {
    name: "ALLOW: an unknown condition loses the rule",
    spec: { rules: [{ when: [{ key: "request.auth.claims[x]", values: ["1"] }] }] },
    passes: false,
  },
  {
    name: "ALLOW: a malformed notIpBlocks loses the source",
    spec: { rules: [{ from: [{ source: { principals: ["*"], notIpBlocks: ["bad"] } }] }] },
    passes: false,
  },
  {
    name: "DENY requestPrincipals denies more",
    spec: { action: "DENY", rules: [{ from: [{ source: { notRequestPrincipals: ["*"] } }] }] },
    passes: false,
  },
  {
    name: "DENY: what else it asks still counts",
    spec: { action: "DENY", rules: [{ from: [{ source: { notRequestPrincipals: ["*"] } }], to: [{ operation: { paths: ["/admin"] } }] }] },
    passes: true,
  },
  {
    name: "DENY: an unknown condition is left out",
    spec: { action: "DENY", rules: [{ to: [{ operation: { methods: ["GET"] } }], when: [{ key: "connection.sni", values: ["x"] }] }] },
    passes: false,
  },
  {
    name: "DENY: remoteIpBlocks beside a method keeps the method",
    spec: { action: "DENY", rules: [{ from: [{ source: { remoteIpBlocks: ["1.2.3.4"] } }], to: [{ operation: { methods: ["PUT"] } }] }] },
    passes: true,
  },
  { name: "an empty source in ALLOW matches nothing", spec: { rules: [{ from: [{ source: {} }] }] }, passes: false },
  { name: "an empty source in DENY matches everything", spec: { action: "DENY", rules: [{ from: [{ source: {} }] }] }, passes: false },
  {
    name: "CUSTOM denies what it matches",
    spec: { action: "CUSTOM", rules: [{ to: [{ operation: { paths: ["/admin"] } }] }] },
    request: { path: "/admin" },
    passes: false,
  },
  {
    name: "CUSTOM leaves the rest alone",
    spec: { action: "CUSTOM", rules: [{ to: [{ operation: { paths: ["/admin"] } }] }] },
    passes: true,
  },
  { name: "AUDIT decides nothing", spec: { action: "AUDIT", rules: [{}] }, passes: true },
  { name: "an unknown action denies everything", spec: { action: "PERHAPS", rules: [] }, passes: false },
  { name: "a bad path template loses the operation", spec: { rules: [{ to: [{ operation: { paths: ["/{**}/x"] } }] }] }, passes: false },
];
for (const c of l7) test(`waypoint policy: ${c.name}`, () => assert.equal(passes(c.spec, subject(c.request)), c.passes));

// ---- attachment and status: TestWaypointPolicyStatusCollection, TestPolicyMatcher ----

const world = (policies: readonly AuthorizationPolicy[]) =>
  meshOf({
    namespaces: [namespace("shop")],
    services: [
      service("shop", "web", { ip: "10.96.0.5", labels: { "istio.io/use-waypoint": "wp" } }),
      service("shop", "cart", { ip: "10.96.0.6", labels: { "istio.io/use-waypoint": "wp" } }),
      service("shop", "bare", { ip: "10.96.0.7" }),
    ],
    gateways: [gateway("shop", "wp")],
    authorizationPolicies: policies,
  });
const GW = "gateway.networking.k8s.io";
const attach: readonly {
  readonly name: string;
  readonly policy: AuthorizationPolicy;
  readonly on: readonly string[];
  readonly reason: string;
  readonly message?: RegExp;
}[] = [
  {
    name: "Service",
    policy: authz("shop", "p", { targetRefs: [{ kind: "Service", name: "web" }], rules: [{}] }),
    on: ["web"],
    reason: "Accepted",
    message: /^bound to shop\/wp$/,
  },
  {
    name: "Service, legacy targetRef",
    policy: authz("shop", "p", { targetRef: { kind: "Service", group: "core", name: "web" }, rules: [{}] }),
    on: ["web"],
    reason: "Accepted",
  },
  {
    name: "Gateway",
    policy: authz("shop", "p", { targetRefs: [{ group: GW, kind: "Gateway", name: "wp" }], rules: [{}] }),
    on: ["cart", "web"],
    reason: "Accepted",
  },
  {
    name: "GatewayClass in the root namespace",
    policy: authz("istio-system", "p", { targetRefs: [{ group: GW, kind: "GatewayClass", name: "istio-waypoint" }], rules: [{}] }),
    on: ["cart", "web"],
    reason: "Accepted",
  },
  {
    name: "GatewayClass elsewhere",
    policy: authz("shop", "p", { targetRefs: [{ group: GW, kind: "GatewayClass", name: "istio-waypoint" }] }),
    on: [],
    reason: "Invalid",
    message: /only be targeted from namespace istio-system/,
  },
  {
    name: "Service that is not there",
    policy: authz("shop", "p", { targetRefs: [{ kind: "Service", name: "gone" }] }),
    on: [],
    reason: "TargetNotFound",
  },
  {
    name: "Gateway that is not there",
    policy: authz("shop", "p", { targetRefs: [{ group: GW, kind: "Gateway", name: "gone" }] }),
    on: [],
    reason: "TargetNotFound",
  },
  {
    name: "Service without waypoint",
    policy: authz("shop", "p", { targetRefs: [{ kind: "Service", name: "bare" }] }),
    on: [],
    reason: "AncestorNotBound",
  },
  {
    name: "a Service of another namespace",
    policy: authz("other", "p", { targetRefs: [{ kind: "Service", name: "web" }] }),
    on: [],
    reason: "TargetNotFound",
  },
  {
    name: "a kind nobody knows",
    policy: authz("shop", "p", { targetRefs: [{ kind: "Planet", name: "mars" }] }),
    on: [],
    reason: "Invalid",
  },
  {
    name: "one of two",
    policy: authz("shop", "p", {
      targetRefs: [
        { kind: "Service", name: "web" },
        { kind: "Service", name: "gone" },
      ],
      rules: [{}],
    }),
    on: ["web"],
    reason: "PartiallyInvalid",
    message: /Service shop\/gone does not exist; bound to shop\/wp/,
  },
  {
    name: "a field that cannot be honoured",
    policy: authz("shop", "p", {
      targetRefs: [{ kind: "Service", name: "web" }],
      rules: [{ from: [{ source: { requestPrincipals: ["*"] } }] }],
    }),
    on: ["web"],
    reason: "PartiallyInvalid",
    message: /spec\.rules\[0\]\.from\[0\]\.source\.requestPrincipals is not supported by a waypoint: remove it/,
  },
];
for (const c of attach)
  test(`policy attachment: ${c.name}`, () => {
    const m = world([c.policy]);
    const on = ["bare", "cart", "web"].filter((s) => (m.owned("shop", s)?.service.policies.length ?? 0) > 0);
    assert.deepEqual(on, c.on);
    const [condition] = m.status(`authorizationPolicies/${c.policy.metadata.namespace}/p`)?.conditions ?? [];
    assert.deepEqual([condition?.type, condition?.reason], ["WaypointAccepted", c.reason]);
    assert.match(condition?.message ?? "", c.message ?? /./);
    assert.equal(m.mesh.policies.size, 0, "what has targetRefs is not sent to ztunnels");
  });

test("an unknown action breaks the services it is attached to", () => {
  const m = world([authz("shop", "p", { targetRefs: [{ kind: "Service", name: "web" }], action: "PERHAPS" })]);
  assert.deepEqual(m.owned("shop", "web")?.service.brokenPolicies, [
    { key: "shop/p", reason: 'spec.action "PERHAPS" is unknown: use ALLOW or DENY' },
  ]);
  assert.deepEqual(m.owned("shop", "cart")?.service.brokenPolicies, []);
});

test("a policy without targetRefs says ZtunnelAccepted", () => {
  const m = world([authz("shop", "p", { rules: [{}] })]);
  assert.deepEqual(m.status("authorizationPolicies/shop/p")?.conditions, [
    { type: "ZtunnelAccepted", status: "True", reason: "Accepted", message: "attached to ztunnel" },
  ]);
});
