// Does every object get the waypoint it should, or the right reason? (names as in istio's ambient index tests)

import assert from "node:assert/strict";
import { test } from "node:test";
import type { NamespaceInfo } from "./namespaces.ts";
import { gateway, gatewayClass, meshOf, namespace, pod, SETTINGS, service } from "./test/fixtures.ts";
import { type Bindable, type Binding, bindWaypoint, toWaypoint, type Waypoint, waypointKey } from "./waypoints.ts";

const USE = "istio.io/use-waypoint";
const USE_NS = "istio.io/use-waypoint-namespace";
const CANARY = "istio.io/use-waypoint-canary";
const WEIGHT = "istio.io/use-waypoint-canary-weight";

const all: readonly Waypoint[] = [
  gateway("shop", "wp"),
  gateway("shop", "wp2"),
  gateway("shop", "workloads", { waypointFor: "workload" }),
  gateway("shop", "everything", { waypointFor: "all" }),
  gateway("shop", "nothing", { waypointFor: "none" }),
  gateway("shop", "starting", { ready: false }),
  gateway("infra", "closed"),
  gateway("infra", "open", { from: "All" }),
  gateway("infra", "picky", { from: "Selector", selector: { team: "a" } }),
  gateway("infra", "nobody", { from: "None" }),
].map((g) => toWaypoint(g, gatewayClass(), SETTINGS));
const find = (key: string) => all.find((w) => waypointKey(w) === key);

const ns = (labels: Record<string, string> = {}, annotations: Record<string, string> = {}): NamespaceInfo => ({
  name: "shop",
  labels,
  annotations,
});
const what = (labels: Record<string, string> = {}, more: Partial<Bindable> = {}): Bindable => ({
  kind: "service",
  namespace: "shop",
  labels,
  annotations: {},
  ...more,
});

const outcome = (b: Binding): string => {
  if (b.kind === "none") return `none: ${b.why}`;
  if (b.kind === "refused") return `${b.reason} ${b.waypoint}`;
  const canary =
    b.canary === undefined
      ? ""
      : b.canary.kind === "bound"
        ? ` + ${waypointKey(b.canary.waypoint)} ${b.canary.weight}%`
        : ` (canary: ${b.canary.reason})`;
  return `${waypointKey(b.waypoint)}${b.inherited ? " inherited" : ""}${canary}`;
};

