// What does the mesh know of a pod, or of an endpoint that is none? (ambient-l4 section 7.4)

import { type Ip, parseIp } from "@ambit/shared/addr/ip.ts";
import type { EndpointSlice } from "@ambit/shared/kube/objects/discovery.ts";
import { controllerOf, findCondition } from "@ambit/shared/kube/objects/meta.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import type { Port, Workload } from "@ambit/shared/state/types.ts";
import type { Collection, Graph } from "../collections/core.ts";
import { derive } from "../collections/derive.ts";
import { sameData } from "../collections/equal.ts";
import type { Get } from "../collections/reads.ts";
import { type Selecting, type SliceTarget, selectorlessServiceOf, servicesOf, slicePorts } from "./endpoints.ts";
import { ANNOTATION, LABEL } from "./labels.ts";
import type { NamespaceInfo } from "./namespaces.ts";
import { NOWHERE, type NodeInfo } from "./nodes.ts";
import type { MeshSettings } from "./settings.ts";
import { type Binding, bindWaypoint, type Waypoint } from "./waypoints.ts";

/** All that the graph knows about a pod besides the pod. */
export type PodContext = {
  readonly node: NodeInfo | undefined;
  readonly services: Readonly<Record<string, readonly Port[]>>;
  readonly binding: Binding;
  /** "ns/name" of the policies that select it. */
  readonly policies: readonly string[];
};

const podUid = (pod: Pod, settings: Pick<MeshSettings, "clusterId">): string =>
  `${settings.clusterId}//Pod/${pod.metadata.namespace ?? ""}/${pod.metadata.name}`;

const podIps = (pod: Pod): readonly Ip[] => {
  const texts = pod.status?.podIPs?.map((p) => p.ip) ?? (pod.status?.podIP === undefined ? [] : [pod.status.podIP]);
  return texts.flatMap((t) => {
    const ip = parseIp(t);
    return ip.ok ? [ip.value] : [];
  });
};

/** The Deployment-like owner: a ReplicaSet's name without its template hash, else the owner's, else the pod's own. */
export const workloadNameOf = (pod: Pod): string => {
  const owner = controllerOf(pod);
  if (owner === undefined) return pod.metadata.name;
  const hash = pod.metadata.labels?.[LABEL.podTemplateHash];
  if (owner.kind === "ReplicaSet" && hash !== undefined && owner.name.endsWith(`-${hash}`)) return owner.name.slice(0, -(hash.length + 1));
  // A Job made by a CronJob ends in the minute it was made for.
  if (owner.kind === "Job") return owner.name.replace(/-\d{8}$/, "");
  return owner.name;
};

const isReady = (pod: Pod): boolean =>
  pod.metadata.deletionTimestamp === undefined && findCondition(pod.status?.conditions, "Ready")?.status === "True";

const isNativeTunnel = (pod: Pod): boolean => (pod.metadata.labels?.[LABEL.tunnel] ?? "").split(",").includes("http");

