// The mesh store's look-ups and the choice of an endpoint.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseCidr } from "../addr/cidr.ts";
import type { Policy } from "../authz/types.ts";
import { unwrap } from "../runtime/result.ts";
import { type BalanceRequest, balance, candidates, endpointKey, localityRank, type Origin, type Standing } from "./balance.ts";
import { aPort, aService, aWorkload, ip, waypointByHost, waypointByIp } from "./fixtures.ts";
import { resolveAddress, resolveGateway } from "./resolve.ts";
import { createMeshStore, type StateUpdate } from "./store.ts";
import { type LoadBalancingScope, serviceKey } from "./types.ts";

const storeOf = (...batch: StateUpdate[]) => {
  const store = createMeshStore();
  store.commit(batch);
  return store;
};
const workload = (w: ReturnType<typeof aWorkload>): StateUpdate => ({ kind: "workload", workload: w });
const service = (s: ReturnType<typeof aService>): StateUpdate => ({ kind: "service", service: s });

test("overlapping_workload_ip: Pod with HBONE > Pod > HBONE > others", () => {
  const pod = aWorkload("pod", "10.0.0.1", { tunnelProtocol: "NONE" });
  const entry = aWorkload("entry", "10.0.0.1", { uid: "Kubernetes/networking.istio.io/WorkloadEntry/ns/entry" });
  const hbone = aWorkload("hbone", "10.0.0.1");
  const { view, commit } = storeOf(workload(entry), workload(pod), workload(hbone));
  assert.equal(view.workloadByAddress("", ip("10.0.0.1"))?.name, "hbone");
  commit([{ kind: "remove-address", name: hbone.uid }]);
  assert.equal(view.workloadByAddress("", ip("10.0.0.1"))?.name, "pod");
  commit([{ kind: "remove-address", name: pod.uid }]);
  assert.equal(view.workloadByAddress("", ip("10.0.0.1"))?.name, "entry");
  assert.equal(view.workloadByAddress("other", ip("10.0.0.1")), undefined);
});

test("host_network workloads are never found by address", () => {
  const { view } = storeOf(workload(aWorkload("host", "10.0.0.9", { networkMode: "HOST_NETWORK" })));
  assert.equal(view.workloadByAddress("", ip("10.0.0.9")), undefined);
});

test("shared_vip_different_namespaces: the client's namespace, then canonical", () => {
  const a = aService("a", "10.1.0.1", { namespace: "a", canonical: false });
  const b = aService("b", "10.1.0.1", { namespace: "b" });
  const { view } = storeOf(service(a), service(b));
  assert.equal(view.serviceByAddress("", ip("10.1.0.1"), "a")?.name, "a");
  assert.equal(view.serviceByAddress("", ip("10.1.0.1"), "b")?.name, "b");
  assert.equal(view.serviceByAddress("", ip("10.1.0.1"), "c")?.name, "b");
});

test("visibility_filtered_exact_vip_falls_through_to_cidr", () => {
  const hidden = aService("hidden", "10.1.0.1", { namespace: "a", visibility: "NAMESPACE" });
  const block = aService("block", "", { namespace: "b", cidrs: [{ network: "", cidr: unwrap(parseCidr("10.1.0.0/16")) }] });
  const narrow = aService("narrow", "", { namespace: "c", cidrs: [{ network: "", cidr: unwrap(parseCidr("10.1.0.0/24")) }] });
  const { view } = storeOf(service(hidden), service(block), service(narrow));
  assert.equal(view.serviceByAddress("", ip("10.1.0.1"), "a")?.name, "hidden");
  assert.equal(view.serviceByAddress("", ip("10.1.0.1"), "x")?.name, "narrow", "longest_prefix_match");
  assert.equal(view.serviceByAddress("", ip("10.1.0.1"), "b")?.name, "block", "cidr_namespace_preferred_over_cidr_specificity");
  assert.equal(view.serviceByAddress("net2", ip("10.1.0.1"), "b"), undefined, "cidr_network_scoping");
});

