// Is the right endpoint chosen, and reached as the one it must be?

import assert from "node:assert/strict";
import { test } from "node:test";
import { aService, aPort as aServicePort, aWorkload } from "@ambit/shared/state/fixtures.ts";
import { createMeshStore } from "@ambit/shared/state/store.ts";
import type { Workload } from "@ambit/shared/state/types.ts";
import { KEY } from "../test/rig.ts";
import { type ChooseInput, chooseEndpoint, upstreamVersion } from "./choose.ts";

const backend = { namespace: "shop", hostname: "reviews.shop.svc.cluster.local", port: 80 };
const pod = (name: string, address: string, over: Partial<Workload> = {}) =>
  aWorkload(name, address, { namespace: "shop", services: { [KEY]: [aServicePort(80, 8080)] }, ...over });

const input = (workloads: readonly Workload[], over: Partial<ChooseInput> = {}): ChooseInput => {
  const store = createMeshStore();
  store.commit([
    { kind: "service", service: aService("reviews", "10.96.0.50", { namespace: "shop" }) },
    ...workloads.map((workload) => ({ kind: "workload" as const, workload })),
  ]);
  return {
    view: store.view,
    backend,
    from: { network: "", node: "node1", clusterId: "Kubernetes", locality: { region: "", zone: "", subzone: "" } },
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