/** undefined for a pod that has ended or has no address yet. */
export const toWorkload = (pod: Pod, context: PodContext, settings: MeshSettings): Workload | undefined => {
  const addresses = podIps(pod);
  if (addresses.length === 0 || pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed") return undefined;
  const { name, namespace = "", labels = {}, annotations = {} } = pod.metadata;
  const workloadName = workloadNameOf(pod);
  const nativeTunnel = isNativeTunnel(pod);
  const captured = annotations[ANNOTATION.redirection] === "enabled";
  return {
    uid: podUid(pod, settings),
    name,
    namespace,
    addresses,
    network: settings.network,
    tunnelProtocol: captured || nativeTunnel ? "HBONE" : "NONE",
    trustDomain: settings.trustDomain,
    serviceAccount: pod.spec.serviceAccountName ?? "default",
    waypoint: context.binding.kind === "bound" ? context.binding.address : undefined,
    node: pod.spec.nodeName ?? "",
    canonicalName: labels[LABEL.canonicalName] ?? labels["app.kubernetes.io/name"] ?? labels.app ?? workloadName,
    canonicalRevision: labels[LABEL.canonicalRevision] ?? labels["app.kubernetes.io/version"] ?? labels.version ?? "latest",
    workloadType: "POD",
    workloadName,
    nativeTunnel,
    authorizationPolicies: context.policies,
    status: isReady(pod) ? "HEALTHY" : "UNHEALTHY",
    clusterId: settings.clusterId,
    networkGateway: undefined,
    hostname: "",
    services: context.services,
    applicationTunnel: undefined,
    locality: context.node?.locality ?? NOWHERE,
    networkMode: pod.spec.hostNetwork === true ? "HOST_NETWORK" : "STANDARD",
    capacity: 1,
  };
};

export type PodWorkloadSources = {
  readonly pods: Collection<Pod>;
  readonly nodes: Collection<NodeInfo>;
  readonly namespaces: Collection<NamespaceInfo>;
  readonly waypoints: Collection<Waypoint>;
  readonly selectingByNamespace: Collection<readonly Selecting[]>;
  readonly targetsByPod: Collection<readonly SliceTarget[]>;
  /** "ns/name" of the policies that select a pod of these labels; reads collections through `get`. */
  readonly policies: PolicyNames;
};

export type PolicyNames = {
  readonly reads: readonly Collection<unknown>[];
  of(get: Get, pod: Pod): readonly string[];
};

export const podWorkloads = (graph: Graph, from: PodWorkloadSources, settings: MeshSettings): Collection<Workload> =>
  derive(
    {
      graph,
      name: "PodWorkloads",
      from: from.pods,
      reads: [from.nodes, from.namespaces, from.waypoints, from.selectingByNamespace, from.targetsByPod, ...from.policies.reads],
      key: (w) => w.uid,
      equal: sameData,
    },
    (get, pod, key) => {
      const { namespace = "", labels = {}, annotations = {} } = pod.metadata;
      const bindable = { kind: "workload", namespace, labels, annotations } as const;
      const workload = toWorkload(
        pod,
        {
          node: pod.spec.nodeName === undefined ? undefined : get.one(from.nodes, pod.spec.nodeName),
          services: servicesOf(pod, get.one(from.selectingByNamespace, namespace) ?? [], get.one(from.targetsByPod, key) ?? []),
          binding: bindWaypoint(bindable, get.one(from.namespaces, namespace), (w) => get.one(from.waypoints, w)),
          policies: from.policies.of(get, pod),
        },
        settings,
      );
      return workload === undefined ? [] : [workload];
    },
  );

/** Endpoints of selectorless Services that name no pod: known by address only, without identity. */
export const sliceWorkloads = (
  graph: Graph,
  from: { readonly endpointSlices: Collection<EndpointSlice>; readonly selecting: Collection<Selecting> },
  settings: MeshSettings,
): Collection<Workload> =>
  derive(
    { graph, name: "SliceWorkloads", from: from.endpointSlices, reads: [from.selecting], key: (w) => w.uid, equal: sameData },
    (get, slice) => {
      const service = selectorlessServiceOf(slice, (key) => get.one(from.selecting, key), settings);
      if (service === undefined || slice.addressType === "FQDN") return [];
      return (slice.endpoints ?? []).flatMap((e) => {
        const ip = parseIp(e.addresses[0] ?? "");
        if (!ip.ok || e.targetRef?.kind === "Pod") return [];
        return [bareWorkload(slice, { ip: ip.value, ready: e.conditions?.ready !== false, node: e.nodeName, service }, settings)];
      });
    },
  );

const bareWorkload = (
  slice: EndpointSlice,
  e: { readonly ip: Ip; readonly ready: boolean; readonly node: string | undefined; readonly service: Selecting },
  settings: MeshSettings,
): Workload => {
  const { namespace = "", name } = slice.metadata;
  return {
    uid: `${settings.clusterId}/discovery.k8s.io/EndpointSlice/${namespace}/${name}/${e.ip}`,
    name,
    namespace,
    addresses: [e.ip],
    network: settings.network,
    tunnelProtocol: "NONE",
    trustDomain: settings.trustDomain,
    serviceAccount: "",
    waypoint: undefined,
    node: e.node ?? "",
    canonicalName: e.service.name,
    canonicalRevision: "latest",
    workloadType: "POD",
    workloadName: e.service.name,
    nativeTunnel: false,
    authorizationPolicies: [],
    status: e.ready ? "HEALTHY" : "UNHEALTHY",
    clusterId: settings.clusterId,
    networkGateway: undefined,
    hostname: "",
    services: { [e.service.key]: slicePorts(slice, e.service.ports) },
    applicationTunnel: undefined,
    locality: NOWHERE,
    networkMode: "HOST_NETWORK",
    capacity: 1,
  };
};
