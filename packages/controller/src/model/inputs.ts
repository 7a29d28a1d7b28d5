// Which Kubernetes objects does the graph start from?

import type {
  AuthorizationPolicy,
  Deployment,
  EndpointSlice,
  Gateway,
  GatewayClass,
  HTTPRoute,
  KubeObject,
  Namespace,
  Node,
  PeerAuthentication,
  Pod,
  Service,
} from "@ambit/shared/kube/objects.ts";
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
  readonly gatewayClasses: GatewayClass;
  readonly gateways: Gateway;
  readonly httpRoutes: HTTPRoute;
  readonly authorizationPolicies: AuthorizationPolicy;
  readonly peerAuthentications: PeerAuthentication;
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
    gatewayClasses: input("GatewayClasses"),
    gateways: input("Gateways"),
    httpRoutes: input("HTTPRoutes"),
    authorizationPolicies: input("AuthorizationPolicies"),
    peerAuthentications: input("PeerAuthentications"),
  };
};

/** The server changes resourceVersion with every change; objects without one are compared whole. */
export const sameObject = (a: KubeObject, b: KubeObject): boolean =>
  a.metadata.resourceVersion !== undefined && a.metadata.uid !== undefined
    ? a.metadata.resourceVersion === b.metadata.resourceVersion && a.metadata.uid === b.metadata.uid
    : sameData(a, b);
