// What does a controller see: the objects of each kind, at one moment?

import type { ControllerRevision, DaemonSet, Deployment, Job, ReplicaSet } from "@ambit/shared/kube/objects/apps.ts";
import type { ConfigMap, Endpoints, Namespace, Node, Service, ServiceAccount } from "@ambit/shared/kube/objects/core.ts";
import type { EndpointSlice, Lease } from "@ambit/shared/kube/objects/discovery.ts";
import type { KubeObject } from "@ambit/shared/kube/objects/meta.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import { RESOURCES, type Resource } from "@ambit/shared/kube/resources.ts";

export type Lister<T> = {
  /** By "namespace/name" or "name". */
  get(key: string): T | undefined;
  list(): readonly T[];
  in(namespace: string): readonly T[];
};

export type Kinds = {
  pods: Pod;
  nodes: Node;
  services: Service;
  namespaces: Namespace;
  configMaps: ConfigMap;
  serviceAccounts: ServiceAccount;
  endpoints: Endpoints;
  endpointSlices: EndpointSlice;
  deployments: Deployment;
  replicaSets: ReplicaSet;
  daemonSets: DaemonSet;
  controllerRevisions: ControllerRevision;
  jobs: Job;
  leases: Lease;
};
export type KindName = keyof Kinds;

export const KIND_RESOURCES: Readonly<Record<KindName, Resource>> = {
  pods: RESOURCES.pods,
  nodes: RESOURCES.nodes,
  services: RESOURCES.services,
  namespaces: RESOURCES.namespaces,
  configMaps: RESOURCES.configMaps,
  serviceAccounts: RESOURCES.serviceAccounts,
  endpoints: RESOURCES.endpoints,
  endpointSlices: RESOURCES.endpointSlices,
  deployments: RESOURCES.deployments,
  replicaSets: RESOURCES.replicaSets,
  daemonSets: RESOURCES.daemonSets,
  controllerRevisions: RESOURCES.controllerRevisions,
  jobs: RESOURCES.jobs,
  leases: RESOURCES.leases,
};

export type View = { readonly [K in KindName]: Lister<Kinds[K]> } & {
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** When this process last saw the object change, by its own clock. */
  changedAt(object: KubeObject): number;
};

/** Which keys of a controller to look at when an object of a kind changed (its last state, when it was deleted). */
export type Triggers = { readonly [K in KindName]?: (object: Kinds[K], view: View) => readonly string[] };

export type Controller = {
  readonly name: string;
  readonly triggers: Triggers;
  reconcile(view: View, key: string): import("./plan.ts").Plan;
};
