// What does the mesh know of a Kubernetes Service? (ambient-l4 section 7.4)

import { type Ip, parseIp } from "@ambit/shared/addr/ip.ts";
import type { Service as KubeService, ServicePort } from "@ambit/shared/kube/objects/core.ts";
import type { IpFamilies, LoadBalancing, Port, Service, WeightedWaypoint } from "@ambit/shared/state/types.ts";
import { serviceKey } from "@ambit/shared/state/types.ts";
import type { Collection, Graph } from "../collections/core.ts";
import { derive } from "../collections/derive.ts";
import { sameData } from "../collections/equal.ts";
import type { Attachment } from "./attachments.ts";
import { ANNOTATION, LABEL } from "./labels.ts";
import type { NamespaceInfo } from "./namespaces.ts";
import { appProtocolOf, protocolWord } from "./protocols.ts";
import { missingWaypoint, type Requirement, waypointRequirement } from "./require-waypoint.ts";
import { type MeshSettings, serviceHostname } from "./settings.ts";
import { type Binding, bindWaypoint, type Waypoint } from "./waypoints.ts";

/** A Service with what was decided about its waypoint. */
export type BoundService = {
  readonly service: Service;
  readonly ports: readonly NamedPort[];
  readonly binding: Binding;
  readonly requirement: Requirement;
};
export type NamedPort = { readonly name: string; readonly port: number; readonly appProtocol: string | undefined };

export const isTcp = (p: { readonly protocol?: string }): boolean => p.protocol === undefined || p.protocol === "TCP";

/** An absent target port is the service port itself; a named one is 0: the endpoint says. */
const targetPortNumber = (p: ServicePort): number => (typeof p.targetPort === "string" ? 0 : (p.targetPort ?? p.port));

const toPort = (p: ServicePort): Port => ({ servicePort: p.port, targetPort: targetPortNumber(p), appProtocol: appProtocolOf(p) });

/** ClusterIPs that are addresses: "None" and "" are not. */
export const clusterIps = (s: KubeService): readonly Ip[] =>
  (s.spec.clusterIPs ?? (s.spec.clusterIP === undefined ? [] : [s.spec.clusterIP])).flatMap((text) => {
    const ip = parseIp(text);
    return ip.ok ? [ip.value] : [];
  });

const familiesOf = (s: KubeService): IpFamilies => {
  const families = new Set(s.spec.ipFamilies ?? []);
  if (families.has("IPv4") && families.has("IPv6")) return "DUAL";
  if (families.has("IPv4")) return "IPV4_ONLY";
  return families.has("IPv6") ? "IPV6_ONLY" : "AUTOMATIC";
};

/** internalTrafficPolicy > spec.trafficDistribution > the Service's annotation > the namespace's. */
const loadBalancingOf = (s: KubeService, namespace: NamespaceInfo | undefined): LoadBalancing | undefined => {
  const healthPolicy = s.spec.publishNotReadyAddresses === true ? "ALLOW_ALL" : "ONLY_HEALTHY";
  if (s.spec.internalTrafficPolicy === "Local") return { routingPreference: ["NODE"], mode: "STRICT", healthPolicy };
  const distribution =
    s.spec.trafficDistribution ??
    s.metadata.annotations?.[ANNOTATION.trafficDistribution] ??
    namespace?.annotations[ANNOTATION.trafficDistribution];
  switch (distribution) {
    case "PreferClose":
    case "PreferSameZone":
      return { routingPreference: ["NETWORK", "REGION", "ZONE"], mode: "FAILOVER", healthPolicy };
    case "PreferSameNode":
      return { routingPreference: ["NETWORK", "REGION", "ZONE", "SUBZONE", "NODE"], mode: "FAILOVER", healthPolicy };
    default:
      return healthPolicy === "ONLY_HEALTHY" ? undefined : { routingPreference: [], mode: "UNSPECIFIED_MODE", healthPolicy };
  }
};

/** Both waypoints with their shares, or none while there is no canary that holds. */
const weightedWaypointsOf = (binding: Binding): readonly WeightedWaypoint[] => {
  if (binding.kind !== "bound" || binding.canary?.kind !== "bound" || binding.canary.waypoint.address === undefined) return [];
  const { weight, waypoint } = binding.canary;
  return waypoint.address === undefined
    ? []
    : [
        { destination: binding.address, weight: 100 - weight },
        { destination: waypoint.address, weight },
      ];
};

/** undefined for ExternalName: it is a DNS alias, not a destination of ours. */
const toBoundService = (
  s: KubeService,
  known: { readonly namespace: NamespaceInfo | undefined; readonly binding: Binding; readonly requirement: Requirement },
  settings: MeshSettings,
): BoundService | undefined => {
  if (s.spec.type === "ExternalName") return undefined;
  const { namespace = "", name, labels = {} } = s.metadata;
  const ports = (s.spec.ports ?? []).filter(isTcp);
  const ingress = labels[LABEL.ingressUseWaypoint] ?? known.namespace?.labels[LABEL.ingressUseWaypoint];
  const { rules } = known.requirement;
  const nowhere = rules?.required === true ? missingWaypoint(known.binding, namespace, settings) : undefined;
  return {
    binding: known.binding,
    requirement: known.requirement,
    ports: ports.map((p) => ({ name: p.name ?? "", port: p.port, appProtocol: protocolWord(p) })),
    service: {
      name,
      namespace,
      hostname: serviceHostname({ namespace, name }, settings),
      addresses: clusterIps(s).map((ip) => ({ network: settings.network, ip })),
      cidrs: [],
      ports: ports.map(toPort),
      subjectAltNames: [],
      waypoint: known.binding.kind === "bound" ? known.binding.address : nowhere,
      weightedWaypoints: weightedWaypointsOf(known.binding),
      loadBalancing: loadBalancingOf(s, known.namespace),
      ipFamilies: familiesOf(s),
      canonical: true,
      ingressUseWaypoint: ingress === "true",
      visibility: "PUBLIC",
      ...(rules === undefined ? {} : { waypointRules: rules }),
    },
  };
};

const boundServiceKey = (b: BoundService): string => serviceKey(b.service);

export const kubeServices = (
  graph: Graph,
  from: {
    readonly services: Collection<KubeService>;
    readonly namespaces: Collection<NamespaceInfo>;
    readonly waypoints: Collection<Waypoint>;
    readonly attachments: Collection<readonly Attachment[]>;
  },
  settings: MeshSettings,
): Collection<BoundService> =>
  derive(
    {
      graph,
      name: "KubeServices",
      from: from.services,
      reads: [from.namespaces, from.waypoints, from.attachments],
      key: boundServiceKey,
      equal: sameData,
    },
    (get, s) => {
      const namespace = get.one(from.namespaces, s.metadata.namespace ?? "");
      const { labels = {}, annotations = {}, name } = s.metadata;
      const what = { kind: "service", namespace: s.metadata.namespace ?? "", labels, annotations } as const;
      const binding = bindWaypoint(what, namespace, (key) => get.one(from.waypoints, key));
      const attached = (target: string): readonly string[] => (get.one(from.attachments, target) ?? []).map((a) => a.policy);
      const requirement = waypointRequirement({ service: { ...what, name }, namespace, binding, attached });
      const bound = toBoundService(s, { namespace, binding, requirement }, settings);
      return bound === undefined ? [] : [bound];
    },
  );
