// What does a person read: tables as istioctl's, explanations hop by hop?
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ExplainInbound, ExplainOutbound, ExplainPod, ExplainWaypoint, ExplainWorkload } from "@ambit/shared/admin/explain.ts";
import type { ConfigDump, DumpPem } from "@ambit/shared/state/config-dump.ts";
import { dumpPolicy, dumpService, dumpWorkload } from "@ambit/shared/state/config-dump.ts";
import { aPort, aService, aWorkload, waypointByHost } from "@ambit/shared/state/fixtures.ts";
import { serviceKey } from "@ambit/shared/state/types.ts";
import { explanation } from "./explanation.ts";
import { formatted, parseFormat } from "./format.ts";
import { table } from "./table.ts";
import { certificateTable, chosenServices, chosenWorkloads, connectionTable, policyTable, serviceTable, workloadTable } from "./ztunnel.ts";

const web = aWorkload("web", "10.0.0.1", { namespace: "shop" });
const reviews = aService("reviews", "10.96.0.1", {
  namespace: "shop",
  waypoint: waypointByHost("shop", "waypoint.shop.svc.cluster.local"),
});
const v1 = aWorkload("v1", "10.0.0.2", {
  namespace: "shop",
  node: "node2",
  tunnelProtocol: "NONE",
  services: { [serviceKey(reviews)]: [aPort(80, 8080)] },
});
const v2 = { ...v1, uid: "v2", name: "v2", status: "UNHEALTHY" as const };

test("a table has aligned columns and no trailing blanks", () => {
  assert.equal(
    table(
      ["A", "LONGER"],
      [
        ["value", "x"],
        ["y", ""],
      ],
    ),
    "A       LONGER\nvalue   x\ny\n",
  );
});

test("ztunnel-config workload: istioctl's columns, filters by address, namespace and node", () => {
  const dump = { workloads: [v1, web].map(dumpWorkload) };
  assert.equal(
    workloadTable(chosenWorkloads(dump, {})),
    "NAMESPACE   POD NAME   ADDRESS    NODE    WAYPOINT   PROTOCOL\nshop        v1         10.0.0.2   node2   None       TCP\nshop        web        10.0.0.1   node1   None       HBONE\n",
  );
  assert.deepEqual(
    chosenWorkloads(dump, { node: "node2" }).map((w) => w.name),
    ["v1"],
  );
  assert.deepEqual(
    chosenWorkloads(dump, { address: "10.0.0.1" }).map((w) => w.name),
    ["web"],
  );
  assert.deepEqual(chosenWorkloads(dump, { namespace: "other" }), []);
});

test("ztunnel-config service: VIP without its network, waypoint by name, healthy of all endpoints", () => {
  const dump = {
    services: [
      dumpService(
        reviews,
        [v1, v2].map((workload) => ({ workload, ports: [aPort(80, 8080)] })),
      ),
    ],
  };
  assert.match(serviceTable(chosenServices(dump, "shop")), /^shop +reviews +10\.96\.0\.1 +waypoint +1\/2$/m);
  assert.deepEqual(chosenServices(dump, "x"), []);
});

test("ztunnel-config policy: action, scope, and dry runs told apart", () => {
  const policy = { namespace: "shop", name: "p", scope: "NAMESPACE" as const, action: "DENY" as const, dryRun: true, rules: [] };
  assert.match(policyTable([dumpPolicy(policy)]), /^shop +p +Deny \(dry run\) +Namespace$/m);
});

test("ztunnel-config certificate: leaf and root, valid only within their time; an identity without one is shown", () => {
  const pem = (from: string, until: string): DumpPem => ({ pem: "", serialNumber: "7", validFrom: from, expirationTime: until });
  const certificates = [
    {
      identity: "spiffe://td/ns/a/sa/b",
      state: "Available",
      certChain: [pem("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")],
      rootCerts: [pem("2026-01-01T00:00:00Z", "2036-01-01T00:00:00Z")],
    },
    { identity: "spiffe://td/ns/a/sa/c", state: "Initializing", certChain: [], rootCerts: [] },
  ];
  const text = certificateTable(certificates, Date.parse("2026-06-01T00:00:00Z"));
  assert.match(text, /sa\/b +Leaf +Available +false +7/);
  assert.match(text, /sa\/b +Root +Available +true +7/);
  assert.match(text, /sa\/c +None +Initializing +false/);
});

test("ztunnel-config connections: names for addresses, --raw leaves them, --direction chooses", () => {
  const state: ConfigDump["workloadState"] = {
    u: {
      state: "Up",
      info: { name: "web", namespace: "shop", serviceAccount: "default" },
      connections: {
        inbound: [{ src: "10.0.0.2:999", originalDst: "10.0.0.1:80", actualDst: "10.0.0.1:80", protocol: "HBONE" }],
        outbound: [{ src: "10.0.0.1:998", originalDst: "10.96.0.1:80", actualDst: "10.0.0.2:15008", protocol: "HBONE" }],
      },
    },
  };
  const dump = { workloadState: state, workloads: [web, v1].map(dumpWorkload) };
  assert.match(connectionTable(dump, {}), /web\.shop +Outbound +web\.shop:998 +v1\.shop:15008 +10\.96\.0\.1:80 +HBONE/);
  assert.match(connectionTable(dump, { raw: true }), /10\.0\.0\.2:999/);
  assert.doesNotMatch(connectionTable(dump, { direction: "inbound" }), /Outbound/);
});