test("endpoints follow workloads; a replaced record leaves no trace", () => {
  const s = aService("s", "10.1.0.1");
  const key = serviceKey(s);
  const w = aWorkload("w", "10.0.0.1", { services: { [key]: [aPort(80, 8080)] } });
  const { view, commit } = storeOf(workload(w), service(s));
  assert.equal(view.endpoints(key).length, 1);
  commit([workload({ ...w, services: {}, addresses: [ip("10.0.0.2")] })]);
  assert.equal(view.endpoints(key).length, 0);
  assert.equal(view.workloadByAddress("", ip("10.0.0.1")), undefined);
  assert.equal(view.workloadByAddress("", ip("10.0.0.2"))?.name, "w");
});

test("the indexes equal a store built afresh after any sequence of updates", () => {
  const s = aService("s", "10.1.0.1");
  const arbUpdate: fc.Arbitrary<StateUpdate> = fc.oneof(
    fc
      .tuple(fc.constantFrom("a", "b", "c"), fc.constantFrom("10.0.0.1", "10.0.0.2"), fc.boolean())
      .map(([n, a, member]) => workload(aWorkload(n, a, member ? { services: { [serviceKey(s)]: [aPort(80, 1)] } } : {}))),
    fc.constantFrom("a", "b", "c").map((n): StateUpdate => ({ kind: "remove-address", name: aWorkload(n, "").uid })),
  );
  fc.assert(
    fc.property(fc.array(arbUpdate, { maxLength: 20 }), (updates) => {
      const live = createMeshStore();
      for (const u of updates) live.commit([u]);
      const fresh = storeOf(...[...live.workloads()].map(workload));
      for (const a of ["10.0.0.1", "10.0.0.2"]) {
        const names = (store: ReturnType<typeof createMeshStore>) => store.view.workloadByAddress("", ip(a)) !== undefined;
        assert.equal(names(live), names(fresh));
      }
      assert.equal(live.view.endpoints(serviceKey(s)).length, fresh.view.endpoints(serviceKey(s)).length);
    }),
  );
});

test("policies: named ones, namespace and global ones", () => {
  const p = (name: string, namespace: string, scope: Policy["scope"]): Policy => ({
    name,
    namespace,
    scope,
    action: "DENY",
    dryRun: false,
    rules: [],
  });
  const store = createMeshStore();
  store.commit(
    [p("g", "istio-system", "GLOBAL"), p("n", "ns", "NAMESPACE"), p("w", "ns", "WORKLOAD_SELECTOR")].map((policy) => ({
      kind: "policy",
      policy,
    })),
  );
  assert.deepEqual(
    store.view.policiesForNamespace("ns").map((x) => x.name),
    ["g", "n"],
  );
  assert.deepEqual(
    store.view.policiesForNamespace("x").map((x) => x.name),
    ["g"],
  );
  assert.equal(store.view.policy("ns/w")?.name, "w");
  store.commit([{ kind: "remove-policy", key: "istio-system/g" }]);
  assert.deepEqual(store.view.policiesForNamespace("x"), []);
});

test("resolve: workload before service; gateways by name and by address", () => {
  const s = aService("wp", "10.1.0.1");
  const { view } = storeOf(service(s), workload(aWorkload("w", "10.0.0.1", { hostname: "w.example" })));
  const kind = (a: string) => resolveAddress(view, { network: "", ip: ip(a), clientNamespace: "ns" }).kind;
  assert.deepEqual([kind("10.0.0.1"), kind("10.1.0.1"), kind("10.9.9.9")], ["workload", "service", "unknown"]);
  assert.equal(resolveGateway(view, waypointByHost("ns", s.hostname)).kind, "service");
  assert.equal(resolveGateway(view, waypointByHost("ns", "w.example")).kind, "workload");
  assert.equal(resolveGateway(view, waypointByIp("10.1.0.1")).kind, "service");
  assert.equal(resolveGateway(view, waypointByIp("10.0.0.1")).kind, "workload");
  assert.equal(resolveGateway(view, waypointByHost("ns", "nowhere")).kind, "unknown");
});

