// The cases of ztunnel's inbound.rs (validate_destination, find_inbound_upstream, build_inbound_request), and policy at the door.

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSocketAddr } from "@ambit/shared/addr/socket.ts";
import { EMPTY_MATCH, type Policy } from "@ambit/shared/authz/types.ts";
import { parseSpiffeId } from "@ambit/shared/identity/spiffe.ts";
import { unwrap } from "@ambit/shared/runtime/result.ts";
import { aPort, aService, aWorkload, ip, waypointByIp } from "@ambit/shared/state/fixtures.ts";
import { createMeshStore } from "@ambit/shared/state/store.ts";
import type { Service, Workload } from "@ambit/shared/state/types.ts";
import { planPassthrough } from "./passthrough/plan.ts";
import { type InboundPlan, type InboundRequest, planInbound } from "./plan.ts";
import { encodeProxyHeader } from "./proxy-header.ts";

const US = aWorkload("us", "10.0.0.2", {
  addresses: [ip("10.0.0.2"), ip("fd00::2")],
  services: { "ns/s.ns.svc.cluster.local": [aPort(80, 8080)], "ns/unmapped.ns.svc.cluster.local": [] },
});
const CLIENT = unwrap(parseSpiffeId("spiffe://cluster.local/ns/ns/sa/client"));
const SERVICES = [
  aService("s", "10.96.0.1"),
  aService("unmapped", "10.96.0.2", { ports: [aPort(80, 0)] }),
  aService("other", "10.96.0.3"),
  aService("loop", "10.96.0.4", { ports: [aPort(80, 15008)] }),
];

const policy = (action: Policy["action"], rules: Policy["rules"], over: Partial<Policy> = {}): Policy => ({
  namespace: "ns",
  name: action.toLowerCase(),
  scope: "NAMESPACE",
  action,
  dryRun: false,
  rules,
  ...over,
});
const principal = (value: string) => [{ clauses: [{ matches: [{ ...EMPTY_MATCH, principals: [{ kind: "exact" as const, value }] }] }] }];
const STRICT = policy("DENY", [{ clauses: [{ matches: [{ ...EMPTY_MATCH, notPrincipals: [{ kind: "presence" }] }] }] }], {
  name: "strict",
});

const view = (state: { workloads?: readonly Workload[]; services?: readonly Service[]; policies?: readonly Policy[] }) => {
  const store = createMeshStore();
  store.commit([
    ...[...SERVICES, ...(state.services ?? [])].map((service) => ({ kind: "service" as const, service })),
    ...[US, ...(state.workloads ?? [])].map((workload) => ({ kind: "workload" as const, workload })),
    ...(state.policies ?? []).map((p) => ({ kind: "policy" as const, policy: p })),
  ]);
  return store.view;
};

const seen = (plan: InboundPlan) =>
  plan.kind === "reject"
    ? `${plan.code}: ${plan.detail}`
    : `${plan.to.ip} ${plan.to.port} as ${plan.as ?? "own"}${plan.proxyHeader === undefined ? "" : " with header"} for ${plan.service?.name ?? "none"}`;

type Case = {
  readonly name: string;
  readonly authority: string;
  readonly local?: string;
  readonly remote?: string;
  readonly method?: string;
  readonly us?: Partial<Workload>;
  readonly forwarded?: string;
  readonly state?: Parameters<typeof view>[0];
  readonly expect: string;
};

const TUNNEL = { applicationTunnel: { protocol: "PROXY", port: 15088 } } as const;