test("formats: JSON and YAML carry the data, anything else is refused", () => {
  assert.equal(
    formatted(parseFormat("json"), { a: 1 }, () => ""),
    '{\n  "a": 1\n}\n',
  );
  assert.equal(
    formatted(parseFormat("yaml"), { a: 1 }, () => ""),
    "a: 1\n",
  );
  assert.throws(() => parseFormat("xml"), /unknown output format "xml": want short, json or yaml/);
});

const at = (name: string, address: string): ExplainWorkload => ({
  uid: name,
  namespace: "shop",
  name,
  node: "node1",
  addresses: [address],
  identity: `spiffe://td/ns/shop/sa/${name}`,
});
const captured: ExplainPod = {
  node: "node1",
  wanted: { kind: "enrol", why: "namespace-label" },
  text: "captured: because",
  done: { rules: "yes", announced: true, probes: true },
};
const outbound: ExplainOutbound = {
  source: at("web", "10.0.0.1"),
  to: "10.96.0.1:80",
  found: "service",
  service: "shop/reviews.shop.svc.cluster.local",
  kind: "hbone",
  why: "service-waypoint",
  text: "HBONE by the service's waypoint",
  via: "10.0.0.9:15008",
  authority: "10.96.0.1:80",
  expect: ["spiffe://td/ns/shop/sa/waypoint"],
  workload: at("waypoint-6b8f-x2x2x", "10.0.0.9"),
  candidates: [{ namespace: "shop", name: "far", port: 15008, rank: 0, excluded: "unhealthy" }],
};
const waypoint: ExplainWaypoint = {
  authority: "10.96.0.1:80",
  service: "shop/reviews",
  protocol: "HTTP",
  verdict: {
    allowed: false,
    text: "explicitly denied by: shop/keep (rule 0)",
    policies: [{ policy: "shop/keep", action: "DENY", dryRun: false, rule: 0, rules: 1 }],
    missing: ["shop/late"],
  },
  rules: [
    { route: "HTTPRoute/shop/r", rule: "0.0", matched: false, why: "does not match: header x" },
    { route: "HTTPRoute/shop/r", rule: "1.0", matched: true, why: "the first rule that matches" },
  ],
  chosen: "HTTPRoute/shop/r 1.0",
  filters: ["sets header a"],
  backends: [{ target: "shop/v1:80", weight: 9, share: "90%" }],
  candidates: [],
  expect: [],
  status: 403,
  text: "denied",
};
const arrival: ExplainInbound = {
  workload: at("v1", "10.0.0.2"),
  kind: "forward",
  text: "forwarded to 10.0.0.2:8080",
  verdict: { allowed: true, text: "allowed: no ALLOW policy applies", policies: [], missing: [] },
};

test("an explanation names, hop by hop, what was found, chosen, expected and refused", () => {
  const text = explanation([
    { kind: "start", pod: { namespace: "shop", name: "web" }, target: "reviews:80", address: "10.96.0.1:80", service: "shop/reviews" },
    { kind: "capture", answer: captured },
    { kind: "outbound", answer: outbound },
    { kind: "waypoint", answer: waypoint, instance: at("waypoint-6b8f-x2x2x", "10.0.0.9") },
    { kind: "arrival", answer: arrival, node: "node2" },
  ]);
  for (const line of [
    "shop/web → reviews:80 (10.96.0.1:80, Service shop/reviews)",
    "Capture, node agent of node1",
    "  address  10.96.0.1:80 is a service (shop/reviews.shop.svc.cluster.local)",
    "  waypoint shop/waypoint-6b8f-x2x2x (10.0.0.9 on node1)",
    "    shop/far port 15008, locality rank 0, not eligible: unhealthy",
    "  dials    10.0.0.9:15008, CONNECT 10.96.0.1:80",
    "  expects  spiffe://td/ns/shop/sa/waypoint",
    "Waypoint shop/waypoint",
    "  policy   DENY shop/keep: rule 0 matches",
    "  policy   shop/late: in force but not received yet, or not readable",
    "  verdict  explicitly denied by: shop/keep (rule 0)",
    "    route HTTPRoute/shop/r 0.0: does not match: header x",
    "  → route HTTPRoute/shop/r 1.0: the first rule that matches",
    "  filter   sets header a",
    "  backend  shop/v1:80 weight 9 (90%)",
    "  outcome  403: denied",
    "Arrival at shop/v1, ztunnel of node2",
    "  policies: none apply",
    "  outcome  forwarded to 10.0.0.2:8080",
  ])
    assert.ok(text.split("\n").includes(line), `${line}\n---\n${text}`);
});

test("plaintext arrivals and notes are told as they are", () => {
  const text = explanation([
    { kind: "note", text: "The connection leaves the pod as it is." },
    { kind: "arrival-uncaptured", pod: "plain/server", text: "not captured: no label" },
  ]);
  assert.match(
    text,
    /^The connection leaves the pod as it is\.\n\nArrival at plain\/server\n {2}not captured: no label\n {2}outcome {2}the application gets the connection as it comes/,
  );
});

test("a policy that could not be read is shown for what it does", () => {
  const broken = { name: "p", namespace: "ns", scope: "Namespace", action: "Deny", dryRun: false, refused: true, rules: [] } as const;
  assert.match(policyTable([broken]), /ns +p +Deny all \(could not be read\) +Namespace/);
});
