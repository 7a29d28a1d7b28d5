// Which columns do the core kinds have? (k8s.io/kubernetes/pkg/printers/internalversion)

import { at, isObject, type JsonObject, obj, objects, str, strings } from "../model/object.ts";
import { humanDuration, since } from "./age.ts";
import { AGE, type Column, integer, labelsText, NAME, NONE, number, orNone, text, wide } from "./column.ts";

const field = (name: string, ...path: readonly string[]): Column => text(name, (object) => str(at(object, ...path)) ?? "");

const servicePorts = (service: JsonObject): string =>
  objects(at(service, "spec", "ports"))
    .map((p) => `${String(p.port)}${number(p.nodePort) > 0 ? `:${String(p.nodePort)}` : ""}/${str(p.protocol) ?? "TCP"}`)
    .join(",") || NONE;

const externalIp = (service: JsonObject): string => {
  const external = strings(at(service, "spec", "externalIPs"));
  switch (at(service, "spec", "type")) {
    case "ExternalName":
      return str(at(service, "spec", "externalName")) ?? "";
    case "LoadBalancer": {
      const balancers = objects(at(service, "status", "loadBalancer", "ingress")).flatMap((i) => str(i.ip) ?? str(i.hostname) ?? []);
      return [...balancers, ...external].join(",") || "<pending>";
    }
    default:
      return external.join(",") || NONE;
  }
};

const nodeStatus = (node: JsonObject): string => {
  const ready = objects(at(node, "status", "conditions")).find((c) => c.type === "Ready");
  const status = ready === undefined ? "Unknown" : ready.status === "True" ? "Ready" : "NotReady";
  return at(node, "spec", "unschedulable") === true ? `${status},SchedulingDisabled` : status;
};

const ROLE = "node-role.kubernetes.io/";

const nodeRoles = (node: JsonObject): string => {
  const labels = Object.entries(obj(at(node, "metadata", "labels")));
  const roles = labels.flatMap(([key, value]) =>
    key.startsWith(ROLE) && key.length > ROLE.length ? [key.slice(ROLE.length)] : key === "kubernetes.io/role" ? [String(value)] : [],
  );
  return roles.length === 0 ? NONE : roles.sort().join(",");
};

const nodeAddress = (type: string) => (node: JsonObject) =>
  orNone(objects(at(node, "status", "addresses")).find((a) => a.type === type)?.address);

const orUnknown = (value: unknown): string => str(value) ?? "<unknown>";

const several = (items: readonly string[], most: number, unit: string): string => {
  if (items.length === 0) return NONE;
  return items.length > most ? `${items.slice(0, most).join(",")} + ${items.length - most} more...` : items.join(unit);
};

const sliceAddresses = (slice: JsonObject): string =>
  several(
    objects(slice.endpoints).flatMap((e) => strings(e.addresses)),
    3,
    ",",
  );

const slicePorts = (slice: JsonObject): string => {
  const ports = objects(slice.ports).map((p) => (p.port === undefined || p.port === null ? "*" : String(p.port)));
  return ports.length === 0 ? "<unset>" : several(ports, 3, ",");
};

const endpointAddresses = (endpoints: JsonObject): string =>
  several(
    objects(endpoints.subsets).flatMap((s) => {
      const ports = objects(s.ports);
      const addresses = objects(s.addresses).map((a) => String(a.ip));
      return ports.length === 0 ? addresses : ports.flatMap((p) => addresses.map((a) => `${a}:${String(p.port)}`));
    }),
    3,
    ",",
  );

const size = (value: unknown): number => (isObject(value) ? Object.keys(value).length : 0);

const involved = (event: JsonObject): JsonObject => obj(event.involvedObject ?? event.regarding);

const eventTime = (event: JsonObject, name: string): unknown =>
  event[name] ?? event[`deprecated${name.charAt(0).toUpperCase()}${name.slice(1)}`];

const lastSeen: Column["cell"] = (event, now) => {
  const times = number(at(event, "series", "count")) || number(event.count ?? event.deprecatedCount);
  const last =
    at(event, "series", "lastObservedTime") ??
    eventTime(event, "lastTimestamp") ??
    event.eventTime ??
    at(event, "metadata", "creationTimestamp");
  const first = eventTime(event, "firstTimestamp") ?? event.eventTime;
  return times > 1 && first !== undefined ? `${since(last, now)} (x${times} over ${since(first, now)})` : since(last, now);
};

