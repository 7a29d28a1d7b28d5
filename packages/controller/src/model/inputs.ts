// Which Kubernetes objects does the graph start from?

import type { Deployment } from "@ambit/shared/kube/objects/apps.ts";
import type { Namespace, Node, Service, ServiceAccount } from "@ambit/shared/kube/objects/core.ts";
import type { EndpointSlice } from "@ambit/shared/kube/objects/discovery.ts";
import type { Gateway, GatewayClass, HTTPRoute } from "@ambit/shared/kube/objects/gateway.ts";
import type { AuthorizationPolicy, PeerAuthentication, RequestAuthentication } from "@ambit/shared/kube/objects/istio.ts";
import type { KubeObject } from "@ambit/shared/kube/objects/meta.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import type { Graph } from "../collections/core.ts";
import { sameData } from "../collections/equal.ts";
import { type StaticCollection, staticCollection } from "../collections/static.ts";

export type InputTypes = {
  readonly pods: Pod;
  readonly services: Service;
  readonly nodes: Node;
  readonly namespaces: Namespace;
  readonly endpointSlices: EndpointSlice;
  readonly deployments: Deployment;
  /** Only to see whose those are that waypoints would run as. */
  readonly serviceAccounts: ServiceAccount;
  readonly gatewayClasses: GatewayClass;
  readonly gateways: Gateway;
  readonly httpRoutes: HTTPRoute;
  readonly authorizationPolicies: AuthorizationPolicy;
  readonly peerAuthentications: PeerAuthentication;
  /** Only to see to what they are attached. */
  readonly requestAuthentications: RequestAuthentication;
};

/** Keyed by "namespace/name", or "name" for cluster-wide kinds. */
export type Inputs = { readonly [K in keyof InputTypes]: StaticCollection<InputTypes[K]> };

export const createInputs = (graph: Graph): Inputs => {
  const input = <T extends KubeObject>(name: string) => staticCollection<T>({ graph, name, equal: sameObject });
  return {
    pods: input("Pods"),
    services: input("Services"),
    nodes: input("Nodes"),
    namespaces: input("Namespaces"),
    endpointSlices: input("EndpointSlices"),
    deployments: input("Deployments"),
    serviceAccounts: input("ServiceAccounts"),
    gatewayClasses: input("GatewayClasses"),
    gateways: input("Gateways"),
    httpRoutes: input("HTTPRoutes"),
    authorizationPolicies: input("AuthorizationPolicies"),
    peerAuthentications: input("PeerAuthentications"),
    requestAuthentications: input("RequestAuthentications"),
  };
};

/** The server changes resourceVersion with every change; objects without one are compared whole. */
export const sameObject = (a: KubeObject, b: KubeObject): boolean =>
  a.metadata.resourceVersion !== undefined && a.metadata.uid !== undefined
    ? a.metadata.resourceVersion === b.metadata.resourceVersion && a.metadata.uid === b.metadata.uid
    : sameData(a, b);
