// What does a CONNECT's authority ask of this waypoint, and may it?

import type { Ip } from "@ambit/shared/addr/ip.ts";
import type { MeshErrorCode } from "@ambit/shared/errors/codes.ts";
import type { WaypointPort, WaypointService } from "@ambit/shared/route/types.ts";
import { type GatewayAddress, serviceKey, type Workload } from "@ambit/shared/state/types.ts";
import type { MeshView } from "@ambit/shared/state/view.ts";

/** Who this waypoint is: its Gateway's name is its Service's name. */
export type Self = { readonly namespace: string; readonly gateway: string; readonly clusterDomain: string; readonly network: string };

export type OwnedServices = {
  byAddress(network: string, ip: Ip): WaypointService | undefined;
  byHostname(hostname: string): readonly WaypointService[];
  byKey(key: string): WaypointService | undefined;
};

export type InboundTarget =
  | { readonly kind: "service"; readonly service: string; readonly port: number; readonly destination: Ip }
  /** A pod that uses this waypoint, addressed by its own IP. */
  | { readonly kind: "workload"; readonly workload: string; readonly port: number; readonly destination: Ip }
  | { readonly kind: "refuse"; readonly code: MeshErrorCode; readonly detail: string };

export const ownHostname = (self: Self): string => `${self.gateway}.${self.namespace}.svc.${self.clusterDomain}`;
const ownKey = (self: Self): string => `${self.namespace}/${ownHostname(self)}`;

const refuse = (code: MeshErrorCode, detail: string): InboundTarget => ({ kind: "refuse", code, detail });

const isOurs = (g: GatewayAddress, self: Self, view: MeshView): boolean => {
  const d = g.destination;
  if (d.kind === "hostname") return d.namespace === self.namespace && d.hostname === ownHostname(self);
  return view.service(ownKey(self))?.addresses.some((a) => a.network === d.network && a.ip === d.ip) === true;
};

const portOf = (s: WaypointService, port: number): WaypointPort | undefined => s.ports.find((p) => p.port === port);

const toService = (s: WaypointService, port: number, destination: Ip): InboundTarget =>
  portOf(s, port) === undefined
    ? refuse("UNOWNED_DESTINATION", `the service ${serviceKey(s)} has no port ${port}`)
    : { kind: "service", service: serviceKey(s), port, destination };

/** Only for pods that are bound to this waypoint, and only while the policies of the Gateway itself are known: they hold for such traffic. */
const toWorkload = (w: Workload, port: number, q: { ip: Ip; self: Self; owned: OwnedServices; view: MeshView }): InboundTarget => {
  const name = `${w.namespace}/${w.name}`;
  if (w.waypoint === undefined || !isOurs(w.waypoint, q.self, q.view))
    return refuse("UNOWNED_DESTINATION", `the pod ${name} does not use this waypoint`);
  if (q.owned.byKey(ownKey(q.self)) === undefined)
    return refuse("UNOWNED_DESTINATION", `the policies of the gateway ${q.self.namespace}/${q.self.gateway} have not been received`);
  return { kind: "workload", workload: w.uid, port, destination: q.ip };
};

/** By VIP the owned service; by pod IP a pod bound to us. Hostnames are the multi-network form, which is not spoken yet. */
export const planInbound = (
  authority: { readonly ip: Ip; readonly port: number } | { readonly hostname: string; readonly port: number },
  q: { readonly self: Self; readonly owned: OwnedServices; readonly view: MeshView },
): InboundTarget => {
  if ("hostname" in authority)
    return refuse("BAD_REQUEST", `the authority must be an IP address, not ${JSON.stringify(authority.hostname)}`);
  const { ip, port } = authority;
  const service = q.owned.byAddress(q.self.network, ip);
  if (service !== undefined) return toService(service, port, ip);
  const workload = q.view.workloadByAddress(q.self.network, ip);
  if (workload !== undefined) return toWorkload(workload, port, { ip, ...q });
  return refuse("UNOWNED_DESTINATION", `this waypoint serves nothing at ${ip}`);
};

/** A pod addressed by its own IP has no routes; the Gateway's own policies hold for it. */
const asService = (w: Workload, port: number, gateway: WaypointService): WaypointService => ({
  namespace: w.namespace,
  hostname: w.name,
  name: w.name,
  addresses: [],
  ports: [{ port, name: "", protocol: "AUTO", routed: false, rules: [], tcpBackends: [] }],
  policies: gateway.policies,
  brokenPolicies: gateway.brokenPolicies,
});

export type AddressedNow = { readonly service: WaypointService; readonly port: WaypointPort; readonly workload: Workload | undefined };

/** What the target stands for now; undefined when it has gone since it was planned. */
export const addressedBy = (
  t: Exclude<InboundTarget, { kind: "refuse" }>,
  q: { readonly self: Self; readonly owned: OwnedServices; readonly view: MeshView },
): AddressedNow | undefined => {
  if (t.kind === "service") {
    const service = q.owned.byKey(t.service);
    const port = service === undefined ? undefined : portOf(service, t.port);
    return service === undefined || port === undefined ? undefined : { service, port, workload: undefined };
  }
  const workload = q.view.workload(t.workload);
  const gateway = q.owned.byKey(ownKey(q.self));
  if (workload === undefined || gateway === undefined) return undefined;
  const service = asService(workload, t.port, gateway);
  const [port] = service.ports;
  return port === undefined ? undefined : { service, port, workload };
};
