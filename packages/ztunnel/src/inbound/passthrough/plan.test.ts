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
  readonly expect: string;
};
const refuse: WaypointRules = { required: true, missing: "", uncaptured: "refuse" };
const REFUSED = `DENY: service ${KEY} takes no plaintext past its waypoint: the client is not in the mesh (ambit.dev/uncaptured)`;
const cases: readonly Case[] = [
  { name: "no rules: as in Istio", expect: "10.0.0.2:8080" },
  { name: "allowed by name", rules: { ...refuse, uncaptured: "allow" }, expect: "10.0.0.2:8080" },
  { name: "refused", rules: refuse, expect: REFUSED },
  { name: "refused also while the waypoint is missing", rules: { ...refuse, missing: "gone" }, expect: REFUSED },
  { name: "a port that the service does not have", rules: refuse, port: 9090, expect: "10.0.0.2:9090" },
  { name: "from the waypoint itself", rules: refuse, from: "10.0.0.5", expect: "10.0.0.2:8080" },
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
      { kind: "workload", workload: aWorkload("wp", "10.0.0.5", { services: { [`ns/${WAYPOINT_HOST}`]: [] } }) },
      ...(c.policies ?? []).map((policy) => ({ kind: "policy" as const, policy })),
    ]);
    const plan = planPassthrough(store.view, {
      workload: US,
      remote: { ip: ip(c.from ?? "10.0.0.9"), port: 1 },
      to: { ip: ip("10.0.0.2"), port: c.port ?? 8080 },
    });
    assert.equal(plan.kind === "forward" ? `${plan.to.ip}:${plan.to.port}` : `${plan.code}: ${plan.detail}`, c.expect);
  });
