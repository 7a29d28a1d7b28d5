// Is everything asked that a plan may look at, and nothing twice?

import assert from "node:assert/strict";
import { test } from "node:test";
import { aPort, aService, aWorkload, ip } from "@ambit/shared/state/fixtures.ts";
import { createMeshStore } from "@ambit/shared/state/store.ts";
import type { GatewayAddress, Service, Workload } from "@ambit/shared/state/types.ts";
import { namesToAsk } from "./names.ts";

const source = { network: "n1", namespace: "ns" };
const byName = (hostname: string): GatewayAddress => ({
  destination: { kind: "hostname", namespace: "ns", hostname },
  hboneMtlsPort: 15008,
});
const byAddress = (address: string, network = "n1"): GatewayAddress => ({
  destination: { kind: "address", network, ip: ip(address) },
  hboneMtlsPort: 15008,
});
const service = (over: Partial<Service> = {}): Service =>
  aService("s", "10.96.0.1", { addresses: [{ network: "n1", ip: ip("10.96.0.1") }], ...over });
const workload = (over: Partial<Workload> = {}): Workload => aWorkload("w", "10.0.0.1", { network: "n1", ...over });
const S = "ns/s.ns.svc.cluster.local";

type Case = { name: string; services?: Service[]; workloads?: Workload[]; asked?: string[]; to?: string; want: string[] };
const cases: Case[] = [
  { name: "nothing is known: the address", want: ["n1/10.96.0.1"] },
  { name: "it was asked for, and there is nothing: no more", asked: ["n1/10.96.0.1"], want: [] },
  { name: "a service: by its name, for its endpoints", services: [service()], want: [S] },
  { name: "a service whose endpoints were asked for", services: [service()], asked: [S], want: [] },
  { name: "its waypoint by name", services: [service({ waypoint: byName("wp") })], asked: [S], want: ["ns/wp"] },
  { name: "its waypoint by address", services: [service({ waypoint: byAddress("10.96.0.9") })], asked: [S], want: ["n1/10.96.0.9"] },
  {
    name: "its weighted waypoints",
    services: [
      service({
        weightedWaypoints: [
          { destination: byName("a"), weight: 1 },
          { destination: byName("b"), weight: 0 },
        ],
      }),
    ],
    asked: [S],
    want: ["ns/a", "ns/b"],
  },
  { name: "a workload and its waypoint", to: "10.0.0.1", workloads: [workload({ waypoint: byName("wp") })], want: ["ns/wp"] },
  { name: "a workload alone", to: "10.0.0.1", workloads: [workload()], want: [] },
  {
    name: "the gateway of an endpoint on another network",
    services: [service()],
    workloads: [
      workload({ addresses: [], network: "n2", networkGateway: byAddress("1.2.3.4", "n2"), services: { [S]: [aPort(80, 8080)] } }),
    ],
    asked: [S],
    want: ["n2/1.2.3.4"],
  },
];
for (const c of cases)
  test(c.name, () => {
    const store = createMeshStore();
    store.commit([
      ...(c.services ?? []).map((s) => ({ kind: "service" as const, service: s })),
      ...(c.workloads ?? []).map((w) => ({ kind: "workload" as const, workload: w })),
    ]);
    assert.deepEqual(namesToAsk(store.view, { source, to: ip(c.to ?? "10.96.0.1") }, new Set(c.asked)), c.want);
  });
