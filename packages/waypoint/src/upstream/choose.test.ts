// Is the right endpoint chosen, and reached as the one it must be?

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Ip } from "@ambit/shared/addr/ip.ts";
import { aService, aPort as aServicePort, aWorkload, ip } from "@ambit/shared/state/fixtures.ts";
import { createMeshStore } from "@ambit/shared/state/store.ts";
import type { Service, Workload } from "@ambit/shared/state/types.ts";
import { KEY } from "../test/rig.ts";
import { type ChooseInput, chooseEndpoint, reach, upstreamVersion } from "./choose.ts";

const backend = { namespace: "shop", hostname: "reviews.shop.svc.cluster.local", port: 80 };
const pod = (name: string, address: string, over: Partial<Workload> = {}) =>
  aWorkload(name, address, { namespace: "shop", services: { [KEY]: [aServicePort(80, 8080)] }, ...over });

const input = (workloads: readonly Workload[], over: Partial<ChooseInput> = {}, service: Partial<Service> = {}): ChooseInput => {
  const store = createMeshStore();
  store.commit([
    { kind: "service", service: aService("reviews", "10.96.0.50", { namespace: "shop", ...service }) },
    ...workloads.map((workload) => ({ kind: "workload" as const, workload })),
  ]);
  return {
    view: store.view,
    backend,
    from: { network: "", node: "node1", clusterId: "Kubernetes", locality: { region: "", zone: "", subzone: "" } },
    toward: ip("10.96.0.50"),
    tried: new Set(),
    random: () => 0,
    active: () => 0,
    ...over,
  };
};
const name = (i: ChooseInput): string => {
  const c = chooseEndpoint(i);
  return c.kind === "chosen" ? c.chosen.workload.name : `${c.error.code}: ${c.error.message}`;
};

test("the endpoint's address, tunnel and exact identity", () => {
  const c = chooseEndpoint(input([pod("a", "10.244.1.1", { serviceAccount: "reviews" })]));
  assert.ok(c.kind === "chosen");
  assert.deepEqual(
    [c.chosen.address, c.chosen.via, c.chosen.expect.uri],
    [{ ip: "10.244.1.1", port: 8080 }, "hbone", "spiffe://cluster.local/ns/shop/sa/reviews"],
  );
  const plain = chooseEndpoint(input([pod("a", "10.244.1.1", { tunnelProtocol: "NONE" })]));
  assert.equal(plain.kind === "chosen" && plain.chosen.via, "plain");
});

test("an endpoint is dialled by the family that the caller used, where it and its service have it", () => {
  const both = { addresses: [ip("10.244.1.1"), ip("fd00:244:1::1")] };
  const v6 = ip("fd00:96::50");
  const dialled = (w: Partial<Workload>, toward: Ip, service: Partial<Service> = {}): string => {
    const i = input([pod("a", "10.244.1.1", w)], { toward }, service);
    const c = chooseEndpoint(i);
    return c.kind === "chosen" ? c.chosen.address.ip : c.error.code;
  };
  assert.equal(dialled(both, ip("10.96.0.50")), "10.244.1.1");
  assert.equal(dialled(both, v6), "fd00:244:1::1");
  assert.equal(dialled({ addresses: [ip("10.244.1.1")] }, v6), "10.244.1.1");
  assert.equal(dialled({ addresses: [ip("fd00:244:1::1")] }, ip("10.96.0.50")), "fd00:244:1::1");
  assert.equal(dialled(both, v6, { ipFamilies: "IPV4_ONLY" }), "10.244.1.1");
  assert.equal(dialled(both, ip("10.96.0.50"), { ipFamilies: "IPV6_ONLY" }), "fd00:244:1::1");
  assert.equal(dialled({ addresses: [] }, v6), "NO_HEALTHY_UPSTREAM");
});

test("a pod addressed by its own IP is dialled at that one", () => {
  const w = pod("a", "10.244.1.1", { addresses: [ip("10.244.1.1"), ip("fd00:244:1::1"), ip("fd00:244:1::2")] });
  const at = (toward: Ip) => reach(w, 80, { appProtocol: "TCP", service: backend, toward })?.address.ip;
  assert.deepEqual([at(ip("fd00:244:1::2")), at(ip("10.244.1.1"))], ["fd00:244:1::2", "10.244.1.1"]);
});

test("of two drawn, the one with fewer requests in flight", () => {
  const two = [pod("a", "10.244.1.1"), pod("b", "10.244.1.2")];
  assert.equal(name(input(two)), "a");
  assert.equal(name(input(two, { active: (uid) => (uid.endsWith("/a") ? 3 : 2) })), "b");
  assert.equal(
    name(input([pod("a", "10.244.1.1", { capacity: 4 }), pod("b", "10.244.1.2")], { active: (uid) => (uid.endsWith("/a") ? 3 : 1) })),
    "a",
  );
});

test("those tried come last, and again when there are no others", () => {
  const [a, b] = [pod("a", "10.244.1.1"), pod("b", "10.244.1.2")];
  assert.equal(name(input([a, b], { tried: new Set([a.uid]) })), "b");
  assert.equal(name(input([a], { tried: new Set([a.uid]) })), "a");
});

test("why there is none", () => {
  assert.equal(name(input([])), `NO_HEALTHY_UPSTREAM: the backend service ${KEY} has no endpoint that may be used (of 0)`);
  assert.equal(
    name(input([pod("a", "10.244.1.1", { status: "UNHEALTHY" })])),
    `NO_HEALTHY_UPSTREAM: the backend service ${KEY} has no endpoint that may be used (of 1)`,
  );
  assert.equal(name(input([], { backend: { ...backend, port: 99 } })), `NO_SERVICE_PORT: the backend service ${KEY} has no port 99`);
  assert.equal(name(input([], { backend: { ...backend, hostname: "x" } })), "NO_HEALTHY_UPSTREAM: the backend service shop/x is not known");
});

test("the version towards the backend", () => {
  const plain = { version: "HTTP/1.1", upgrade: undefined };
  assert.equal(upstreamVersion("UNKNOWN", plain), "http1");
  assert.equal(upstreamVersion("UNKNOWN", { ...plain, version: "HTTP/2" }), "http2");
  assert.equal(upstreamVersion("GRPC", plain), "http2");
  assert.equal(upstreamVersion("HTTP2", { ...plain, upgrade: "websocket" }), "http1");
});
