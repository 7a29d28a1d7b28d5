// What does the mesh know of pods, services and endpoints? (names as in istio's ambient index tests)

import assert from "node:assert/strict";
import { test } from "node:test";
import { meshOf, namespace, node, type PodSpec, pod, type ServiceSpec, service, slice } from "./test/fixtures.ts";
import { workloadNameOf } from "./workloads.ts";

const KEY = "shop/web.shop.svc.cluster.local";
const only = (p: PodSpec) => {
  const m = meshOf({ namespaces: [namespace("shop")], pods: [pod("shop", "p", p)] });
  return m.workload("shop", "p");
};

const podCases: readonly { readonly name: string; readonly pod: PodSpec; readonly expect: object | undefined }[] = [
  { name: "captured speaks HBONE", pod: { ip: "10.244.1.2", captured: true }, expect: { tunnelProtocol: "HBONE", nativeTunnel: false } },
  { name: "not captured speaks none", pod: { ip: "10.244.1.2" }, expect: { tunnelProtocol: "NONE" } },
  {
    name: "pending capture speaks none",
    pod: { ip: "10.244.1.2", annotations: { "ambient.istio.io/redirection": "pending" } },
    expect: { tunnelProtocol: "NONE" },
  },
  {
    name: "native tunnel",
    pod: { ip: "10.244.1.2", labels: { "networking.istio.io/tunnel": "foo,http" } },
    expect: { tunnelProtocol: "HBONE", nativeTunnel: true },
  },
  { name: "host network", pod: { ip: "172.30.0.11", hostNetwork: true }, expect: { networkMode: "HOST_NETWORK" } },
  {
    name: "both families, canonical form",
    pod: { ips: ["10.244.1.2", "FD00:244:0::2"] },
    expect: { addresses: ["10.244.1.2", "fd00:244::2"] },
  },
  { name: "no address yet", pod: {}, expect: undefined },
  { name: "succeeded", pod: { ip: "10.244.1.2", phase: "Succeeded" }, expect: undefined },
  { name: "failed", pod: { ip: "10.244.1.2", phase: "Failed" }, expect: undefined },
  { name: "not ready", pod: { ip: "10.244.1.2", ready: false }, expect: { status: "UNHEALTHY" } },
  {
    name: "identity",
    pod: { ip: "10.244.1.2", sa: "bookinfo-web" },
    expect: { serviceAccount: "bookinfo-web", trustDomain: "cluster.local", clusterId: "Kubernetes" },
  },
  {
    name: "canonical labels of Istio's before app's",
    pod: {
      ip: "10.244.1.2",
      labels: { "service.istio.io/canonical-name": "a", "service.istio.io/canonical-revision": "r", app: "b", version: "v" },
    },
    expect: { canonicalName: "a", canonicalRevision: "r" },
  },
  {
    name: "app.kubernetes.io labels",
    pod: { ip: "10.244.1.2", labels: { "app.kubernetes.io/name": "n", "app.kubernetes.io/version": "2" } },
    expect: { canonicalName: "n", canonicalRevision: "2" },
  },
  {
    name: "app and version",
    pod: { ip: "10.244.1.2", labels: { app: "b", version: "v2" } },
    expect: { canonicalName: "b", canonicalRevision: "v2" },
  },
  {
    name: "owner's name without labels",
    pod: { ip: "10.244.1.2", owner: { kind: "ReplicaSet", name: "web-5d4f" }, labels: { "pod-template-hash": "5d4f" } },
    expect: { canonicalName: "web", canonicalRevision: "latest", workloadName: "web", workloadType: "POD" },
  },
];
for (const c of podCases)
  test(`pod: ${c.name}`, () => {
    const w = only(c.pod);
    assert.deepEqual(
      w === undefined ? undefined : Object.fromEntries(Object.keys(c.expect ?? {}).map((k) => [k, w[k as keyof typeof w]])),
      c.expect,
    );
  });

test("TestPodLifecycleWorkloadGates", () => {
  const m = meshOf({ namespaces: [namespace("shop")], pods: [pod("shop", "p", {})] });
  assert.equal(m.workload("shop", "p"), undefined);
  m.put("pods", pod("shop", "p", { ip: "10.244.1.2", ready: false }));
  assert.equal(m.workload("shop", "p")?.status, "UNHEALTHY");
  m.put("pods", pod("shop", "p", { ip: "10.244.1.2" }));
  assert.equal(m.workload("shop", "p")?.status, "HEALTHY");
  const p = pod("shop", "p", { ip: "10.244.1.2" });
  m.put("pods", { ...p, metadata: { ...p.metadata, deletionTimestamp: "2026-01-01T00:00:00Z" } });
  assert.equal(m.workload("shop", "p")?.status, "UNHEALTHY");
  m.put("pods", pod("shop", "p", { ip: "10.244.1.2", phase: "Succeeded" }));
  assert.equal(m.workload("shop", "p"), undefined);
});