const at = (network: string, region: string, zone: string): Origin => ({
  network,
  node: "n",
  clusterId: "c",
  locality: { region, zone, subzone: "" },
});
const pref: LoadBalancingScope[] = ["NETWORK", "REGION", "ZONE"];
const ranks: [string, Origin, number][] = [
  ["all equal", at("n", "r", "z"), 5],
  ["network and region", at("n", "r", "x"), 4],
  ["network only", at("n", "x", "z"), 3],
  ["region and zone of another network", at("x", "r", "z"), 2],
  ["region of another network", at("x", "r", "x"), 1],
  ["nothing", at("x", "x", "z"), 0],
];
for (const [name, to, want] of ranks) test(`localityRank: ${name}`, () => assert.equal(localityRank(pref, at("n", "r", "z"), to), want));
test("localityRank stops at the first mismatch without NETWORK first", () =>
  assert.equal(localityRank(["REGION", "ZONE"], at("n", "r", "z"), at("n", "x", "z")), 0));

const request = (over: Partial<BalanceRequest>): BalanceRequest => {
  const s = aService("s", "10.1.0.1");
  const ports = [aPort(80, 8080)];
  return {
    service: s,
    endpoints: [{ workload: aWorkload("a", "10.0.0.1"), ports }],
    servicePort: 80,
    from: at("", "", ""),
    mode: "standard",
    ...over,
  };
};
const ports = [aPort(80, 8080)];
test("balance: port not declared, no endpoints, unhealthy, already tried, named port not mapped", () => {
  const why = (r: BalanceRequest) => {
    const b = balance(r, () => 0);
    return b.kind === "none" ? b.why : "endpoint";
  };
  assert.equal(why(request({ servicePort: 81 })), "port-not-declared");
  assert.equal(why(request({ endpoints: [] })), "no-endpoints");
  assert.equal(
    why(request({ endpoints: [{ workload: aWorkload("a", "10.0.0.1", { status: "UNHEALTHY" }), ports }] })),
    "no-eligible-endpoint",
  );
  assert.equal(why(request({ tried: new Set([aWorkload("a", "").uid]) })), "no-eligible-endpoint");
  const named = aService("s", "10.1.0.1", { ports: [aPort(80, 0)] });
  assert.equal(
    candidates(request({ service: named, endpoints: [{ workload: aWorkload("a", "10.0.0.1"), ports: [] }] }))[0]?.excluded,
    "port-not-served",
  );
  assert.equal(why(request({ service: named })), "endpoint", "the endpoint maps the named port");
});

test("balance: FAILOVER keeps the nearest, STRICT drops the rest", () => {
  const lb = (mode: "STRICT" | "FAILOVER") => ({ routingPreference: ["ZONE" as const], mode, healthPolicy: "ONLY_HEALTHY" as const });
  const far = { workload: aWorkload("far", "10.0.0.2", { locality: { region: "", zone: "y", subzone: "" } }), ports };
  const near = { workload: aWorkload("near", "10.0.0.3", { locality: { region: "", zone: "z", subzone: "" } }), ports };
  const ask = (mode: "STRICT" | "FAILOVER", endpoints: BalanceRequest["endpoints"]) => {
    const b = balance(request({ service: aService("s", "", { loadBalancing: lb(mode) }), endpoints, from: at("", "", "z") }), () => 0);
    return b.kind === "endpoint" ? b.workload.name : b.why;
  };
  assert.equal(ask("FAILOVER", [far, near]), "near");
  assert.equal(ask("FAILOVER", [far]), "far");
  assert.equal(ask("STRICT", [far, near]), "near");
  assert.equal(ask("STRICT", [far]), "no-eligible-endpoint");
});

test("balance: shares follow capacity", () => {
  const endpoints = [1, 3].map((capacity) => ({ workload: aWorkload(`w${capacity}`, `10.0.0.${capacity}`, { capacity }), ports }));
  const counts = new Map<string, number>();
  for (let i = 0; i < 400; i++) {
    const b = balance(request({ endpoints }), () => i / 400);
    assert.equal(b.kind, "endpoint");
    if (b.kind === "endpoint") counts.set(b.workload.name, (counts.get(b.workload.name) ?? 0) + 1);
  }
  assert.deepEqual([...counts].sort(), [
    ["w1", 100],
    ["w3", 300],
  ]);
});

