// Which services does a pod serve, on which ports?

import type { Service as KubeService, ServicePort } from "@ambit/shared/kube/objects/core.ts";
import type { EndpointSlice } from "@ambit/shared/kube/objects/discovery.ts";
import type { Labels } from "@ambit/shared/kube/objects/meta.ts";
import type { ContainerPort, Pod } from "@ambit/shared/kube/objects/pod.ts";
import { matchesLabels } from "@ambit/shared/kube/selector.ts";
import type { Port } from "@ambit/shared/state/types.ts";
import type { Collection, Graph } from "../collections/core.ts";
import { derive } from "../collections/derive.ts";
import { sameData } from "../collections/equal.ts";
import { LABEL } from "./labels.ts";
import { appProtocolOf } from "./protocols.ts";
import { isTcp } from "./services.ts";
import { type MeshSettings, serviceHostname } from "./settings.ts";

/** The part of a Service that makes endpoints; its status and annotations do not. */
export type Selecting = {
  readonly namespace: string;
  readonly name: string;
  /** "ns/hostname" */
  readonly key: string;
  /** Absent: endpoints come from EndpointSlices that somebody else writes. */
  readonly selector: Labels | undefined;
  readonly ports: readonly ServicePort[];
};

/** A pod named by a slice of a Service without selector. */
export type SliceTarget = { readonly pod: string; readonly service: string; readonly ports: readonly Port[] };

const toSelecting = (s: KubeService, settings: MeshSettings): Selecting | undefined => {
  if (s.spec.type === "ExternalName") return undefined;
  const { namespace = "", name } = s.metadata;
  const selector = s.spec.selector !== undefined && Object.keys(s.spec.selector).length > 0 ? s.spec.selector : undefined;
  return {
    namespace,
    name,
    key: `${namespace}/${serviceHostname({ namespace, name }, settings)}`,
    selector,
    ports: (s.spec.ports ?? []).filter(isTcp),
  };
};

export const selectingServices = (graph: Graph, services: Collection<KubeService>, settings: MeshSettings): Collection<Selecting> =>
  derive({ graph, name: "SelectingServices", from: services, key: (s) => s.key, equal: sameData }, (_, s) => {
    const selecting = toSelecting(s, settings);
    return selecting === undefined ? [] : [selecting];
  });

/** The pod's port behind a service port; undefined when the pod names no such port, or only a UDP one. */
const podPort = (p: ServicePort, pod: Pod): number | undefined => {
  if (typeof p.targetPort !== "string") return p.targetPort ?? p.port;
  const declared: readonly ContainerPort[] = [
    ...pod.spec.containers,
    ...(pod.spec.initContainers ?? []).filter((c) => c.restartPolicy === "Always"),
  ].flatMap((c) => c.ports ?? []);
  return declared.find((c) => c.name === p.targetPort && isTcp(c))?.containerPort;
};

/** Ports by service key, of the services that select the pod and the slices that name it. */
export const servicesOf = (
  pod: Pod,
  selecting: readonly Selecting[],
  named: readonly SliceTarget[],
): Readonly<Record<string, readonly Port[]>> => {
  const out: Record<string, readonly Port[]> = {};
  for (const s of selecting) {
    if (s.selector === undefined || !matchesLabels(s.selector, pod.metadata.labels)) continue;
    out[s.key] = s.ports.flatMap((p) => {
      const targetPort = podPort(p, pod);
      return targetPort === undefined ? [] : [{ servicePort: p.port, targetPort, appProtocol: appProtocolOf(p) }];
    });
  }
  for (const t of named) out[t.service] ??= t.ports;
  return out;
};

/** Slice ports belong to service ports by name. */
export const slicePorts = (slice: EndpointSlice, ports: readonly ServicePort[]): readonly Port[] =>
  ports.flatMap((p) => {
    const port = (slice.ports ?? []).find((sp) => (sp.name ?? "") === (p.name ?? "") && isTcp(sp))?.port;
    return typeof port === "number" ? [{ servicePort: p.port, targetPort: port, appProtocol: appProtocolOf(p) }] : [];
  });

/** The pods that slices of selectorless Services name, keyed "ns/pod→service". */
export const sliceTargets = (
  graph: Graph,
  from: { readonly endpointSlices: Collection<EndpointSlice>; readonly selecting: Collection<Selecting> },
  settings: MeshSettings,
): Collection<SliceTarget> =>
  derive(
    {
      graph,
      name: "SliceTargets",
      from: from.endpointSlices,
      reads: [from.selecting],
      key: (t) => `${t.pod}→${t.service}`,
      equal: sameData,
    },
    (get, slice) => {
      const service = selectorlessServiceOf(slice, (key) => get.one(from.selecting, key), settings);
      if (service === undefined) return [];
      const ports = slicePorts(slice, service.ports);
      return (slice.endpoints ?? []).flatMap((e) =>
        e.targetRef?.kind === "Pod" && e.targetRef.name !== undefined
          ? [{ pod: `${e.targetRef.namespace ?? slice.metadata.namespace ?? ""}/${e.targetRef.name}`, service: service.key, ports }]
          : [],
      );
    },
  );

/** The Service of a slice, when that Service has no selector of its own. */
export const selectorlessServiceOf = (
  slice: EndpointSlice,
  selecting: (key: string) => Selecting | undefined,
  settings: MeshSettings,
): Selecting | undefined => {
  const name = slice.metadata.labels?.[LABEL.serviceName];
  const namespace = slice.metadata.namespace ?? "";
  if (name === undefined) return undefined;
  const service = selecting(`${namespace}/${serviceHostname({ namespace, name }, settings)}`);
  return service?.selector === undefined ? service : undefined;
};
