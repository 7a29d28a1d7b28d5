// Which EndpointSlices and which legacy Endpoints object shall a service have?

import { isDeepStrictEqual } from "node:util";
import type { Endpoints, Service } from "@ambit/shared/kube/objects/core.ts";
import type { EndpointPort, EndpointSlice } from "@ambit/shared/kube/objects/discovery.ts";
import { keyOf } from "@ambit/shared/kube/objects/meta.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import { matchesLabels } from "@ambit/shared/kube/selector.ts";
import { type Action, NOTHING, type Plan } from "../engine/plan.ts";
import type { Controller, View } from "../engine/view.ts";
import { controllerRef } from "../pods/state.ts";
import { type Backend, backendsOf, type Family, familiesOf, isHeadless } from "./endpoints.ts";

export const SERVICE_NAME = "kubernetes.io/service-name";
const MANAGED_BY = "endpointslice.kubernetes.io/managed-by";
const MANAGER = "endpointslice-controller.k8s.io";
const MAX_ENDPOINTS = 100;

const identified = (s: Service) => ({ ...s, apiVersion: "v1", kind: "Service" });

export const endpointSliceController: Controller = {
  name: "endpointslice",
  triggers: {
    services: (s) => [keyOf(s)],
    pods: (pod, view) =>
      view.services
        .in(pod.metadata.namespace ?? "")
        .filter((s) => hasSelector(s) && matchesLabels(s.spec.selector, pod.metadata.labels))
        .map(keyOf),
    endpointSlices: (slice) => {
      const service = slice.metadata.labels?.[SERVICE_NAME];
      return slice.metadata.labels?.[MANAGED_BY] === MANAGER && service !== undefined ? [`${slice.metadata.namespace}/${service}`] : [];
    },
    nodes: (node, view) =>
      view.services
        .list()
        .filter(
          (s) =>
            hasSelector(s) &&
            view.pods
              .in(s.metadata.namespace ?? "")
              .some((p) => p.spec.nodeName === node.metadata.name && matchesLabels(s.spec.selector, p.metadata.labels)),
        )
        .map(keyOf),
  },
  reconcile: (view, key) => {
    const service = view.services.get(key);
    if (service === undefined || service.metadata.deletionTimestamp !== undefined) return NOTHING; // its slices go with it, by ownership
    return reconcileService(service, view);
  },
};

const hasSelector = (s: Service): boolean => Object.keys(s.spec.selector ?? {}).length > 0;

export const reconcileService = (service: Service, view: Pick<View, "pods" | "nodes" | "endpointSlices" | "endpoints">): Plan => {
  const namespace = service.metadata.namespace ?? "";
  const existing = view.endpointSlices
    .in(namespace)
    .filter(
      (s) =>
        s.metadata.labels?.[SERVICE_NAME] === service.metadata.name &&
        s.metadata.labels?.[MANAGED_BY] === MANAGER &&
        s.metadata.deletionTimestamp === undefined,
    );
  // Without a selector people manage the endpoints themselves; an ExternalName has none.
  if (service.spec.type === "ExternalName" || !hasSelector(service))
    return {
      actions: existing.map((object) => ({ do: "delete", resource: RESOURCES.endpointSlices, object, why: "the service selects no pods" })),
    };
  const cluster = { pods: view.pods.in(namespace), node: (name: string) => view.nodes.get(name) };
  const families = familiesOf(service);
  const wanted = families.flatMap((family) => slicesOf(service, family, backendsOf(service, family, cluster)));
  const legacy = legacyEndpoints(service, families[0] === undefined ? [] : backendsOf(service, families[0], cluster));
  return { actions: [...sliceChanges(wanted, existing), ...legacyChange(legacy, view.endpoints.get(keyOf(service)))] };
};

const portsKey = (ports: readonly EndpointPort[] | null | undefined): string =>
  JSON.stringify((ports ?? []).map((p) => [p.name ?? "", p.protocol ?? "TCP", p.port ?? null, p.appProtocol ?? null]).sort());

/** Pods with equal ports share slices of up to 100 endpoints; a service without backends keeps one empty slice. */
const slicesOf = (service: Service, family: Family, backends: readonly Backend[]): EndpointSlice[] => {
  const groups = [...Map.groupBy(backends, (b) => portsKey(b.ports)).values()];
  const chunks = (groups.length === 0 ? [[]] : groups).flatMap((g) =>
    Array.from({ length: Math.max(1, Math.ceil(g.length / MAX_ENDPOINTS)) }, (_, i) => g.slice(i * MAX_ENDPOINTS, (i + 1) * MAX_ENDPOINTS)),
  );
  const labels = {
    ...service.metadata.labels,
    [SERVICE_NAME]: service.metadata.name,
    [MANAGED_BY]: MANAGER,
    ...(isHeadless(service) ? { "service.kubernetes.io/headless": "" } : {}),
  };
  return chunks.map((chunk) => ({
    metadata: {
      name: "",
      generateName: `${service.metadata.name}-`,
      namespace: service.metadata.namespace ?? "",
      labels,
      ownerReferences: [controllerRef(identified(service))],
    },
    addressType: family,
    endpoints: chunk.map((b) => b.endpoint),
    ports: [...(chunk[0]?.ports ?? [])],
  }));
};

