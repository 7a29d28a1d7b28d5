// How far is a Gateway, and is its address kept once given? (istio's gateway status cases)

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Deployment } from "@ambit/shared/kube/objects/apps.ts";
import type { Service, ServiceAccount } from "@ambit/shared/kube/objects/core.ts";
import type { Gateway } from "@ambit/shared/kube/objects/gateway.ts";
import { deployment, gateway, gatewayClass, meshOf, SETTINGS, service, serviceAccount } from "../model/test/fixtures.ts";
import { classStatus, missingClass } from "./classes.ts";
import { gatewayStatus } from "./gateways.ts";

const UID = "uid-shop-wp";
const owned = <T extends Service>(s: T): T => ({
  ...s,
  metadata: { ...s.metadata, ownerReferences: [{ apiVersion: "v1", kind: "Gateway", name: "wp", uid: UID }] },
});
const ip = owned(service("shop", "wp", { ip: "10.96.0.9" }));
const HOST = "wp.shop.svc.cluster.local";

const cases: readonly {
  readonly name: string;
  readonly gateway: Gateway;
  readonly service?: Service;
  readonly deployment?: Deployment;
  readonly serviceAccount?: ServiceAccount;
  readonly accepted: string;
  readonly programmed: string;
  readonly addresses: readonly string[];
}[] = [
  {
    name: "nothing there yet",
    gateway: gateway("shop", "wp", { ready: false }),
    accepted: "Accepted",
    programmed: "Pending",
    addresses: [],
  },
  {
    name: "deployed, no pod ready",
    gateway: gateway("shop", "wp", { ready: false }),
    service: ip,
    deployment: deployment("shop", "wp", false, UID),
    accepted: "Accepted",
    programmed: "Pending",
    addresses: [],
  },
  {
    name: "available",
    gateway: gateway("shop", "wp", { ready: false }),
    service: ip,
    deployment: deployment("shop", "wp", true, UID),
    accepted: "Accepted",
    programmed: "Programmed",
    addresses: ["10.96.0.9", HOST],
  },
  {
    name: "was ready, pods went away: the address stays",
    gateway: gateway("shop", "wp"),
    service: ip,
    deployment: deployment("shop", "wp", false, UID),
    accepted: "Accepted",
    programmed: "Pending",
    addresses: ["10.96.0.9", HOST],
  },
  {
    name: "was ready, the Service went away: the address stays",
    gateway: gateway("shop", "wp"),
    deployment: deployment("shop", "wp", true, UID),
    accepted: "Accepted",
    programmed: "Pending",
    addresses: [HOST],
  },
  {
    name: "Service without cluster IP",
    gateway: gateway("shop", "wp", { ready: false }),
    service: owned(service("shop", "wp")),
    deployment: deployment("shop", "wp", true, UID),
    accepted: "Accepted",
    programmed: "AddressNotAssigned",
    addresses: [],
  },
  {
    name: "a Service of somebody else",
    gateway: gateway("shop", "wp", { ready: false }),
    service: service("shop", "wp", { ip: "10.96.0.9" }),
    deployment: deployment("shop", "wp", true, UID),
    accepted: "Accepted",
    programmed: "Invalid",
    addresses: [],
  },
  {
    name: "a Deployment of somebody else",
    gateway: gateway("shop", "wp", { ready: false }),
    service: ip,
    deployment: deployment("shop", "wp", false),
    accepted: "Accepted",
    programmed: "Invalid",
    addresses: [],
  },
  {
    name: "a ServiceAccount of somebody else",
    gateway: gateway("shop", "wp", { ready: false }),
    serviceAccount: serviceAccount("shop", "wp"),
    accepted: "Accepted",
    programmed: "Invalid",
    addresses: [],
  },
  {
    name: "its own ServiceAccount",
    gateway: gateway("shop", "wp", { ready: false }),
    service: ip,
    deployment: deployment("shop", "wp", true, UID),
    serviceAccount: serviceAccount("shop", "wp", UID),
    accepted: "Accepted",
    programmed: "Programmed",
    addresses: ["10.96.0.9", HOST],
  },
  {
    name: "no HBONE listener",
    gateway: {
      ...gateway("shop", "wp", { ready: false }),
      spec: { gatewayClassName: "istio-waypoint", listeners: [{ name: "x", port: 80, protocol: "HTTP" }] },
    },
    accepted: "ListenersNotValid",
    programmed: "Invalid",
    addresses: [],
  },
];
for (const c of cases)
  test(`Gateway: ${c.name}`, () => {
    const s = gatewayStatus(c.gateway, { service: c.service, deployment: c.deployment, serviceAccount: c.serviceAccount }, SETTINGS);
    assert.deepEqual([s.conditions.map((x) => x.reason), s.addresses?.map((a) => a.value)], [[c.accepted, c.programmed], c.addresses]);
  });