test("locality comes from the node's labels, and follows them", () => {
  const m = meshOf({
    nodes: [node("node1", { "topology.kubernetes.io/region": "eu", "topology.kubernetes.io/zone": "eu-1" })],
    pods: [pod("shop", "p", { ip: "10.244.1.2" })],
  });
  assert.deepEqual(m.workload("shop", "p")?.locality, { region: "eu", zone: "eu-1", subzone: "" });
  m.put("nodes", node("node1", { "topology.kubernetes.io/region": "us" }));
  assert.deepEqual(m.workload("shop", "p")?.locality, { region: "us", zone: "", subzone: "" });
});

const endpointCases: readonly { readonly name: string; readonly pod: PodSpec; readonly service: ServiceSpec; readonly expect: object }[] = [
  {
    name: "selected, numeric port",
    pod: { labels: { app: "web" } },
    service: {},
    expect: { [KEY]: [{ servicePort: 80, targetPort: 8080, appProtocol: "HTTP11" }] },
  },
  {
    name: "named port is looked up in the pod",
    pod: { labels: { app: "web" }, ports: [{ name: "main", containerPort: 9999 }] },
    service: { spec: { ports: [{ port: 80, targetPort: "main" }] } },
    expect: { [KEY]: [{ servicePort: 80, targetPort: 9999, appProtocol: "UNKNOWN" }] },
  },
  {
    name: "a named port the pod does not have is left out",
    pod: { labels: { app: "web" } },
    service: { spec: { ports: [{ port: 80, targetPort: "main" }, { port: 81 }] } },
    expect: { [KEY]: [{ servicePort: 81, targetPort: 81, appProtocol: "UNKNOWN" }] },
  },
  {
    name: "UDP ports are not ours",
    pod: { labels: { app: "web" } },
    service: { spec: { ports: [{ port: 53, protocol: "UDP" }] } },
    expect: { [KEY]: [] },
  },
  { name: "not selected", pod: { labels: { app: "other" } }, service: {}, expect: {} },
  {
    name: "ExternalName selects nobody",
    pod: { labels: { app: "web" } },
    service: { spec: { type: "ExternalName", externalName: "x.example" } },
    expect: {},
  },
];
for (const c of endpointCases)
  test(`endpoints: ${c.name}`, () => {
    const m = meshOf({ services: [service("shop", "web", c.service)], pods: [pod("shop", "p", { ip: "10.244.1.2", ...c.pod })] });
    assert.deepEqual(m.workload("shop", "p")?.services, c.expect);
  });

test("a service of another namespace selects nobody here", () => {
  const m = meshOf({ services: [service("other", "web")], pods: [pod("shop", "p", { ip: "10.244.1.2", labels: { app: "web" } })] });
  assert.deepEqual(m.workload("shop", "p")?.services, {});
});

test("selectorless service: its slices name pods, or bare addresses", () => {
  const m = meshOf({
    services: [service("shop", "web", { ip: "10.96.0.5", spec: { selector: {} } })],
    pods: [pod("shop", "p", { ip: "10.244.1.2" })],
    endpointSlices: [
      slice("shop", "web-1", {
        service: "web",
        endpoints: [{ addresses: ["10.244.1.2"], targetRef: { kind: "Pod", name: "p", namespace: "shop" } }, { addresses: ["192.0.2.7"] }],
      }),
    ],
  });
  const ports = [{ servicePort: 80, targetPort: 8080, appProtocol: "HTTP11" }];
  assert.deepEqual(m.workload("shop", "p")?.services, { [KEY]: ports });
  const bare = m.mesh.workloads.get("Kubernetes/discovery.k8s.io/EndpointSlice/shop/web-1/192.0.2.7");
  assert.deepEqual([bare?.services, bare?.networkMode, bare?.serviceAccount], [{ [KEY]: ports }, "HOST_NETWORK", ""]);
  m.remove("endpointSlices", "shop/web-1");
  assert.deepEqual(m.workload("shop", "p")?.services, {});
  assert.equal(m.mesh.workloads.size, 1);
});

