// How is a service reached whose endpoint, or waypoint, is on another network? (double HBONE, ambient-l4 section 1.6)

import { balance } from "@ambit/shared/state/balance.ts";
import { endpointAddress } from "@ambit/shared/state/endpoint-address.ts";
import { resolveGateway } from "@ambit/shared/state/resolve.ts";
import { type GatewayAddress, gatewayName, type Service, serviceKey, type Workload } from "@ambit/shared/state/types.ts";
import type { MeshView } from "@ambit/shared/state/view.ts";
import { expectOf, serviceIds, tunnelPort } from "./peers.ts";
import { type OutboundDial, type OutboundPlan, reject, type Trail } from "./types.ts";

type Instance = { readonly workload: Workload; readonly port: number; readonly service: Service | undefined };

/** One instance of the gateway; of a service's one that is up, taken as every endpoint is. */
const gatewayInstance = (view: MeshView, gateway: GatewayAddress, dial: OutboundDial, random: () => number): Instance | undefined => {
  const resolved = resolveGateway(view, gateway);
  const port = tunnelPort(gateway);
  if (resolved.kind === "unknown") return undefined;
  if (resolved.kind === "workload") return { workload: resolved.workload, port, service: undefined };
  const { service } = resolved;
  const pick = balance(
    { service, endpoints: view.endpoints(serviceKey(service)), servicePort: port, from: dial.source, mode: "waypoint" },
    random,
  );
  return pick.kind === "endpoint" ? { workload: pick.workload, port: pick.port, service } : undefined;
};

export type Beyond = {
  /** The endpoint, or the waypoint's instance, that is on the other network. */
  readonly workload: Workload;
  readonly trail: Trail;
  readonly why: "other-network" | "service-waypoint";
};

/** Only for services, and only through that network's gateway: addresses mean nothing on the other side. */
export const planBeyond = (view: MeshView, dial: OutboundDial, beyond: Beyond, random: () => number): OutboundPlan => {
  const { workload, trail, why } = beyond;
  const code = why === "other-network" ? "NO_HEALTHY_UPSTREAM" : "WAYPOINT_UNAVAILABLE";
  const where = `${workload.uid} is on network ${JSON.stringify(workload.network)}`;
  if (trail.service === undefined) return reject(code, `${where}, which can only be reached through a service`, trail);
  if (workload.networkGateway === undefined) return reject(code, `${where}, which has no gateway`, trail);
  const gateway = gatewayInstance(view, workload.networkGateway, dial, random);
  const ip = gateway === undefined ? undefined : endpointAddress(gateway.workload, dial.to.ip);
  if (gateway === undefined || ip === undefined)
    return reject(code, `${where}, whose gateway ${gatewayName(workload.networkGateway)} is not known`, trail);
  return {
    kind: "double-hbone",
    gateway: { ip, port: gateway.port },
    authority: `${trail.service.hostname}:${dial.to.port}`,
    outer: expectOf(gateway.workload, gateway.service),
    inner: serviceIds(trail.service),
    why,
    ...trail,
  };
};
