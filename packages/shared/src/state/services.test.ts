// The oracles of ztunnel's state/service.rs by their names: which service an address or hostname stands for, and its endpoints.
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCidr } from "../addr/cidr.ts";
import { unwrap } from "../runtime/result.ts";
import { candidates } from "./balance.ts";
import { aPort, aService, aWorkload, ip } from "./fixtures.ts";
import { createMeshStore, type StateUpdate } from "./store.ts";
import { type Service, serviceKey, type Workload } from "./types.ts";

const cidr = (block: string, network = "") => ({ network, cidr: unwrap(parseCidr(block)) });
const named = (name: string, over: Partial<Service> = {}): Service => aService(name, "", { canonical: false, ...over });
const viewOf = (services: readonly Service[], workloads: readonly Workload[] = []) => {
  const store = createMeshStore();
  const batch: StateUpdate[] = [
    ...workloads.map((workload) => ({ kind: "workload" as const, workload })),
    ...services.map((service) => ({ kind: "service" as const, service })),
  ];
  store.commit(batch);
  return store.view;
};

type Case = {
  readonly name: string;
  readonly services: readonly Service[];
  readonly asked: readonly { readonly at: string; readonly from?: string; readonly network?: string; readonly found: string | undefined }[];
};
const vip = (address: string, network = "") => ({ addresses: [{ network, ip: ip(address) }] });

const cases: readonly Case[] = [
  {
    name: "shared_vip_different_namespaces",
    services: [named("a", { namespace: "a", ...vip("10.1.0.1") }), named("b", { namespace: "b", canonical: true, ...vip("10.1.0.1") })],
    asked: [
      { at: "10.1.0.1", from: "a", found: "a" },
      { at: "10.1.0.1", from: "b", found: "b" },
      { at: "10.1.0.1", from: "other", found: "b" },
    ],
  },
  {
    name: "namespace_visibility_vip",
    services: [named("hidden", { namespace: "a", visibility: "NAMESPACE", ...vip("10.1.0.2") })],
    asked: [
      { at: "10.1.0.2", from: "a", found: "hidden" },
      { at: "10.1.0.2", from: "b", found: undefined },
    ],
  },
  {
    name: "longest_prefix_match_among_nested_blocks",
    services: [
      named("wide", { cidrs: [cidr("10.0.0.0/8")] }),
      named("middle", { cidrs: [cidr("10.1.0.0/16")] }),
      named("narrow", { cidrs: [cidr("10.1.2.0/24")] }),
    ],
    asked: [
      { at: "10.1.2.3", found: "narrow" },
      { at: "10.1.3.3", found: "middle" },
      { at: "10.2.0.1", found: "wide" },
      { at: "11.0.0.1", found: undefined },
    ],
  },
  {
    name: "longest_prefix_match_does_not_depend_on_the_order",
    services: [named("narrow", { cidrs: [cidr("10.1.2.0/24")] }), named("wide", { cidrs: [cidr("10.0.0.0/8")] })],
    asked: [{ at: "10.1.2.3", found: "narrow" }],
  },
  {
    name: "longest_prefix_match_of_a_single_address_and_of_everything",
    services: [named("one", { cidrs: [cidr("10.1.2.3/32")] }), named("all", { cidrs: [cidr("0.0.0.0/0")] })],
    asked: [
      { at: "10.1.2.3", found: "one" },
      { at: "10.1.2.4", found: "all" },
    ],
  },
  {
    name: "dual_stack_cidr",
    services: [named("both", { cidrs: [cidr("10.1.0.0/16"), cidr("fd00:1::/32")] })],
    asked: [
      { at: "10.1.9.9", found: "both" },
      { at: "fd00:1::9", found: "both" },
      { at: "fd00:2::9", found: undefined },
    ],
  },
  {
    name: "exact_match_priority_over_cidr",
    services: [named("block", { cidrs: [cidr("10.1.2.3/32")] }), named("exact", vip("10.1.2.3"))],
    asked: [{ at: "10.1.2.3", found: "exact" }],
  },
  {
    name: "exact_match_priority_over_cidr_of_the_own_namespace",
    services: [named("block", { namespace: "a", cidrs: [cidr("10.1.2.0/24")] }), named("exact", { namespace: "b", ...vip("10.1.2.3") })],
    asked: [{ at: "10.1.2.3", from: "a", found: "exact" }],
  },
  {
    name: "visibility_filtered_exact_vip_falls_through_to_cidr",
    services: [
      named("exact", { namespace: "a", visibility: "NAMESPACE", ...vip("10.1.2.3") }),
      named("block", { namespace: "b", cidrs: [cidr("10.1.0.0/16")] }),
    ],
    asked: [
      { at: "10.1.2.3", from: "a", found: "exact" },
      { at: "10.1.2.3", from: "c", found: "block" },
    ],
  },
  {
    name: "cidr_network_scoping",
    services: [named("here", { cidrs: [cidr("10.1.0.0/16", "here")] }), named("there", { cidrs: [cidr("10.1.0.0/16", "there")] })],
    asked: [
      { at: "10.1.0.1", network: "here", found: "here" },
      { at: "10.1.0.1", network: "there", found: "there" },
      { at: "10.1.0.1", network: "", found: undefined },
    ],
  },
  {
    name: "cidr_namespace_preferred_over_cidr_specificity",
    services: [
      named("narrow", { namespace: "b", cidrs: [cidr("10.1.2.0/24")] }),
      named("own", { namespace: "a", cidrs: [cidr("10.1.0.0/16")] }),
    ],
    asked: [
      { at: "10.1.2.3", from: "a", found: "own" },
      { at: "10.1.2.3", from: "c", found: "narrow" },
    ],
  },
  {
    name: "cidr_canonical_decides_among_equals",
    services: [
      named("first", { namespace: "a", cidrs: [cidr("10.1.0.0/16")] }),
      named("canonical", { namespace: "b", canonical: true, cidrs: [cidr("10.1.0.0/16")] }),
    ],
    asked: [{ at: "10.1.2.3", from: "c", found: "canonical" }],
  },
];
for (const c of cases)
  test(c.name, () => {
    const view = viewOf(c.services);
    for (const { at, from = "ns", network = "", found } of c.asked)
      assert.equal(view.serviceByAddress(network, ip(at), from)?.name, found, `${at} from ${from} on ${JSON.stringify(network)}`);
  });

