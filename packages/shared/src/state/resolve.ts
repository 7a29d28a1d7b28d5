// What does an address, or a waypoint's name, stand for?

import type { Ip } from "../addr/ip.ts";
import type { GatewayAddress, Service, Workload } from "./types.ts";
import type { MeshView } from "./view.ts";

export type Resolved =
  | { readonly kind: "workload"; readonly workload: Workload }
  | { readonly kind: "service"; readonly service: Service }
  | { readonly kind: "unknown" };

/** The workload with the address if there is one, else the service with that VIP. */
export const resolveAddress = (view: MeshView, at: { network: string; ip: Ip; clientNamespace: string }): Resolved => {
  const workload = view.workloadByAddress(at.network, at.ip);
  if (workload !== undefined) return { kind: "workload", workload };
  const service = view.serviceByAddress(at.network, at.ip, at.clientNamespace);
  return service === undefined ? { kind: "unknown" } : { kind: "service", service };
};

/** A gateway's address: by hostname the service (of the named namespace) and then the workload; by IP the service and then the workload. */
export const resolveGateway = (view: MeshView, g: GatewayAddress): Resolved => {
  const d = g.destination;
  const service = d.kind === "hostname" ? view.service(`${d.namespace}/${d.hostname}`) : view.serviceByAddress(d.network, d.ip, "");
  if (service !== undefined) return { kind: "service", service };
  const workload = d.kind === "hostname" ? view.workloadByHostname(d.hostname) : view.workloadByAddress(d.network, d.ip);
  return workload === undefined ? { kind: "unknown" } : { kind: "workload", workload };
};