const cases: readonly { readonly name: string; readonly what: Bindable; readonly ns?: NamespaceInfo; readonly expect: string }[] = [
  { name: "no label anywhere", what: what(), expect: "none: not-asked" },
  { name: "own label", what: what({ [USE]: "wp" }), expect: "shop/wp" },
  { name: "namespace label", what: what(), ns: ns({ [USE]: "wp" }), expect: "shop/wp inherited" },
  { name: "own label before the namespace's", what: what({ [USE]: "wp2" }), ns: ns({ [USE]: "wp" }), expect: "shop/wp2" },
  { name: "own none before the namespace's", what: what({ [USE]: "none" }), ns: ns({ [USE]: "wp" }), expect: "none: opted-out" },
  { name: "namespace none", what: what(), ns: ns({ [USE]: "none" }), expect: "none: opted-out" },
  {
    name: "a waypoint that is not there does not fall back to the namespace's",
    what: what({ [USE]: "bogus" }),
    ns: ns({ [USE]: "wp" }),
    expect: "WaypointIsNotReady shop/bogus",
  },
  { name: "not ready: no address yet", what: what({ [USE]: "starting" }), expect: "WaypointIsNotReady shop/starting" },
  {
    name: "own label and the namespace's -namespace are not mixed",
    what: what({ [USE]: "wp" }),
    ns: ns({ [USE]: "open", [USE_NS]: "infra" }),
    expect: "shop/wp",
  },
  { name: "cross-namespace, all allowed", what: what({ [USE]: "open", [USE_NS]: "infra" }), expect: "infra/open" },
  { name: "cross-namespace, same only", what: what({ [USE]: "closed", [USE_NS]: "infra" }), expect: "AttachmentDenied infra/closed" },
  { name: "cross-namespace, nobody", what: what({ [USE]: "nobody", [USE_NS]: "infra" }), expect: "AttachmentDenied infra/nobody" },
  {
    name: "cross-namespace, selector matches",
    what: what({ [USE]: "picky", [USE_NS]: "infra" }),
    ns: ns({ team: "a" }),
    expect: "infra/picky",
  },
  {
    name: "cross-namespace, selector does not match",
    what: what({ [USE]: "picky", [USE_NS]: "infra" }),
    ns: ns({ team: "b" }),
    expect: "AttachmentDenied infra/picky",
  },
  {
    name: "visible in its own namespace only",
    what: what({ [USE]: "open", [USE_NS]: "infra" }, { namespaceOnly: true }),
    expect: "CrossNamespaceWaypointForbidden infra/open",
  },
  { name: "service at a workload waypoint, explicit", what: what({ [USE]: "workloads" }), expect: "UnsupportedTrafficType shop/workloads" },
  {
    name: "service at a workload waypoint, inherited: silent",
    what: what(),
    ns: ns({ [USE]: "workloads" }),
    expect: "none: inherited-for-other-traffic",
  },
  {
    name: "workload at a service waypoint, inherited: silent",
    what: what({}, { kind: "workload" }),
    ns: ns({ [USE]: "wp" }),
    expect: "none: inherited-for-other-traffic",
  },
  {
    name: "workload at a service waypoint, explicit",
    what: what({ [USE]: "wp" }, { kind: "workload" }),
    expect: "UnsupportedTrafficType shop/wp",
  },
  {
    name: "workload at a waypoint for all",
    what: what({}, { kind: "workload" }),
    ns: ns({ [USE]: "everything" }),
    expect: "shop/everything inherited",
  },
  { name: "waypoint-for none", what: what({ [USE]: "nothing" }), expect: "UnsupportedTrafficType shop/nothing" },
  {
    name: "a waypoint has no waypoint",
    what: what({ [USE]: "wp", "gateway.istio.io/managed": "istio.io-mesh-controller" }),
    expect: "none: is-waypoint",
  },
  { name: "canary", what: what({ [USE]: "wp", [CANARY]: "wp2" }, { annotations: { [WEIGHT]: "20" } }), expect: "shop/wp + shop/wp2 20%" },
  { name: "canary without weight gets nothing", what: what({ [USE]: "wp", [CANARY]: "wp2" }), expect: "shop/wp + shop/wp2 0%" },
  {
    name: "canary weight out of range",
    what: what({ [USE]: "wp", [CANARY]: "wp2" }, { annotations: { [WEIGHT]: "101" } }),
    expect: "shop/wp (canary: CanaryInvalidWeight)",
  },
  {
    name: "canary weight is no number",
    what: what({ [USE]: "wp", [CANARY]: "wp2" }, { annotations: { [WEIGHT]: "half" } }),
    expect: "shop/wp (canary: CanaryInvalidWeight)",
  },
  {
    name: "canary is the primary",
    what: what({ [USE]: "wp", [CANARY]: "wp" }, { annotations: { [WEIGHT]: "1" } }),
    expect: "shop/wp (canary: CanarySameAsPrimary)",
  },
  {
    name: "canary not ready leaves the primary bound",
    what: what({ [USE]: "wp", [CANARY]: "starting" }, { annotations: { [WEIGHT]: "1" } }),
    expect: "shop/wp (canary: WaypointIsNotReady)",
  },
  {
    name: "the namespace's canary does not go with an own waypoint",
    what: what({ [USE]: "wp" }),
    ns: ns({ [USE]: "wp2", [CANARY]: "everything" }, { [WEIGHT]: "50" }),
    expect: "shop/wp",
  },
  {
    name: "namespace canary",
    what: what(),
    ns: ns({ [USE]: "wp", [CANARY]: "wp2" }, { [WEIGHT]: "50" }),
    expect: "shop/wp inherited + shop/wp2 50%",
  },
];
for (const c of cases) test(`bindWaypoint: ${c.name}`, () => assert.equal(outcome(bindWaypoint(c.what, c.ns, find)), c.expect));

const hostname = (ns: string, name: string) => ({
  destination: { kind: "hostname", namespace: ns, hostname: `${name}.${ns}.svc.cluster.local` },
  hboneMtlsPort: 15008,
});

test("TestAmbientIndex_WaypointConfiguredOnlyWhenReady", () => {
  const m = meshOf({
    namespaces: [namespace("shop", { labels: { [USE]: "wp" } })],
    services: [service("shop", "web", { ip: "10.96.0.5" })],
    gateways: [gateway("shop", "wp", { ready: false })],
  });
  assert.equal(m.service("shop", "web")?.service.waypoint, undefined);
  assert.equal(m.status("services/shop/web")?.conditions[0]?.reason, "WaypointIsNotReady");
  m.put("gateways", gateway("shop", "wp"));
  assert.deepEqual(m.service("shop", "web")?.service.waypoint, hostname("shop", "wp"));
  assert.equal(m.status("services/shop/web")?.conditions[0]?.status, "True");
  m.remove("gateways", "shop/wp");
  assert.equal(m.service("shop", "web")?.service.waypoint, undefined);
});

