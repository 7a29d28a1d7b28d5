// Plaintext clients of services with a waypoint: taken, or refused, as the service says; policies come first.
import assert from "node:assert/strict";
import { test } from "node:test";
import { EMPTY_MATCH, type Policy } from "@ambit/shared/authz/types.ts";
import { aPort, aService, aWorkload, ip, waypointByHost } from "@ambit/shared/state/fixtures.ts";
import { createMeshStore } from "@ambit/shared/state/store.ts";
import type { WaypointRules } from "@ambit/shared/state/types.ts";
import { planPassthrough } from "./plan.ts";

const KEY = "ns/s.ns.svc.cluster.local";
const WAYPOINT_HOST = "wp.ns.svc.cluster.local";
const US = aWorkload("us", "10.0.0.2", { services: { [KEY]: [aPort(80, 8080)] } });
const STRICT: Policy = {
  namespace: "ns",
  name: "strict",
  scope: "NAMESPACE",
  action: "DENY",
  dryRun: false,
  rules: [{ clauses: [{ matches: [{ ...EMPTY_MATCH, notPrincipals: [{ kind: "presence" }] }] }] }],
};

type Case = {
  readonly name: string;
  readonly rules?: WaypointRules;
  readonly from?: string;
  readonly port?: number;
  readonly policies?: readonly Policy[];
  readonly noWaypoint?: boolean;
  readonly expect: string;
};
const refuse: WaypointRules = { required: true, missing: "", uncaptured: "refuse" };
const hairpin: WaypointRules = { ...refuse, uncaptured: "hairpin" };
const REFUSED = `DENY: service ${KEY} takes no plaintext past its waypoint: the client is not in the mesh (ambit.dev/uncaptured)`;
const cases: readonly Case[] = [
  { name: "no rules: as in Istio", expect: "10.0.0.2:8080" },
  { name: "allowed by name", rules: { ...refuse, uncaptured: "allow" }, expect: "10.0.0.2:8080" },
  { name: "refused", rules: refuse, expect: REFUSED },
  { name: "refused also while the waypoint is missing", rules: { ...refuse, missing: "gone" }, expect: REFUSED },
  { name: "a port that the service does not have", rules: refuse, port: 9090, expect: "10.0.0.2:9090" },
  { name: "from the waypoint itself", rules: refuse, from: "10.0.0.5", expect: "10.0.0.2:8080" },
  {
    name: "sent through the waypoint, for the VIP and the service's port",
    rules: hairpin,
    expect: "10.0.0.5:15008 for 10.96.0.1:80 of wp",
  },
  { name: "hairpin: from the waypoint itself no further", rules: hairpin, from: "10.0.0.5", expect: "10.0.0.2:8080" },
  { name: "hairpin: a port that the service does not have", rules: hairpin, port: 9090, expect: "10.0.0.2:9090" },
  {
    name: "hairpin: while the waypoint is missing",
    rules: { ...hairpin, missing: "waypoint ns/wp does not exist" },
    expect: `WAYPOINT_UNAVAILABLE: service ${KEY} is reached through its waypoint only: waypoint ns/wp does not exist`,
  },
  {
    name: "hairpin: the waypoint has no instance",
    rules: hairpin,
    noWaypoint: true,
    expect: `WAYPOINT_UNAVAILABLE: service ${KEY} cannot send a plaintext client through its waypoint: the waypoint ns/${WAYPOINT_HOST} has no ready instance (no-endpoints)`,
  },
  { name: "hairpin: STRICT comes first", rules: hairpin, policies: [STRICT], expect: "DENY: explicitly denied by: ns/strict (rule 0)" },
  { name: "STRICT comes first", rules: refuse, policies: [STRICT], expect: "DENY: explicitly denied by: ns/strict (rule 0)" },
];

for (const c of cases)
  test(`uncaptured client: ${c.name}`, () => {
    const store = createMeshStore();
    store.commit([
      { kind: "service", service: aService("wp", "10.96.0.5", { ports: [aPort(15008, 15008)] }) },
      {
        kind: "service",
        service: aService("s", "10.96.0.1", {
          waypoint: waypointByHost("ns", WAYPOINT_HOST),
          ...(c.rules === undefined ? {} : { waypointRules: c.rules }),
        }),
      },
      { kind: "workload", workload: US },
      ...(c.noWaypoint === true
        ? []
        : [
            {
              kind: "workload" as const,
              workload: aWorkload("wp", "10.0.0.5", { serviceAccount: "wp", services: { [`ns/${WAYPOINT_HOST}`]: [] } }),
            },
          ]),
      ...(c.policies ?? []).map((policy) => ({ kind: "policy" as const, policy })),
    ]);
    const connection = {
      workload: US,
      remote: { ip: ip(c.from ?? "10.0.0.9"), port: 1 },
      to: { ip: ip("10.0.0.2"), port: c.port ?? 8080 },
    };
    const plan = planPassthrough(store.view, connection, () => 0);
    const to = plan.kind === "reject" ? `${plan.code}: ${plan.detail}` : `${plan.to.ip}:${plan.to.port}`;
    const via = plan.kind === "hairpin" ? ` for ${plan.tunnel.authority} of ${plan.tunnel.expect.map((id) => id.serviceAccount)}` : "";
    assert.equal(`${to}${via}`, c.expect);
  });