const eventSource = (event: JsonObject): string => {
  const source = obj(event.source ?? event.deprecatedSource);
  const component = str(source.component) ?? str(event.reportingComponent ?? event.reportingController) ?? "";
  const host = str(source.host) ?? str(event.reportingInstance) ?? "";
  return host === "" ? component : `${component}, ${host}`;
};

const leaseHolder = (lease: JsonObject): string => str(at(lease, "spec", "holderIdentity")) ?? "";

export const CORE_COLUMNS: { readonly [resource: string]: readonly Column[] } = {
  "/services": [
    NAME,
    field("Type", "spec", "type"),
    text("Cluster-IP", (s) => orNone(at(s, "spec", "clusterIP"))),
    text("External-IP", externalIp),
    text("Port(s)", servicePorts),
    AGE,
    wide(text("Selector", (s) => labelsText(at(s, "spec", "selector")))),
  ],
  "/nodes": [
    NAME,
    text("Status", nodeStatus),
    text("Roles", nodeRoles),
    AGE,
    field("Version", "status", "nodeInfo", "kubeletVersion"),
    wide(text("Internal-IP", nodeAddress("InternalIP"))),
    wide(text("External-IP", nodeAddress("ExternalIP"))),
    wide(text("OS-Image", (n) => orUnknown(at(n, "status", "nodeInfo", "osImage")))),
    wide(text("Kernel-Version", (n) => orUnknown(at(n, "status", "nodeInfo", "kernelVersion")))),
    wide(text("Container-Runtime", (n) => orUnknown(at(n, "status", "nodeInfo", "containerRuntimeVersion")))),
  ],
  "/namespaces": [NAME, field("Status", "status", "phase"), AGE],
  "/configmaps": [NAME, integer("Data", (c) => size(c.data) + size(c.binaryData)), AGE],
  "/secrets": [NAME, field("Type", "type"), integer("Data", (s) => size(s.data)), AGE],
  "/serviceaccounts": [NAME, integer("Secrets", (s) => objects(s.secrets).length), AGE],
  "/endpoints": [NAME, text("Endpoints", endpointAddresses), AGE],
  "/events": [
    text("Last Seen", lastSeen),
    field("Type", "type"),
    field("Reason", "reason"),
    text("Object", (e) => `${(str(involved(e).kind) ?? "").toLowerCase()}/${str(involved(e).name) ?? ""}`),
    wide(text("Subobject", (e) => str(involved(e).fieldPath) ?? "")),
    wide(text("Source", eventSource)),
    text("Message", (e) => (str(e.message ?? e.note) ?? "").trim()),
    wide(text("First Seen", (e, now) => since(eventTime(e, "firstTimestamp") ?? e.eventTime, now))),
    wide(integer("Count", (e) => number(e.count ?? e.deprecatedCount) || 1)),
    wide(NAME),
  ],
  "/persistentvolumeclaims": [
    NAME,
    field("Status", "status", "phase"),
    field("Volume", "spec", "volumeName"),
    field("Capacity", "status", "capacity", "storage"),
    text("Access Modes", (c) => strings(at(c, "status", "accessModes")).join(",")),
    field("StorageClass", "spec", "storageClassName"),
    AGE,
    wide(field("VolumeMode", "spec", "volumeMode")),
  ],
  "discovery.k8s.io/endpointslices": [
    NAME,
    field("AddressType", "addressType"),
    text("Ports", slicePorts),
    text("Endpoints", sliceAddresses),
    AGE,
  ],
  "coordination.k8s.io/leases": [NAME, text("Holder", leaseHolder), AGE],
  "scheduling.k8s.io/priorityclasses": [
    NAME,
    integer("Value", (p) => p.value ?? 0),
    { name: "Global-Default", type: "boolean", cell: (p) => p.globalDefault === true },
    AGE,
  ],
};

export const jobDuration = (job: JsonObject, now: number): string => {
  const [start, end] = [at(job, "status", "startTime"), at(job, "status", "completionTime")].map((t) =>
    typeof t === "string" ? Date.parse(t) : Number.NaN,
  );
  if (start === undefined || Number.isNaN(start)) return "";
  return humanDuration((end === undefined || Number.isNaN(end) ? now : end) - start);
};