test("TestAmbientIndex_WaypointForWorkloadTraffic", () => {
  const m = meshOf({
    namespaces: [namespace("shop", { labels: { [USE]: "wp" } })],
    services: [service("shop", "web", { ip: "10.96.0.5" })],
    pods: [pod("shop", "web-1", { ip: "10.244.1.2", labels: { app: "web" } })],
    gateways: [gateway("shop", "wp", { waypointFor: "workload" })],
  });
  const has = () => [m.workload("shop", "web-1")?.waypoint !== undefined, m.service("shop", "web")?.service.waypoint !== undefined];
  assert.deepEqual(has(), [true, false]);
  m.put("gateways", gateway("shop", "wp", { waypointFor: "service" }));
  assert.deepEqual(has(), [false, true]);
  m.put("gateways", gateway("shop", "wp", { waypointFor: "all" }));
  assert.deepEqual(has(), [true, true]);
  m.put("gateways", gateway("shop", "wp", { waypointFor: "none" }));
  assert.deepEqual(has(), [false, false]);
});

test("TestAmbientIndex_ServiceAttachedWaypoints", () => {
  const m = meshOf({
    namespaces: [namespace("shop")],
    services: [service("shop", "web", { ip: "10.96.0.5", labels: { [USE]: "wp" } })],
    gateways: [gateway("shop", "wp")],
  });
  assert.deepEqual(m.service("shop", "web")?.service.waypoint, hostname("shop", "wp"));
  m.put("services", service("shop", "web", { ip: "10.96.0.5" }));
  assert.equal(m.service("shop", "web")?.service.waypoint, undefined);
  assert.deepEqual(m.status("services/shop/web")?.conditions, []);
});

test("TestAmbientIndex_WaypointAddressAddedToWorkloads, except to the waypoint's own", () => {
  const m = meshOf({
    namespaces: [namespace("shop", { labels: { [USE]: "wp" } })],
    pods: [
      pod("shop", "web-1", { ip: "10.244.1.2" }),
      pod("shop", "wp-1", { ip: "10.244.1.3", labels: { "gateway.istio.io/managed": "istio.io-mesh-controller" } }),
    ],
    gateways: [gateway("shop", "wp", { waypointFor: "all" })],
  });
  assert.deepEqual(m.workload("shop", "web-1")?.waypoint, hostname("shop", "wp"));
  assert.equal(m.workload("shop", "wp-1")?.waypoint, undefined);
});

test("TestServiceConditions: the message says where to, and what about ingress and the canary", () => {
  const m = meshOf({
    namespaces: [namespace("shop")],
    gateways: [gateway("shop", "wp")],
    services: [service("shop", "web", { ip: "10.96.0.5", labels: { [USE]: "wp", [CANARY]: "wp" } })],
  });
  assert.deepEqual(m.status("services/shop/web")?.conditions, [
    {
      type: "istio.io/WaypointBound",
      status: "True",
      reason: "WaypointAccepted",
      message:
        "Successfully attached to waypoint shop/wp. Ingress traffic is not using the waypoint, set the istio.io/ingress-use-waypoint label to true if desired. Canary waypoint not attached: canary shop/wp is the waypoint in use already",
    },
  ]);
});

test("a Gateway whose class belongs to another controller is no waypoint", () => {
  const other = { ...gatewayClass(), spec: { controllerName: "example.com/other" } };
  const m = meshOf({ namespaces: [namespace("shop")], gateways: [gateway("shop", "wp")], gatewayClasses: [other] });
  assert.equal(m.mesh.waypoints.size, 0);
  assert.equal(m.status("gateways/shop/wp"), undefined);
});

test("an address is taken where the Gateway has no hostname", () => {
  const g = gateway("shop", "wp");
  const w = toWaypoint({ ...g, status: { addresses: [{ type: "IPAddress", value: "10.96.0.9" }] } }, undefined, SETTINGS);
  assert.deepEqual(w.address, { destination: { kind: "address", network: "", ip: "10.96.0.9" }, hboneMtlsPort: 15008 });
});
