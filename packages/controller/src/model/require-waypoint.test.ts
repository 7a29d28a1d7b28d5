// Whether a waypoint is a must, by every word and every binding; and what ztunnels and people are told then.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { AuthorizationPolicy, RequestAuthentication } from "@ambit/shared/kube/objects/istio.ts";
import { type RequirementQuestion, waypointRequirement } from "./require-waypoint.ts";
import { authz, gateway, gatewayClass, meshOf, namespace, service } from "./test/fixtures.ts";
import type { Binding, Waypoint } from "./waypoints.ts";

const WAYPOINT: Waypoint = {
  namespace: "shop",
  name: "wp",
  serviceAccount: "wp",
  trafficType: "service",
  address: { destination: { kind: "hostname", namespace: "shop", hostname: "wp.shop.svc.cluster.local" }, hboneMtlsPort: 15008 },
  allowed: { from: "Same" },
};
const bound: Binding = {
  kind: "bound",
  waypoint: WAYPOINT,
  address: { destination: { kind: "hostname", namespace: "shop", hostname: "wp.shop.svc.cluster.local" }, hboneMtlsPort: 15008 },
  inherited: false,
  canary: undefined,
};
const gone: Binding = { kind: "refused", waypoint: "shop/wp", reason: "WaypointIsNotReady", message: "waypoint shop/wp does not exist" };
const notAsked: Binding = { kind: "none", why: "not-asked" };
const optedOut: Binding = { kind: "none", why: "opted-out" };
const REQUIRE = "ambit.dev/require-waypoint";
const UNCAPTURED = "ambit.dev/uncaptured";

type Case = {
  readonly name: string;
  readonly binding: Binding;
  readonly labels?: Record<string, string>;
  readonly annotations?: Record<string, string>;
  readonly namespaceLabels?: Record<string, string>;
  /** Target keys that have a policy. */
  readonly attached?: readonly string[];
  /** "because | missing | uncaptured"; "" without rules. */
  readonly expect: string;
};
const policy = "AuthorizationPolicy shop/p is attached to it";
const cases: readonly Case[] = [
  { name: "nothing said, no policy: as in Istio", binding: bound, expect: "" },
  { name: "nothing said, no policy, waypoint gone: as in Istio", binding: gone, expect: "" },
  { name: "nothing asked for", binding: notAsked, attached: ["Service/shop/web"], expect: "" },
  { name: "opted out: a policy that stays attached asks for none", binding: optedOut, attached: ["Service/shop/web"], expect: "" },
  { name: "a policy on the service", binding: bound, attached: ["Service/shop/web"], expect: `${policy} |  | hairpin` },
  {
    name: "a policy on the service, waypoint gone",
    binding: gone,
    attached: ["Service/shop/web"],
    expect: `${policy} | waypoint shop/wp does not exist | hairpin`,
  },
  {
    name: "a policy on the waypoint's Gateway, which has gone",
    binding: gone,
    attached: ["Gateway/shop/wp"],
    expect: `${policy} | waypoint shop/wp does not exist | hairpin`,
  },
  {
    name: "a policy on the class",
    binding: gone,
    attached: ["GatewayClass/istio-waypoint"],
    expect: `${policy} | waypoint shop/wp does not exist | hairpin`,
  },
  { name: "a policy on another service", binding: gone, attached: ["Service/shop/other"], expect: "" },
  { name: "switched off", binding: gone, attached: ["Service/shop/web"], labels: { [REQUIRE]: "false" }, expect: "" },
  {
    name: "switched on by a label",
    binding: gone,
    labels: { [REQUIRE]: "true" },
    expect: `${REQUIRE} is "true" | waypoint shop/wp does not exist | hairpin`,
  },
  {
    name: "switched on by an annotation",
    binding: gone,
    annotations: { [REQUIRE]: "true" },
    expect: `${REQUIRE} is "true" | waypoint shop/wp does not exist | hairpin`,
  },
  {
    name: "switched on for the namespace",
    binding: gone,
    namespaceLabels: { [REQUIRE]: "true" },
    expect: `${REQUIRE} is "true" | waypoint shop/wp does not exist | hairpin`,
  },
  {
    name: "the service's word wins over its namespace's",
    binding: gone,
    labels: { [REQUIRE]: "false" },
    namespaceLabels: { [REQUIRE]: "true" },
    expect: "",
  },
  {
    name: "switched on where none is asked for",
    binding: notAsked,
    labels: { [REQUIRE]: "true" },
    expect: `${REQUIRE} is "true" | no waypoint is asked for: label it (or its namespace) with istio.io/use-waypoint | hairpin`,
  },
  {
    name: "a word that nobody understands is taken for the stricter one",
    binding: gone,
    labels: { [REQUIRE]: "yes" },
    expect: `${REQUIRE} is "yes" | waypoint shop/wp does not exist | hairpin`,
  },
  { name: "a waypoint itself needs none", binding: { kind: "none", why: "is-waypoint" }, labels: { [REQUIRE]: "true" }, expect: "" },
  {
    name: "uncaptured clients refused without a must",
    binding: bound,
    labels: { [UNCAPTURED]: "refuse" },
    expect: "undefined |  | refuse",
  },
  { name: "uncaptured: nothing to refuse without a waypoint", binding: notAsked, labels: { [UNCAPTURED]: "refuse" }, expect: "" },
  {
    name: "uncaptured clients refused although they could go through it",
    binding: bound,
    attached: ["Service/shop/web"],
    labels: { [UNCAPTURED]: "refuse" },
    expect: `${policy} |  | refuse`,
  },
  {
    name: "uncaptured clients sent through it without a must",
    binding: bound,
    labels: { [UNCAPTURED]: "hairpin" },
    expect: "undefined |  | hairpin",
  },
  {
    name: "uncaptured clients let in although it is a must",
    binding: bound,
    attached: ["Service/shop/web"],
    labels: { [UNCAPTURED]: "allow" },
    expect: `${policy} |  | allow`,
  },
  {
    name: "uncaptured: a word that nobody understands",
    binding: bound,
    labels: { [UNCAPTURED]: "maybe" },
    expect: "undefined |  | refuse",
  },
];