test("a slice of a service with a selector adds nothing: the pods are known already", () => {
  const m = meshOf({
    services: [service("shop", "web")],
    endpointSlices: [slice("shop", "web-1", { service: "web", endpoints: [{ addresses: ["192.0.2.7"] }] })],
  });
  assert.equal(m.mesh.workloads.size, 0);
});

test("TestEmptyVIPsExcluded: headless services have no address", () => {
  const m = meshOf({ services: [service("shop", "web", { spec: { clusterIP: "None", clusterIPs: ["None"] } })] });
  assert.deepEqual(m.service("shop", "web")?.service.addresses, []);
});

const balancing: readonly {
  readonly name: string;
  readonly service: ServiceSpec;
  readonly ns?: Record<string, string>;
  readonly expect: object | undefined;
}[] = [
  { name: "nothing said", service: {}, expect: undefined },
  {
    name: "internalTrafficPolicy Local",
    service: { spec: { internalTrafficPolicy: "Local", trafficDistribution: "PreferClose" } },
    expect: { mode: "STRICT", routingPreference: ["NODE"], healthPolicy: "ONLY_HEALTHY" },
  },
  {
    name: "PreferClose",
    service: { spec: { trafficDistribution: "PreferClose" } },
    expect: { mode: "FAILOVER", routingPreference: ["NETWORK", "REGION", "ZONE"], healthPolicy: "ONLY_HEALTHY" },
  },
  {
    name: "annotation",
    service: { annotations: { "networking.istio.io/traffic-distribution": "PreferSameNode" } },
    expect: { mode: "FAILOVER", routingPreference: ["NETWORK", "REGION", "ZONE", "SUBZONE", "NODE"], healthPolicy: "ONLY_HEALTHY" },
  },
  {
    name: "the namespace's annotation",
    service: {},
    ns: { "networking.istio.io/traffic-distribution": "PreferSameZone" },
    expect: { mode: "FAILOVER", routingPreference: ["NETWORK", "REGION", "ZONE"], healthPolicy: "ONLY_HEALTHY" },
  },
  {
    name: "publishNotReadyAddresses",
    service: { spec: { publishNotReadyAddresses: true } },
    expect: { mode: "UNSPECIFIED_MODE", routingPreference: [], healthPolicy: "ALLOW_ALL" },
  },
];
for (const c of balancing)
  test(`load balancing: ${c.name}`, () => {
    const m = meshOf({
      namespaces: [namespace("shop", { annotations: c.ns ?? {} })],
      services: [service("shop", "web", { ip: "10.96.0.5", ...c.service })],
    });
    assert.deepEqual(m.service("shop", "web")?.service.loadBalancing, c.expect);
  });

test("dual stack service", () => {
  const m = meshOf({
    services: [service("shop", "web", { spec: { clusterIPs: ["10.96.0.5", "fd00:96::5"], ipFamilies: ["IPv4", "IPv6"] } })],
  });
  const s = m.service("shop", "web")?.service;
  assert.deepEqual([s?.ipFamilies, s?.addresses.map((a) => a.ip)], ["DUAL", ["10.96.0.5", "fd00:96::5"]]);
});

const owners: readonly (readonly [PodSpec, string])[] = [
  [{}, "p"],
  [{ owner: { kind: "ReplicaSet", name: "web-abc" }, labels: { "pod-template-hash": "abc" } }, "web"],
  [{ owner: { kind: "ReplicaSet", name: "web-abc" } }, "web-abc"],
  [{ owner: { kind: "StatefulSet", name: "db" } }, "db"],
  [{ owner: { kind: "Job", name: "nightly-28374650" } }, "nightly"],
  [{ owner: { kind: "DaemonSet", name: "agent" } }, "agent"],
];
for (const [p, expect] of owners)
  test(`workload name of ${JSON.stringify(p)}`, () => assert.equal(workloadNameOf(pod("shop", "p", p)), expect));

test("a change of a Service's status touches no workload", () => {
  const m = meshOf({
    services: [service("shop", "web", { ip: "10.96.0.5" })],
    pods: [pod("shop", "p", { ip: "10.244.1.2", labels: { app: "web" } })],
  });
  let told = 0;
  m.mesh.workloads.subscribe(() => told++);
  const workloads = m.graph.vertices.find((v) => v.name === "PodWorkloads");
  const before = [told, workloads?.runs()];
  const s = service("shop", "web", { ip: "10.96.0.5" });
  m.put("services", { ...s, status: { conditions: [{ type: "x", status: "True" }] } });
  assert.deepEqual([told, workloads?.runs()], before);
});
