// Which objects do the tables of this package start from? (test data only)

import assert from "node:assert/strict";
import type { Deployment } from "@ambit/shared/kube/objects/apps.ts";
import type { Namespace, Node, Service, ServiceAccount } from "@ambit/shared/kube/objects/core.ts";
import type { EndpointSlice } from "@ambit/shared/kube/objects/discovery.ts";
import type { Gateway, GatewayClass, HTTPRoute } from "@ambit/shared/kube/objects/gateway.ts";
import type { AuthorizationPolicy, PeerAuthentication } from "@ambit/shared/kube/objects/istio.ts";
import { keyOf } from "@ambit/shared/kube/objects/meta.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import { createGraph } from "../../collections/flush.ts";
import { createInputs, type Inputs, type InputTypes } from "../inputs.ts";
import { ANNOTATION, LABEL, MESH_CONTROLLER, WAYPOINT_CLASS } from "../labels.ts";
import { buildMesh } from "../mesh.ts";
import type { MeshSettings } from "../settings.ts";

export const SETTINGS: MeshSettings = {
  rootNamespace: "istio-system",
  trustDomain: "cluster.local",
  trustDomainAliases: [],
  clusterDomain: "cluster.local",
  clusterId: "Kubernetes",
  network: "",
  revision: "default",
};

type Meta = { readonly labels?: Record<string, string>; readonly annotations?: Record<string, string>; readonly created?: string };
const meta = (namespace: string, name: string, m: Meta = {}) => ({
  namespace,
  name,
  uid: `uid-${namespace}-${name}`,
  ...(m.labels === undefined ? {} : { labels: m.labels }),
  ...(m.annotations === undefined ? {} : { annotations: m.annotations }),
  ...(m.created === undefined ? {} : { creationTimestamp: m.created }),
});

export const namespace = (name: string, m: Meta = {}): Namespace => ({ metadata: { ...meta("", name, m), namespace: "" } });

export const node = (name: string, labels: Record<string, string> = {}): Node => ({
  metadata: { ...meta("", name, { labels }), namespace: "" },
});

export type PodSpec = Meta & {
  readonly ip?: string;
  readonly ips?: readonly string[];
  readonly sa?: string;
  readonly node?: string;
  readonly captured?: boolean;
  readonly ready?: boolean;
  readonly phase?: string;
  readonly hostNetwork?: boolean;
  readonly owner?: { readonly kind: string; readonly name: string };
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
};

export const pod = (ns: string, name: string, p: PodSpec = {}): Pod => ({
  metadata: {
    ...meta(ns, name, { ...p, annotations: { ...p.annotations, ...(p.captured === true ? { [ANNOTATION.redirection]: "enabled" } : {}) } }),
    ...(p.owner === undefined
      ? {}
      : { ownerReferences: [{ apiVersion: "apps/v1", kind: p.owner.kind, name: p.owner.name, uid: "owner", controller: true }] }),
  },
  spec: {
    nodeName: p.node ?? "node1",
    serviceAccountName: p.sa ?? "default",
    ...(p.hostNetwork === undefined ? {} : { hostNetwork: p.hostNetwork }),
    containers: [{ name: "app", ports: p.ports ?? [] }],
  },
  status: {
    phase: p.phase ?? "Running",
    ...(p.ips === undefined ? (p.ip === undefined ? {} : { podIP: p.ip }) : { podIPs: p.ips.map((ip) => ({ ip })) }),
    conditions: [{ type: "Ready", status: p.ready === false ? "False" : "True" }],
  },
});

export type ServiceSpec = Meta & { readonly ip?: string; readonly spec?: Partial<Service["spec"]> };
export const service = (ns: string, name: string, s: ServiceSpec = {}): Service => ({
  metadata: meta(ns, name, s),
  spec: {
    ...(s.ip === undefined ? {} : { clusterIP: s.ip, clusterIPs: [s.ip] }),
    selector: { app: name },
    ports: [{ name: "http", port: 80, targetPort: 8080 }],
    ...s.spec,
  },
});

export const gatewayClass = (name: string = WAYPOINT_CLASS, m: Meta = {}): GatewayClass => ({
  metadata: { ...meta("", name, m), namespace: "" },
  spec: { controllerName: MESH_CONTROLLER },
});