/** Existing slices are reused (first those with equal ports), the rest is created or deleted. */
const sliceChanges = (wanted: readonly EndpointSlice[], existing: readonly EndpointSlice[]): Action[] => {
  const left = new Set([...existing].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1)));
  const resource = RESOURCES.endpointSlices;
  const matched = wanted.map((w) => {
    const same = [...left].filter((s) => s.addressType === w.addressType);
    const pick = same.find((s) => portsKey(s.ports) === portsKey(w.ports));
    if (pick !== undefined) left.delete(pick);
    return { wanted: w, have: pick };
  });
  const actions = matched.flatMap(({ wanted: w, have }): Action[] => {
    const reuse = have ?? [...left].find((s) => s.addressType === w.addressType);
    if (reuse === undefined) return [{ do: "create", resource, object: w, why: "the service has new endpoints" }];
    left.delete(reuse);
    const object: EndpointSlice = {
      ...reuse,
      metadata: { ...reuse.metadata, labels: w.metadata.labels ?? {} },
      endpoints: w.endpoints,
      ports: w.ports ?? [],
    };
    return sameSlice(object, reuse) ? [] : [{ do: "update", resource, object, why: "its endpoints changed" }];
  });
  return [...actions, ...[...left].map((object): Action => ({ do: "delete", resource, object, why: "no endpoints are left for it" }))];
};

const sameSlice = (a: EndpointSlice, b: EndpointSlice): boolean =>
  isDeepStrictEqual(a.endpoints ?? [], b.endpoints ?? []) &&
  portsKey(a.ports) === portsKey(b.ports) &&
  isDeepStrictEqual(a.metadata.labels, b.metadata.labels);

/** The object of the time before slices: one family, ready and not ready apart. */
const legacyEndpoints = (service: Service, backends: readonly Backend[]): Endpoints => {
  const address = ({ endpoint: e }: Backend) => ({
    ip: e.addresses[0] ?? "",
    ...(e.hostname === undefined ? {} : { hostname: e.hostname }),
    ...(e.nodeName === undefined ? {} : { nodeName: e.nodeName }),
    ...(e.targetRef === undefined ? {} : { targetRef: e.targetRef }),
  });
  const living = backends.filter((b) => b.endpoint.conditions?.terminating !== true || service.spec.publishNotReadyAddresses === true);
  const subsets = [...Map.groupBy(living, (b) => portsKey(b.ports)).values()].map((group) => {
    const ready = group.filter((b) => b.endpoint.conditions?.ready === true).map(address);
    const notReady = group.filter((b) => b.endpoint.conditions?.ready !== true).map(address);
    const ports = (group[0]?.ports ?? []).map((p) => ({
      ...(p.name === undefined || p.name === "" ? {} : { name: p.name }),
      port: p.port ?? 0,
      protocol: p.protocol ?? "TCP",
    }));
    return {
      ...(ready.length === 0 ? {} : { addresses: ready }),
      ...(notReady.length === 0 ? {} : { notReadyAddresses: notReady }),
      ...(ports.length === 0 ? {} : { ports }),
    };
  });
  return {
    metadata: {
      name: service.metadata.name,
      namespace: service.metadata.namespace ?? "",
      labels: { ...service.metadata.labels, ...(isHeadless(service) ? { "service.kubernetes.io/headless": "" } : {}) },
      ownerReferences: [controllerRef(identified(service))],
    },
    ...(subsets.length === 0 ? {} : { subsets }),
  };
};

const legacyChange = (wanted: Endpoints, have: Endpoints | undefined): Action[] => {
  const resource = RESOURCES.endpoints;
  if (have === undefined) return [{ do: "create", resource, object: wanted, why: "the service has none" }];
  if (
    isDeepStrictEqual(have.subsets ?? [], wanted.subsets ?? []) &&
    isDeepStrictEqual(have.metadata.labels ?? {}, wanted.metadata.labels ?? {})
  )
    return [];
  const { subsets: _, ...rest } = have;
  const object: Endpoints = {
    ...rest,
    metadata: { ...have.metadata, labels: wanted.metadata.labels ?? {} },
    ...(wanted.subsets === undefined ? {} : { subsets: wanted.subsets }),
  };
  return [{ do: "update", resource, object, why: "its endpoints changed" }];
};