test("listeners: one is HBONE, another is not served", () => {
  const g = gateway("shop", "wp");
  const s = gatewayStatus(
    { ...g, spec: { ...g.spec, listeners: [...g.spec.listeners, { name: "web", port: 80, protocol: "HTTP" }] } },
    { service: ip, deployment: deployment("shop", "wp", true, UID), serviceAccount: undefined },
    SETTINGS,
  );
  assert.deepEqual(
    s.listeners?.map((l) => [l.name, ...l.conditions.map((c) => `${c.type}=${c.status}`)]),
    [
      ["mesh", "Accepted=True", "Conflicted=False", "Programmed=True", "ResolvedRefs=True"],
      ["web", "Accepted=False", "Conflicted=False", "Programmed=False", "ResolvedRefs=True"],
    ],
  );
});

test("GatewayClass: ours is accepted, others are not touched, parameters are refused", () => {
  assert.equal(classStatus(gatewayClass())?.conditions[0]?.status, "True");
  assert.equal(classStatus({ ...gatewayClass(), spec: { controllerName: "example.com/other" } }), undefined);
  assert.equal(
    classStatus({ ...gatewayClass(), spec: { controllerName: "istio.io/mesh-controller", parametersRef: { name: "x" } } })?.conditions[0]
      ?.reason,
    "InvalidParameters",
  );
});

test("in the graph: from deployed to bound", () => {
  const web = service("shop", "web", { ip: "10.96.0.5", labels: { "istio.io/use-waypoint": "wp" } });
  const m = meshOf({ gateways: [gateway("shop", "wp", { ready: false })], gatewayClasses: [gatewayClass()], services: [web, ip] });
  assert.equal(m.status("gateways/shop/wp")?.conditions[1]?.reason, "Pending");
  m.put("deployments", deployment("shop", "wp", true, UID));
  const addresses = m.status("gateways/shop/wp")?.addresses ?? [];
  assert.equal(addresses.length, 2);
  m.put("gateways", { ...gateway("shop", "wp"), status: { addresses } }); // what the status writer does
  assert.equal(m.status("services/shop/web")?.conditions[0]?.status, "True");
  assert.deepEqual(m.owned("shop", "web")?.owners, ["shop/wp"]);
});

test("in the graph: an account of somebody else's name is told, until it goes", () => {
  const m = meshOf({ gateways: [gateway("shop", "wp", { ready: false })], gatewayClasses: [gatewayClass()] });
  m.put("serviceAccounts", serviceAccount("shop", "wp"));
  const programmed = () => m.status("gateways/shop/wp")?.conditions[1];
  assert.equal(programmed()?.message, "ServiceAccount shop/wp exists and does not belong to this Gateway: rename one of them");
  m.remove("serviceAccounts", "shop/wp");
  assert.equal(programmed()?.reason, "Pending");
});

test("the class is made once its kind is served and nobody made it", () => {
  assert.equal(missingClass({ served: false, there: undefined }), undefined);
  assert.equal(missingClass({ served: true, there: gatewayClass() }), undefined);
  assert.equal(missingClass({ served: true, there: undefined })?.spec.controllerName, "istio.io/mesh-controller");
});
