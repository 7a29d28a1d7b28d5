// Which waypoint handles a service or workload, or why none? (ambient-l4 section 7.2)

import { parseIp } from "@ambit/shared/addr/ip.ts";
import type { Gateway, GatewayClass, RouteNamespaces } from "@ambit/shared/kube/objects/gateway.ts";
import type { Labels } from "@ambit/shared/kube/objects/meta.ts";
import { matchesSelector } from "@ambit/shared/kube/selector.ts";
import type { GatewayAddress } from "@ambit/shared/state/types.ts";
import type { Collection, Graph } from "../collections/core.ts";
import { derive } from "../collections/derive.ts";
import { sameData } from "../collections/equal.ts";
import { ANNOTATION, HBONE_PORT, LABEL, MESH_CONTROLLER, WAYPOINT_CLASS } from "./labels.ts";
import type { NamespaceInfo } from "./namespaces.ts";
import type { MeshSettings } from "./settings.ts";

export type TrafficType = "service" | "workload" | "all" | "none";

export type Waypoint = {
  readonly namespace: string;
  readonly name: string;
  /** Whom the waypoint's pods run as. */
  readonly serviceAccount: string;
  readonly trafficType: TrafficType;
  /** Where it is reached; undefined until its Gateway has addresses. */
  readonly address: GatewayAddress | undefined;
  /** Namespaces that may attach; undefined when the Gateway has no HBONE listener. */
  readonly allowed: RouteNamespaces | undefined;
};

export type RefusalReason =
  | "WaypointIsNotReady"
  | "AttachmentDenied"
  | "UnsupportedTrafficType"
  | "CanaryInvalidWeight"
  | "CanarySameAsPrimary"
  | "CrossNamespaceWaypointForbidden";

export type Refusal = { readonly kind: "refused"; readonly waypoint: string; readonly reason: RefusalReason; readonly message: string };
export type Canary = { readonly kind: "bound"; readonly waypoint: Waypoint; readonly weight: number } | Refusal;

export type Binding =
  | { readonly kind: "none"; readonly why: "not-asked" | "opted-out" | "is-waypoint" | "inherited-for-other-traffic" }
  | Refusal
  | {
      readonly kind: "bound";
      readonly waypoint: Waypoint;
      readonly address: GatewayAddress;
      readonly inherited: boolean;
      readonly canary: Canary | undefined;
    };

/** What binds: a service or a workload (pod), with the labels that decide. */
export type Bindable = {
  readonly kind: "service" | "workload";
  readonly namespace: string;
  readonly labels: Labels;
  readonly annotations: Labels;
  /** A ServiceEntry seen only in its own namespace may not use another namespace's waypoint. */
  readonly namespaceOnly?: boolean;
};

export const waypointKey = (w: Pick<Waypoint, "namespace" | "name">): string => `${w.namespace}/${w.name}`;

/** The decision and its reason. `waypoint` looks one up by "namespace/name". */
export const bindWaypoint = (
  what: Bindable,
  namespace: NamespaceInfo | undefined,
  waypoint: (key: string) => Waypoint | undefined,
): Binding => {
  if (what.labels[LABEL.gatewayManaged] !== undefined) return { kind: "none", why: "is-waypoint" };
  const asked = whatIsAsked(what, namespace);
  if (asked === "not-asked" || asked === "opted-out") return { kind: "none", why: asked };
  const found = attach(what, { key: asked.key, namespace, waypoint });
  if (found.kind === "refused")
    return found.reason === "UnsupportedTrafficType" && asked.inherited ? { kind: "none", why: "inherited-for-other-traffic" } : found;
  return {
    kind: "bound",
    waypoint: found.waypoint,
    address: found.address,
    inherited: asked.inherited,
    canary: asked.canary === undefined ? undefined : bindCanary(what, { ...asked.canary, primary: asked.key, namespace, waypoint }),
  };
};

type Asked = {
  readonly key: string;
  readonly inherited: boolean;
  readonly canary: { readonly key: string; readonly weightText: string | undefined } | undefined;
};

/** The object's own label decides; only if it has none the namespace's does. The two are never mixed. */
const whatIsAsked = (what: Bindable, namespace: NamespaceInfo | undefined): Asked | "not-asked" | "opted-out" => {
  const own = what.labels[LABEL.useWaypoint];
  const inherited = own === undefined || own === "";
  const labels = inherited ? (namespace?.labels ?? {}) : what.labels;
  const annotations = inherited ? (namespace?.annotations ?? {}) : what.annotations;
  const name = labels[LABEL.useWaypoint];
  if (name === undefined || name === "") return "not-asked";
  if (name === "none") return "opted-out";
  const canary = labels[LABEL.useWaypointCanary];
  return {
    key: `${labels[LABEL.useWaypointNamespace] ?? what.namespace}/${name}`,
    inherited,
    canary:
      canary === undefined || canary === ""
        ? undefined
        : {
            key: `${labels[LABEL.useWaypointCanaryNamespace] ?? what.namespace}/${canary}`,
            weightText: annotations[ANNOTATION.canaryWeight],
          },
  };
};

type Look = {
  readonly key: string;
  readonly namespace: NamespaceInfo | undefined;
  readonly waypoint: (key: string) => Waypoint | undefined;
};
type Attached = { readonly kind: "attached"; readonly waypoint: Waypoint; readonly address: GatewayAddress };

