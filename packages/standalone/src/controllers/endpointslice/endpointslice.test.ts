// Are a Service's endpoints those pods that serve it?

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Endpoints, Service } from "@ambit/shared/kube/objects/core.ts";
import type { EndpointSlice } from "@ambit/shared/kube/objects/discovery.ts";
import { node, type PodInit, pod, shown, view } from "../test/fixtures.ts";
import { backendsOf } from "./endpoints.ts";
import { reconcileService } from "./reconcile.ts";

const service = (spec: Partial<Service["spec"]> = {}): Service => ({
  metadata: { name: "web", namespace: "d", uid: "uid-svc", labels: { team: "a" } },
  spec: {
    clusterIP: "10.96.0.9",
    ipFamilies: ["IPv4"],
    selector: { app: "web" },
    ports: [{ name: "http", port: 80, targetPort: "web", protocol: "TCP" }],
    ...spec,
  },
});
const web = (name: string, init: PodInit = {}) =>
  pod(name, {
    ips: ["10.244.1.5", "fd00::5"],
    node: "n1",
    ...init,
    spec: { containers: [{ name: "c", ports: [{ name: "web", containerPort: 8080 }] }], ...init.spec },
  });
const cluster = (pods: ReturnType<typeof pod>[]) => ({
  pods,
  node: (n: string) => (n === "n1" ? node("n1", { labels: { "topology.kubernetes.io/zone": "z1" } }) : undefined),
});

test("an endpoint says where it is, what it is and how it is", () => {
  const [b] = backendsOf(service(), "IPv4", cluster([web("a")]));
  assert.deepEqual(b?.endpoint, {
    addresses: ["10.244.1.5"],
    conditions: { ready: true, serving: true, terminating: false },
    targetRef: { kind: "Pod", namespace: "d", name: "a", uid: "uid-a" },
    nodeName: "n1",
    zone: "z1",
  });
  assert.deepEqual(b?.ports, [{ name: "http", protocol: "TCP", port: 8080 }]);
});

const conditionCases: readonly (readonly [string, Service, PodInit, string])[] = [
  ["ready", service(), {}, "ready serving"],
  ["not ready", service(), { ready: false }, ""],
  ["ending but still serving", service(), { deleting: true }, "serving terminating"],
  ["ending and not ready", service(), { deleting: true, ready: false }, "terminating"],
  ["published before it is ready", service({ publishNotReadyAddresses: true }), { ready: false }, "ready serving"],
  ["published even while ending", service({ publishNotReadyAddresses: true }), { deleting: true }, "ready serving terminating"],
];
for (const [name, s, init, expected] of conditionCases)
  test(`conditions: ${name}`, () => {
    const c = backendsOf(s, "IPv4", cluster([web("a", init)]))[0]?.endpoint.conditions ?? {};
    assert.equal(
      Object.entries(c)
        .filter(([, v]) => v)
        .map(([k]) => k)
        .join(" "),
      expected,
    );
  });

test("no backend: ended pods, pods without an address of the family, pods not selected", () => {
  const pods = [web("a", { phase: "Succeeded" }), web("b", { ips: ["10.244.1.6"] }), web("c", { labels: { app: "db" } })];
  assert.deepEqual(backendsOf(service(), "IPv6", cluster(pods)), []);
});

test("a hostname only for pods of this headless service's subdomain", () => {
  const named = (subdomain: string) =>
    backendsOf(service({ clusterIP: "None" }), "IPv4", cluster([web("a", { spec: { hostname: "a0", subdomain } })]))[0]?.endpoint.hostname;
  assert.equal(named("web"), "a0");
  assert.equal(named("other"), undefined);
});

const seen = (plan: ReturnType<typeof reconcileService>): EndpointSlice[] =>
  plan.actions.flatMap((a) => (a.do === "create" && a.resource.resource === "endpointslices" ? [a.object as EndpointSlice] : []));

test("one slice per family and per set of ports; the legacy object beside them", () => {
  const other = pod("b", {
    ips: ["10.244.1.6", "fd00::6"],
    node: "n1",
    spec: { containers: [{ name: "c", ports: [{ name: "web", containerPort: 9090 }] }] },
  });
  const plan = reconcileService(service({ ipFamilies: ["IPv4", "IPv6"] }), view({ pods: [web("a"), other] }));
  assert.deepEqual(
    seen(plan).map((s) => `${s.addressType} ${s.endpoints?.map((e) => e.addresses[0])} ${s.ports?.map((p) => p.port)}`),
    ["IPv4 10.244.1.5 8080", "IPv4 10.244.1.6 9090", "IPv6 fd00::5 8080", "IPv6 fd00::6 9090"],
  );
  assert.equal(seen(plan)[0]?.metadata.labels?.["kubernetes.io/service-name"], "web");
  assert.equal(seen(plan)[0]?.metadata.labels?.team, "a");
  const legacy = plan.actions.find((a) => a.do === "create" && a.resource.resource === "endpoints");
  assert.ok(legacy?.do === "create");
  assert.deepEqual(
    (legacy.object as Endpoints).subsets?.map((s) => s.addresses?.map((x) => x.ip)),
    [["10.244.1.5"], ["10.244.1.6"]],
  );
});

test("more than a hundred endpoints take more slices", () => {
  const pods = Array.from({ length: 250 }, (_, i) => web(`p${i}`, { ips: [`10.244.1.${i}`] }));
  assert.deepEqual(
    seen(reconcileService(service(), view({ pods }))).map((s) => s.endpoints?.length),
    [100, 100, 50],
  );
});

test("existing slices are reused, surplus ones deleted, and nothing is written twice", () => {
  const first = seen(reconcileService(service(), view({ pods: [web("a")] })))[0];
  assert.ok(first !== undefined);
  const stored = { ...first, metadata: { ...first.metadata, name: "web-x", uid: "u" } };
  const again = { ...stored, metadata: { ...stored.metadata, name: "web-y" } };
  const endpoints = (pods: ReturnType<typeof web>[]) =>
    reconcileService(service(), view({ pods })).actions.flatMap((a) =>
      a.do === "create" && a.resource.resource === "endpoints" ? [a.object as Endpoints] : [],
    );
  const at = (pods: ReturnType<typeof web>[], slices: EndpointSlice[]) =>
    shown(reconcileService(service(), view({ pods, endpointSlices: slices, endpoints: endpoints(pods) })));
  assert.deepEqual(at([web("a")], [stored]), []);
  assert.deepEqual(at([web("a", { ready: false })], [stored]), ["update endpointslices web-x"]);
  assert.deepEqual(at([web("a")], [stored, again]), ["delete endpointslices web-y"]);
});

test("no selector, or ExternalName: what people wrote is left alone", () => {
  assert.deepEqual(shown(reconcileService(service({ selector: {} }), view({ pods: [web("a")] }))), []);
  assert.deepEqual(shown(reconcileService(service({ type: "ExternalName" }), view({ pods: [web("a")] }))), []);
});