export type GatewaySpec = Meta & {
  readonly ready?: boolean;
  readonly from?: string;
  readonly waypointFor?: string;
  readonly selector?: Record<string, string>;
};
export const gateway = (ns: string, name: string, g: GatewaySpec = {}): Gateway => ({
  metadata: meta(ns, name, {
    ...g,
    labels: { ...g.labels, ...(g.waypointFor === undefined ? {} : { [LABEL.waypointFor]: g.waypointFor }) },
  }),
  spec: {
    gatewayClassName: WAYPOINT_CLASS,
    listeners: [
      {
        name: "mesh",
        port: 15008,
        protocol: "HBONE",
        ...(g.from === undefined
          ? {}
          : {
              allowedRoutes: {
                namespaces: { from: g.from, ...(g.selector === undefined ? {} : { selector: { matchLabels: g.selector } }) },
              },
            }),
      },
    ],
  },
  ...(g.ready === false ? {} : { status: { addresses: [{ type: "Hostname", value: `${name}.${ns}.svc.cluster.local` }] } }),
});

export const deployment = (ns: string, name: string, available: boolean, owner?: string): Deployment => ({
  metadata: {
    ...meta(ns, name),
    ...(owner === undefined ? {} : { ownerReferences: [{ apiVersion: "v1", kind: "Gateway", name, uid: owner }] }),
  },
  spec: { selector: { matchLabels: {} }, template: { spec: { containers: [] } } },
  status: { conditions: [{ type: "Available", status: available ? "True" : "False" }] },
});

export const serviceAccount = (ns: string, name: string, owner?: string): ServiceAccount => ({
  metadata: {
    ...meta(ns, name),
    ...(owner === undefined ? {} : { ownerReferences: [{ apiVersion: "v1", kind: "Gateway", name, uid: owner }] }),
  },
});

export const slice = (ns: string, name: string, s: Partial<EndpointSlice> & { readonly service: string }): EndpointSlice => ({
  metadata: meta(ns, name, { labels: { [LABEL.serviceName]: s.service } }),
  addressType: s.addressType ?? "IPv4",
  endpoints: s.endpoints ?? [],
  ports: s.ports ?? [{ name: "http", port: 8080, protocol: "TCP" }],
});

export const authz = (ns: string, name: string, spec: AuthorizationPolicy["spec"], m: Meta = {}): AuthorizationPolicy => ({
  metadata: meta(ns, name, m),
  ...(spec === undefined ? {} : { spec }),
});

export const peerAuth = (
  ns: string,
  name: string,
  spec: PeerAuthentication["spec"],
  created = "2026-01-01T00:00:00Z",
): PeerAuthentication => ({
  metadata: meta(ns, name, { created }),
  ...(spec === undefined ? {} : { spec }),
});

export const httpRoute = (ns: string, name: string, spec: HTTPRoute["spec"], created = "2026-01-01T00:00:00Z"): HTTPRoute => ({
  metadata: meta(ns, name, { created }),
  spec,
});

export const toService = (
  name: string,
  more: { readonly port?: number; readonly sectionName?: string; readonly namespace?: string } = {},
) => ({
  group: "",
  kind: "Service",
  name,
  ...more,
});

/** A graph over these objects; every error of a transform fails the test. */
export const meshOf = (objects: { readonly [K in keyof InputTypes]?: readonly InputTypes[K][] } = {}) => {
  const graph = createGraph((e) => assert.fail(`${e.collection}/${e.key}: ${e.cause instanceof Error ? e.cause.stack : String(e.cause)}`));
  const inputs: Inputs = createInputs(graph);
  const mesh = buildMesh(graph, inputs, SETTINGS);
  const put = <K extends keyof InputTypes>(kind: K, ...list: readonly InputTypes[K][]): void =>
    graph.batch(() => {
      for (const o of list) inputs[kind].set(keyOf(o), o);
    });
  const remove = (kind: keyof InputTypes, ...keys: readonly string[]): void =>
    graph.batch(() => {
      for (const key of keys) inputs[kind].delete(key);
    });
  graph.batch(() => {
    const fill = <K extends keyof InputTypes>(kind: K): void => put(kind, ...(objects[kind] ?? []));
    for (const kind of Object.keys(inputs) as (keyof InputTypes)[]) fill(kind);
  });
  const address = (name: string) => {
    const a = mesh.addresses.get(name);
    return a?.kind === "workload" ? a.workload : undefined;
  };
  return {
    graph,
    inputs,
    mesh,
    put,
    remove,
    workload: (ns: string, name: string) => address(`Kubernetes//Pod/${ns}/${name}`),
    service: (ns: string, name: string) => mesh.services.get(`${ns}/${name}.${ns}.svc.cluster.local`),
    owned: (ns: string, name: string) => mesh.waypointServices.get(`${ns}/${name}.${ns}.svc.cluster.local`),
    status: (key: string) => mesh.statuses.get(key),
  };
};