const cases: readonly Case[] = [
  { name: "the pod's address", authority: "10.0.0.2:8080", expect: "10.0.0.2 8080 as 10.0.0.9 for s" },
  {
    name: "the pod's IPv6 address",
    authority: "[fd00::2]:9",
    local: "[fd00::2]:15008",
    remote: "[fd00::9]:1",
    expect: "fd00::2 9 as fd00::9 for none",
  },
  { name: "from itself: no address is lent", authority: "10.0.0.2:8080", remote: "10.0.0.2:1", expect: "10.0.0.2 8080 as own for s" },
  {
    name: "hbone_ip_mismatch: another pod's address",
    authority: "10.0.0.3:8080",
    expect: "IP_MISMATCH: 10.0.0.3:8080 was asked of 10.0.0.2, which is another pod",
  },
  {
    name: "hbone_ip_mismatch: the other address of the same pod",
    authority: "[fd00::2]:8080",
    expect: "IP_MISMATCH: [fd00::2]:8080 was asked of 10.0.0.2, which is another pod",
  },
  {
    name: "hbone_ip_mismatch: loopback, reached over loopback",
    authority: "127.0.0.1:8080",
    local: "127.0.0.1:15008",
    expect: "IP_MISMATCH: 127.0.0.1:8080 was asked of 127.0.0.1, which is another pod",
  },
  {
    name: "hbone_ip_mismatch: a service's VIP, when we are no waypoint",
    authority: "10.96.0.1:80",
    expect: "IP_MISMATCH: 10.96.0.1:80 was asked of 10.0.0.2, which is another pod",
  },
  {
    // To the pod, never to the VIP: dialling that would pass the waypoint by, with its routes and policies.
    name: "sandwich: a VIP whose service has us as waypoint goes to this pod",
    authority: "10.96.0.9:80",
    state: { services: [aService("meshed", "10.96.0.9", { waypoint: waypointByIp("10.0.0.2") })] },
    expect: "10.0.0.2 80 as 10.0.0.9 for none",
  },
  {
    name: "sandwich: a workload that has us as waypoint goes to this pod",
    authority: "10.0.0.7:80",
    state: { workloads: [aWorkload("meshed", "10.0.0.7", { waypoint: waypointByIp("10.0.0.2") })] },
    expect: "10.0.0.2 80 as 10.0.0.9 for none",
  },
  {
    name: "sandwich: an IPv6 VIP that came over IPv4 goes to this pod's IPv4 address",
    authority: "[fd00:96::9]:80",
    state: { services: [aService("meshed", "fd00:96::9", { waypoint: waypointByIp("10.0.0.2") })] },
    expect: "10.0.0.2 80 as 10.0.0.9 for none",
  },
  {
    name: "sandwich: a port of the mesh itself stays closed",
    authority: "10.96.0.9:15001",
    state: { services: [aService("meshed", "10.96.0.9", { waypoint: waypointByIp("10.0.0.2") })] },
    expect: "SELF_CALL: 10.0.0.2:15001 is a port of the mesh itself",
  },
  {
    name: "sandwich: a workload with another waypoint",
    authority: "10.0.0.7:80",
    state: { workloads: [aWorkload("meshed", "10.0.0.7", { waypoint: waypointByIp("10.0.0.8") }), aWorkload("w", "10.0.0.8")] },
    expect: "IP_MISMATCH: 10.0.0.7:80 was asked of 10.0.0.2, which is another pod",
  },
  {
    name: "application tunnel: the port behind it, over loopback, told by a header",
    authority: "10.96.0.1:80",
    us: TUNNEL,
    expect: "127.0.0.1 15088 as own with header for s",
  },
  { name: "hostname: the endpoint's port", authority: "s.ns.svc.cluster.local:80", expect: "10.0.0.2 8080 as 10.0.0.9 for s" },
  {
    name: "hostname: a named port that this pod does not map",
    authority: "unmapped.ns.svc.cluster.local:80",
    expect: "NO_SERVICE_PORT: service ns/unmapped.ns.svc.cluster.local has no port 80 that this pod serves",
  },
  {
    name: "hostname: a service that this pod is not an endpoint of",
    authority: "other.ns.svc.cluster.local:80",
    expect: "NO_HEALTHY_UPSTREAM: this pod is not an endpoint of service ns/other.ns.svc.cluster.local",
  },
  {
    name: "hostname: unknown",
    authority: "nobody.example.com:80",
    expect: "NO_HEALTHY_UPSTREAM: no service has the hostname nobody.example.com",
  },
  {
    name: "hostname: a target port that is our own",
    authority: "loop.ns.svc.cluster.local:80",
    us: { services: { "ns/loop.ns.svc.cluster.local": [] } },
    expect: "SELF_CALL: 10.0.0.2:15008 is a port of the mesh itself",
  },
  ...[15001, 15006, 15008].map((port) => ({
    name: `malicious_calls: the pod's own port ${port}`,
    authority: `10.0.0.2:${port}`,
    expect: `SELF_CALL: 10.0.0.2:${port} is a port of the mesh itself`,
  })),
  { name: "another method", authority: "10.0.0.2:80", method: "GET", expect: 'BAD_REQUEST: the method must be CONNECT, not "GET"' },
  {
    name: "the service that the caller names wins over the port",
    authority: "10.0.0.2:8080",
    forwarded: 'for="10.0.0.9:1";host=second.ns.svc.cluster.local',
    us: { services: { ...US.services, "ns/second.ns.svc.cluster.local": [aPort(80, 8080)] } },
    state: { services: [aService("second", "10.96.0.8")] },
    expect: "10.0.0.2 8080 as 10.0.0.9 for second",
  },
  {
    name: "policy: STRICT lets an identity pass",
    authority: "10.0.0.2:8080",
    state: { policies: [STRICT] },
    expect: "10.0.0.2 8080 as 10.0.0.9 for s",
  },
  {
    name: "test_policy: denied by name",
    authority: "10.0.0.2:8080",
    state: { policies: [policy("DENY", principal("cluster.local/ns/ns/sa/client"))] },
    expect: "DENY: explicitly denied by: ns/deny (rule 0)",
  },
  {
    name: "test_policy: not allowed by any",
    authority: "10.0.0.2:8080",
    state: { policies: [policy("ALLOW", principal("cluster.local/ns/ns/sa/someone"))] },
    expect: "DENY: allow policies exist, but none allowed: ns/allow",
  },
  {
    name: "a policy that the workload names but that has not arrived denies",
    authority: "10.0.0.2:8080",
    us: { authorizationPolicies: ["ns/late"] },
    expect: "DENY: denied: policy ns/late applies to this workload but has not been received, or could not be read",
  },
];

