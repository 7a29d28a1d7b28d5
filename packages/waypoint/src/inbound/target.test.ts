// Does a waypoint serve exactly what is its own?

import assert from "node:assert/strict";
import { test } from "node:test";
import { aService, aWorkload, ip } from "@ambit/shared/state/fixtures.ts";
import { createMeshStore } from "@ambit/shared/state/store.ts";
import type { GatewayAddress } from "@ambit/shared/state/types.ts";
import { createPatterns } from "../route/regex.ts";
import { createOwnedStore } from "../state/owned.ts";
import { aPort, KEY, owned, policy, VIP } from "../test/rig.ts";
import { addressedBy, ownHostname, planInbound, type Self } from "./target.ts";

const self: Self = { namespace: "shop", gateway: "waypoint", clusterDomain: "cluster.local", network: "" };
const byHostname: GatewayAddress = {
  destination: { kind: "hostname", namespace: "shop", hostname: ownHostname(self) },
  hboneMtlsPort: 15008,
};
const byAddress: GatewayAddress = { destination: { kind: "address", network: "", ip: ip("10.96.0.60") }, hboneMtlsPort: 15008 };
const another: GatewayAddress = {
  destination: { kind: "hostname", namespace: "shop", hostname: "other.shop.svc.cluster.local" },
  hboneMtlsPort: 15008,
};

const gatewayService = owned({
  hostname: ownHostname(self),
  name: "waypoint",
  addresses: [],
  ports: [],
  policies: [policy({ name: "gw" })],
});

const world = (o: { gateway: boolean }, clock = { now: 0 }) => {
  const store = createMeshStore();
  const services = createOwnedStore(createPatterns(), () => clock.now);
  services.commit([owned({ ports: [aPort(), aPort({ port: 81 })] }), ...(o.gateway ? [gatewayService] : [])], []);
  store.commit([
    { kind: "service", service: aService("waypoint", "10.96.0.60", { namespace: "shop" }) },
    { kind: "service", service: aService("stranger", "10.96.0.70", { namespace: "shop" }) },
    { kind: "workload", workload: aWorkload("mine", "10.244.1.5", { namespace: "shop", waypoint: byHostname }) },
    { kind: "workload", workload: aWorkload("mine-too", "10.244.1.6", { namespace: "shop", waypoint: byAddress }) },
    { kind: "workload", workload: aWorkload("theirs", "10.244.1.7", { namespace: "shop", waypoint: another }) },
    { kind: "workload", workload: aWorkload("nobodys", "10.244.1.8", { namespace: "shop" }) },
  ]);
  return { self, owned: services, view: store.view };
};

test("which authorities are served", () => {
  const q = world({ gateway: true });
  const plan = (address: string, port: number) => {
    const t = planInbound({ ip: ip(address), port }, q);
    return t.kind === "refuse" ? `${t.code}: ${t.detail}` : t.kind;
  };
  assert.equal(plan(VIP, 80), "service");
  assert.equal(plan(VIP, 81), "service");
  assert.equal(plan(VIP, 82), `UNOWNED_DESTINATION: the service ${KEY} has no port 82`);
  assert.equal(plan("10.96.0.70", 80), "UNOWNED_DESTINATION: this waypoint serves nothing at 10.96.0.70");
  assert.equal(plan("10.244.1.5", 8080), "workload");
  assert.equal(plan("10.244.1.6", 8080), "workload");
  assert.equal(plan("10.244.1.7", 8080), "UNOWNED_DESTINATION: the pod shop/theirs does not use this waypoint");
  assert.equal(plan("10.244.1.8", 8080), "UNOWNED_DESTINATION: the pod shop/nobodys does not use this waypoint");
  assert.equal(plan("10.244.1.99", 80), "UNOWNED_DESTINATION: this waypoint serves nothing at 10.244.1.99");
  const named = planInbound({ hostname: "reviews.shop.svc.cluster.local", port: 80 }, q);
  assert.equal(named.kind === "refuse" && named.code, "BAD_REQUEST");
});

test("a pod is served only while the gateway's own policies are known, and they hold for it", () => {
  const refused = planInbound({ ip: ip("10.244.1.5"), port: 8080 }, world({ gateway: false }));
  assert.equal(refused.kind === "refuse" && refused.detail, "the policies of the gateway shop/waypoint have not been received");
  const q = world({ gateway: true });
  const target = planInbound({ ip: ip("10.244.1.5"), port: 8080 }, q);
  assert.ok(target.kind === "workload");
  const now = addressedBy(target, q);
  assert.deepEqual([now?.service.policies.map((p) => p.name), now?.port.protocol, now?.workload?.name], [["gw"], "AUTO", "mine"]);
});

test("what a push takes away is not served any more, once callers have had time to hear of it", () => {
  const clock = { now: 0 };
  const q = world({ gateway: true }, clock);
  const target = planInbound({ ip: VIP, port: 80 }, q);
  assert.ok(target.kind === "service");
  assert.equal(addressedBy(target, q)?.port.port, 80);
  q.owned.commit([], [KEY]);
  assert.equal(addressedBy(target, q)?.port.port, 80);
  clock.now = 60_000;
  assert.equal(addressedBy(target, q), undefined);
});