for (const c of cases)
  test(`require-waypoint: ${c.name}`, () => {
    const q: RequirementQuestion = {
      service: { namespace: "shop", name: "web", labels: c.labels ?? {}, annotations: c.annotations ?? {} },
      namespace: { name: "shop", labels: c.namespaceLabels ?? {}, annotations: {} },
      binding: c.binding,
      attached: (target) => (c.attached?.includes(target) === true ? ["AuthorizationPolicy shop/p"] : []),
    };
    const r = waypointRequirement(q);
    assert.equal(r.rules === undefined ? "" : `${r.because} | ${r.rules.missing} | ${r.rules.uncaptured}`, c.expect);
    if (r.rules !== undefined) assert.equal(r.rules.required, r.because !== undefined);
  });

const USES = { labels: { "istio.io/use-waypoint": "wp" } };
const TO_WEB = { targetRefs: [{ kind: "Service", name: "web" }], rules: [{}] };
const worldWith = (more: {
  policies?: readonly AuthorizationPolicy[];
  authentications?: readonly RequestAuthentication[];
  ready?: boolean;
}) =>
  meshOf({
    namespaces: [namespace("shop")],
    gatewayClasses: [gatewayClass()],
    gateways: [gateway("shop", "wp", { ready: more.ready ?? true })],
    services: [service("shop", "web", { ip: "10.96.0.1", ...USES })],
    authorizationPolicies: more.policies ?? [],
    requestAuthentications: more.authentications ?? [],
  });
const WP = { destination: { kind: "hostname", namespace: "shop", hostname: "wp.shop.svc.cluster.local" }, hboneMtlsPort: 15008 };
const told = (m: ReturnType<typeof worldWith>) => {
  const s = m.service("shop", "web")?.service;
  return { waypoint: s?.waypoint, rules: s?.waypointRules };
};

test("require-waypoint: without a policy a waypoint that goes is no longer told of, as in Istio", () => {
  const m = worldWith({});
  assert.deepEqual(told(m), { waypoint: WP, rules: undefined });
  m.remove("gateways", "shop/wp");
  assert.deepEqual(told(m), { waypoint: undefined, rules: undefined });
});

test("require-waypoint: with a policy it stays named when its Gateway goes, and comes back whole", () => {
  const m = worldWith({ policies: [authz("shop", "p", TO_WEB)] });
  assert.deepEqual(told(m), { waypoint: WP, rules: { required: true, missing: "", uncaptured: "hairpin" } });
  m.remove("gateways", "shop/wp");
  const lost = told(m);
  assert.deepEqual(lost.waypoint, WP);
  assert.match(lost.rules?.missing ?? "", /^waypoint shop\/wp does not exist/);
  const [condition] = m.mesh.statuses.list().find((s) => s.object === "shop/web")?.conditions ?? [];
  assert.equal(condition?.type, "istio.io/WaypointBound");
  assert.match(condition.message, /Traffic to this service is refused until then, because AuthorizationPolicy shop\/p is attached to it/);
  m.put("gateways", gateway("shop", "wp"));
  assert.deepEqual(told(m), { waypoint: WP, rules: { required: true, missing: "", uncaptured: "hairpin" } });
  m.remove("authorizationPolicies", "shop/p");
  assert.deepEqual(told(m), { waypoint: WP, rules: undefined });
});

test("require-waypoint: a Gateway that is not ready yet is as one that is gone", () => {
  const m = worldWith({ policies: [authz("shop", "p", TO_WEB)], ready: false });
  assert.match(told(m).rules?.missing ?? "", /is not ready: its Gateway has no address yet/);
});

test("require-waypoint: a RequestAuthentication counts as a policy", () => {
  const ra: RequestAuthentication = {
    metadata: { namespace: "shop", name: "jwt" },
    spec: { targetRefs: [{ kind: "Service", name: "web" }] },
  };
  assert.deepEqual(told(worldWith({ authentications: [ra] })).rules, { required: true, missing: "", uncaptured: "hairpin" });
});

test("require-waypoint: an AUDIT policy decides nothing and asks for nothing", () => {
  assert.equal(told(worldWith({ policies: [authz("shop", "p", { ...TO_WEB, action: "AUDIT" })] })).rules, undefined);
});
