// Which pods stand behind a service, at which addresses and ports, and in which condition?

import type { Node, Service, ServicePort } from "@ambit/shared/kube/objects/core.ts";
import type { Endpoint, EndpointPort } from "@ambit/shared/kube/objects/discovery.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import { matchesLabels } from "@ambit/shared/kube/selector.ts";
import { isReady, isTerminal } from "../pods/state.ts";

export type Family = "IPv4" | "IPv6";
export type Backend = { readonly endpoint: Endpoint; readonly ports: readonly EndpointPort[]; readonly pod: Pod };

export const isHeadless = (s: Service): boolean => s.spec.clusterIP === "None";

export const familiesOf = (s: Service): readonly Family[] => {
  const named = (s.spec.ipFamilies ?? []).filter((f) => f === "IPv4" || f === "IPv6");
  if (named.length > 0) return named;
  return [(s.spec.clusterIP ?? "").includes(":") ? "IPv6" : "IPv4"];
};

const addressOf = (pod: Pod, family: Family): string | undefined => {
  const ips = pod.status?.podIPs?.map((p) => p.ip) ?? (pod.status?.podIP === undefined ? [] : [pod.status.podIP]);
  return ips.find((ip) => ip.includes(":") === (family === "IPv6"));
};

/** The pod's port for a service port; undefined when it is named and this pod has no such port. */
export const targetPort = (port: ServicePort, pod: Pod): number | undefined => {
  const target = port.targetPort ?? port.port;
  if (typeof target === "number") return target === 0 ? port.port : target;
  const protocol = port.protocol ?? "TCP";
  const containers = [...pod.spec.containers, ...(pod.spec.initContainers ?? []).filter((c) => c.restartPolicy === "Always")];
  return containers.flatMap((c) => c.ports ?? []).find((p) => p.name === target && (p.protocol ?? "TCP") === protocol)?.containerPort;
};

const portsOf = (service: Service, pod: Pod): EndpointPort[] =>
  (service.spec.ports ?? []).flatMap((p) => {
    const port = targetPort(p, pod);
    if (port === undefined) return [];
    return [
      { name: p.name ?? "", protocol: p.protocol ?? "TCP", port, ...(p.appProtocol === undefined ? {} : { appProtocol: p.appProtocol }) },
    ];
  });

/** The service's backends of one family, in a stable order. Ended pods and pods without an address are none. */
export const backendsOf = (
  service: Service,
  family: Family,
  cluster: { readonly pods: readonly Pod[]; readonly node: (name: string) => Node | undefined },
): Backend[] =>
  cluster.pods
    .filter((p) => matchesLabels(service.spec.selector, p.metadata.labels) && !isTerminal(p))
    .flatMap((pod) => {
      const address = addressOf(pod, family);
      return address === undefined
        ? []
        : [
            {
              pod,
              ports: portsOf(service, pod),
              endpoint: endpointOf(service, pod, { address, node: cluster.node(pod.spec.nodeName ?? "") }),
            },
          ];
    })
    .sort((a, b) => (a.pod.metadata.name < b.pod.metadata.name ? -1 : 1));

const endpointOf = (service: Service, pod: Pod, at: { address: string; node: Node | undefined }): Endpoint => {
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  const serving = service.spec.publishNotReadyAddresses === true || isReady(pod);
  const zone = at.node?.metadata.labels?.["topology.kubernetes.io/zone"];
  const hostname = pod.spec.subdomain === service.metadata.name ? pod.spec.hostname : undefined;
  return {
    addresses: [at.address],
    conditions: { ready: service.spec.publishNotReadyAddresses === true || (serving && !terminating), serving, terminating },
    ...(hostname === undefined || hostname === "" ? {} : { hostname }),
    targetRef: { kind: "Pod", namespace: pod.metadata.namespace ?? "", name: pod.metadata.name, uid: pod.metadata.uid ?? "" },
    ...(pod.spec.nodeName === undefined ? {} : { nodeName: pod.spec.nodeName }),
    ...(zone === undefined || zone === "" ? {} : { zone }),
  };
};