test("namespace_visibility_host: a hidden service has no name elsewhere; the own namespace's wins", () => {
  const hostname = "example.com";
  const view = viewOf([
    named("hidden", { namespace: "a", visibility: "NAMESPACE", hostname }),
    named("public", { namespace: "b", hostname }),
    named("canonical", { namespace: "c", canonical: true, hostname }),
  ]);
  const found = (from: string) => view.serviceByHostname(hostname, from)?.name;
  assert.deepEqual([found("a"), found("b"), found("d")], ["hidden", "public", "canonical"]);
  assert.equal(view.serviceByHostname("other.example", "a"), undefined);
});

const KEY = serviceKey(aService("s", ""));
const member = (name: string, over: Partial<Workload> = {}): Workload =>
  aWorkload(name, "10.0.0.1", { services: { [KEY]: [aPort(80, 8080)] }, ...over });
const eligible = (service: Service, workloads: readonly Workload[]): readonly string[] => {
  const view = viewOf([service], workloads);
  const from = { network: "", node: "", clusterId: "", locality: { region: "", zone: "", subzone: "" } };
  return candidates({ service, endpoints: view.endpoints(KEY), servicePort: 80, from, mode: "standard" })
    .filter((c) => c.excluded === undefined)
    .map((c) => c.workload.name)
    .sort();
};
const allowAll = { routingPreference: [], mode: "UNSPECIFIED_MODE", healthPolicy: "ALLOW_ALL" } as const;

test("apply_endpoints_before_their_service: they are its endpoints once it comes", () => {
  assert.deepEqual(eligible(aService("s", "10.1.0.1"), [member("a"), member("b")]), ["a", "b"]);
});
test("apply_endpoints_unhealthy: left out", () => {
  assert.deepEqual(eligible(aService("s", "10.1.0.1"), [member("a", { status: "UNHEALTHY" }), member("b")]), ["b"]);
});
test("apply_endpoints_unhealthy_allow_all: taken, for this service only", () => {
  const sick = member("a", { status: "UNHEALTHY" });
  assert.deepEqual(eligible(aService("s", "10.1.0.1", { loadBalancing: allowAll }), [sick, member("b")]), ["a", "b"]);
  // One Service's publishNotReadyAddresses concerns nobody else (istio/istio#60423).
  const other = aService("other", "10.1.0.2", { loadBalancing: allowAll });
  const view = viewOf(
    [aService("s", "10.1.0.1"), other],
    [{ ...sick, services: { ...sick.services, [serviceKey(other)]: [aPort(80, 8080)] } }],
  );
  const asked = { endpoints: view.endpoints(KEY), servicePort: 80, mode: "standard" as const };
  const from = { network: "", node: "", clusterId: "", locality: { region: "", zone: "", subzone: "" } };
  assert.equal(candidates({ ...asked, from, service: aService("s", "10.1.0.1") })[0]?.excluded, "unhealthy");
});
test("apply_endpoints_capacity_zero: known, never chosen", () => {
  assert.deepEqual(eligible(aService("s", "10.1.0.1"), [member("a", { capacity: 0 }), member("b")]), ["b"]);
});
test("apply_endpoints_removed: gone with its workload", () => {
  const store = createMeshStore();
  store.commit([
    { kind: "service", service: aService("s", "10.1.0.1") },
    { kind: "workload", workload: member("a") },
    { kind: "workload", workload: member("b") },
  ]);
  store.commit([{ kind: "remove-address", name: member("a").uid }]);
  assert.deepEqual(
    store.view.endpoints(KEY).map((e) => e.workload.name),
    ["b"],
  );
});