const requestOf = (c: Case): InboundRequest => ({
  workload: { ...US, ...c.us },
  method: c.method ?? "CONNECT",
  authority: c.authority,
  peer: CLIENT,
  remote: unwrap(parseSocketAddr(c.remote ?? "10.0.0.9:1234")),
  local: unwrap(parseSocketAddr(c.local ?? "10.0.0.2:15008")),
  forwarded: c.forwarded ?? "",
});

for (const c of cases) test(`inbound: ${c.name}`, () => assert.equal(seen(planInbound(view(c.state ?? {}), requestOf(c))), c.expect));

for (const authority of ["", "10.0.0.2", "10.0.0.2:0", "10.0.0.2:80:80", "host", "10.0.0.2:99999"])
  test(`inbound: the authority ${JSON.stringify(authority)} is refused`, () => {
    const plan = planInbound(view({}), requestOf({ name: "", authority, expect: "" }));
    assert.equal(plan.kind === "reject" ? plan.code : plan.kind, "BAD_REQUEST");
  });

test("the policy is asked for the application's port and the caller's address and identity", () => {
  const plan = planInbound(view({}), requestOf({ name: "", authority: "s.ns.svc.cluster.local:80", expect: "" }));
  assert.deepEqual(plan.subject, { identity: CLIENT, sourceIp: "10.0.0.9", destinationIp: "10.0.0.2", destinationPort: 8080 });
});

test("the PROXY header names the caller, the address it meant and its identity", () => {
  const plan = planInbound(view({}), requestOf({ name: "", authority: "10.96.0.1:80", us: TUNNEL, expect: "" }));
  assert.ok(plan.kind === "forward" && plan.proxyHeader !== undefined);
  const uri = Buffer.from(CLIENT.uri);
  assert.deepEqual(
    encodeProxyHeader(plan.proxyHeader),
    Buffer.concat([
      Buffer.from("0d0a0d0a000d0a515549540a2111", "hex"),
      Buffer.from([0, 12 + 3 + uri.length]),
      Buffer.from([10, 0, 0, 9, 10, 96, 0, 1, 1234 >> 8, 1234 & 255, 0, 80]),
      Buffer.from([0xd0, 0, uri.length]),
      uri,
    ]),
  );
});

test("a PROXY header with one IPv6 end is IPv6 altogether", () => {
  const header = encodeProxyHeader({
    source: { ip: ip("10.0.0.9"), port: 1 },
    destination: { ip: ip("fd00::2"), port: 2 },
    identity: CLIENT,
  });
  assert.equal(header[13], 0x21);
  assert.equal(header.subarray(16, 32).toString("hex"), "00000000000000000000ffff0a000009");
});

const plaintext = [
  { name: "no policy", to: "10.0.0.2:80", policies: [], expect: "10.0.0.2 80 as 10.0.0.9" },
  { name: "STRICT refuses plaintext", to: "10.0.0.2:80", policies: [STRICT], expect: "DENY: explicitly denied by: ns/strict (rule 0)" },
  {
    name: "an ALLOW by identity refuses plaintext",
    to: "10.0.0.2:80",
    policies: [policy("ALLOW", principal("cluster.local/ns/ns/sa/client"))],
    expect: "DENY: allow policies exist, but none allowed: ns/allow",
  },
  ...[15001, 15006, 15008].map((port) => ({
    name: `malicious_calls: ${port}`,
    to: `10.0.0.2:${port}`,
    policies: [],
    expect: `SELF_CALL: 10.0.0.2:${port} is a port of the mesh itself`,
  })),
];
for (const c of plaintext)
  test(`passthrough: ${c.name}`, () => {
    const connection = { workload: US, remote: unwrap(parseSocketAddr("10.0.0.9:1234")), to: unwrap(parseSocketAddr(c.to)) };
    const plan = planPassthrough(view({ policies: c.policies }), connection, () => 0);
    const text = plan.kind === "forward" ? `${plan.to.ip} ${plan.to.port} as ${plan.as}` : plan.kind;
    assert.equal(plan.kind === "reject" ? `${plan.code}: ${plan.detail}` : text, c.expect);
  });