const attach = (what: Bindable, { key, namespace, waypoint }: Look): Attached | Refusal => {
  const refuse = (reason: RefusalReason, message: string): Refusal => ({ kind: "refused", waypoint: key, reason, message });
  const w = waypoint(key);
  if (w === undefined)
    return refuse("WaypointIsNotReady", `waypoint ${key} does not exist: create a Gateway of class ${WAYPOINT_CLASS} with that name`);
  if (w.address === undefined) return refuse("WaypointIsNotReady", `waypoint ${key} is not ready: its Gateway has no address yet`);
  if (what.namespaceOnly === true && w.namespace !== what.namespace)
    return refuse("CrossNamespaceWaypointForbidden", `waypoint ${key} is in another namespace, and this object is visible in its own only`);
  if (!mayAttach(w, what.namespace, namespace))
    return refuse(
      "AttachmentDenied",
      `waypoint ${key} does not admit namespace ${what.namespace}: see allowedRoutes of its listener on port ${HBONE_PORT}`,
    );
  if (w.trafficType !== "all" && w.trafficType !== what.kind)
    return refuse(
      "UnsupportedTrafficType",
      `waypoint ${key} handles traffic for ${JSON.stringify(w.trafficType)}, not for ${JSON.stringify(what.kind)}: see its label ${LABEL.waypointFor}`,
    );
  return { kind: "attached", waypoint: w, address: w.address };
};

const bindCanary = (what: Bindable, look: Look & { readonly primary: string; readonly weightText: string | undefined }): Canary => {
  const refuse = (reason: RefusalReason, message: string): Refusal => ({ kind: "refused", waypoint: look.key, reason, message });
  if (look.key === look.primary) return refuse("CanarySameAsPrimary", `canary ${look.key} is the waypoint in use already`);
  const text = look.weightText ?? "0";
  const weight = /^\d{1,3}$/.test(text) ? Number(text) : Number.NaN;
  if (!(weight <= 100))
    return refuse("CanaryInvalidWeight", `${ANNOTATION.canaryWeight} is ${JSON.stringify(text)}: want a whole number from 0 to 100`);
  const found = attach(what, look);
  return found.kind === "refused" ? found : { kind: "bound", waypoint: found.waypoint, weight };
};

const mayAttach = (w: Waypoint, from: string, namespace: NamespaceInfo | undefined): boolean => {
  if (w.allowed === undefined) return false;
  switch (w.allowed.from ?? "Same") {
    case "All":
      return true;
    case "Same":
      return from === w.namespace;
    case "Selector":
      return namespace !== undefined && matchesSelector(w.allowed.selector, namespace.labels);
    default:
      return false; // None, and what later versions may add
  }
};

/** True for Gateways we deploy: their class is ours. */
export const isWaypointGateway = (gateway: Gateway, gatewayClass: GatewayClass | undefined): boolean =>
  gatewayClass === undefined ? gateway.spec.gatewayClassName === WAYPOINT_CLASS : gatewayClass.spec.controllerName === MESH_CONTROLLER;

const TRAFFIC_TYPES: readonly string[] = ["service", "workload", "all", "none"] satisfies TrafficType[];

/** The Gateway's label, else its class's; what nobody understands handles nothing. */
const trafficTypeOf = (gateway: Gateway, gatewayClass: GatewayClass | undefined): TrafficType => {
  const text = gateway.metadata.labels?.[LABEL.waypointFor] ?? gatewayClass?.metadata.labels?.[LABEL.waypointFor] ?? "service";
  return TRAFFIC_TYPES.includes(text) ? (text as TrafficType) : "none";
};

const addressOf = (gateway: Gateway, network: string): GatewayAddress | undefined => {
  const addresses = gateway.status?.addresses ?? [];
  const namespace = gateway.metadata.namespace ?? "";
  const hostname = addresses.find((a) => a.type === "Hostname");
  if (hostname !== undefined) return { destination: { kind: "hostname", namespace, hostname: hostname.value }, hboneMtlsPort: HBONE_PORT };
  for (const a of addresses) {
    const ip = parseIp(a.value);
    if (ip.ok) return { destination: { kind: "address", network, ip: ip.value }, hboneMtlsPort: HBONE_PORT };
  }
  return undefined;
};

export const toWaypoint = (gateway: Gateway, gatewayClass: GatewayClass | undefined, settings: Pick<MeshSettings, "network">): Waypoint => {
  const listener = gateway.spec.listeners.find((l) => l.protocol === "HBONE" && l.port === HBONE_PORT);
  return {
    namespace: gateway.metadata.namespace ?? "",
    name: gateway.metadata.name,
    serviceAccount: gateway.metadata.name,
    trafficType: trafficTypeOf(gateway, gatewayClass),
    address: addressOf(gateway, settings.network),
    allowed: listener === undefined ? undefined : (listener.allowedRoutes?.namespaces ?? { from: "Same" }),
  };
};

export const waypoints = (
  graph: Graph,
  from: { readonly gateways: Collection<Gateway>; readonly gatewayClasses: Collection<GatewayClass> },
  settings: MeshSettings,
): Collection<Waypoint> =>
  derive(
    { graph, name: "Waypoints", from: from.gateways, reads: [from.gatewayClasses], key: waypointKey, equal: sameData },
    (get, gateway) => {
      const gatewayClass = get.one(from.gatewayClasses, gateway.spec.gatewayClassName);
      return isWaypointGateway(gateway, gatewayClass) && gateway.metadata.deletionTimestamp === undefined
        ? [toWaypoint(gateway, gatewayClass, settings)]
        : [];
    },
  );