const standing = (loads: Readonly<Record<string, number>>, ejected: readonly string[] = []): Standing => {
  const key = (name: string): string => endpointKey(aWorkload(name, ""), 8080);
  const byKey = new Map(Object.entries(loads).map(([name, n]) => [key(name), n]));
  const out = new Set(ejected.map(key));
  return { load: (k) => byKey.get(k) ?? 0, ejected: (k) => out.has(k) };
};
const three = ["a", "b", "c"].map((name, i) => ({ workload: aWorkload(name, `10.0.0.${i + 1}`), ports }));

test("balance: with equal loads the standing changes nothing of the shares", () => {
  const endpoints = [1, 3].map((capacity) => ({ workload: aWorkload(`w${capacity}`, `10.0.0.${capacity}`, { capacity }), ports }));
  const counts = new Map<string, number>();
  for (let i = 0; i < 400; i++) {
    const b = balance(request({ endpoints, standing: standing({}) }), () => i / 400);
    if (b.kind === "endpoint") counts.set(b.workload.name, (counts.get(b.workload.name) ?? 0) + 1);
  }
  assert.deepEqual([...counts].sort(), [
    ["w1", 100],
    ["w3", 300],
  ]);
});

test("balance: of two the less loaded one, by its capacity", () => {
  const pair = (capacities: readonly [number, number], loads: Readonly<Record<string, number>>): string => {
    const endpoints = (["a", "b"] as const).map((name, i) => ({
      workload: aWorkload(name, `10.0.0.${i + 1}`, { capacity: capacities[i] ?? 1 }),
      ports,
    }));
    const picks = [0, 0.5, 0.99].map((r) => balance(request({ endpoints, standing: standing(loads) }), () => r));
    return [...new Set(picks.map((p) => (p.kind === "endpoint" ? p.workload.name : p.why)))].join();
  };
  assert.equal(pair([1, 1], { a: 2, b: 1 }), "b");
  assert.equal(pair([4, 1], { a: 3, b: 1 }), "a");
  assert.equal(pair([1, 1], { b: 7 }), "a");
});

test("balance: the one with most connections is never taken while two others have fewer", () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (r1, r2) => {
        const rolls = [r1, r2];
        const b = balance(request({ endpoints: three, standing: standing({ a: 9, b: 1, c: 2 }) }), () => rolls.shift() ?? 0);
        assert.ok(b.kind === "endpoint" && b.workload.name !== "a");
      },
    ),
  );
});

test("balance: ejected endpoints are left out, with their reason; not when more than half would be", () => {
  const reasons = (ejected: readonly string[], tried: readonly string[] = []) =>
    candidates(request({ endpoints: three, standing: standing({}, ejected), tried: new Set(tried.map((n) => aWorkload(n, "").uid)) })).map(
      (c) => c.excluded,
    );
  assert.deepEqual(reasons(["a"]), ["ejected", undefined, undefined]);
  assert.deepEqual(reasons(["a", "b"]), [undefined, undefined, undefined], "two of three: nobody is left out");
  assert.deepEqual(reasons(["a"], ["b"]), ["ejected", "already-tried", undefined]);
  assert.deepEqual(reasons(["a"], ["b", "c"]), [undefined, "already-tried", "already-tried"], "the last one is taken whatever it did");
});

test("balance: an ejection comes before locality, so that the next nearest are taken", () => {
  const lb = { routingPreference: ["ZONE" as const], mode: "FAILOVER" as const, healthPolicy: "ONLY_HEALTHY" as const };
  const zone = (name: string, z: string) => ({
    workload: aWorkload(name, "10.0.0.9", { locality: { region: "", zone: z, subzone: "" } }),
    ports,
  });
  const endpoints = [zone("near", "z"), zone("far", "y")];
  const b = balance(
    request({ service: aService("s", "", { loadBalancing: lb }), endpoints, from: at("", "", "z"), standing: standing({}, ["near"]) }),
    () => 0,
  );
  assert.equal(b.kind === "endpoint" && b.workload.name, "far");
});
