// Which waypoint takes a connection, and how is it reached?

import { formatSocketAddr, type SocketAddr } from "@ambit/shared/addr/socket.ts";
import { type Balanced, balance } from "@ambit/shared/state/balance.ts";
import { endpointAddress } from "@ambit/shared/state/endpoint-address.ts";
import { type Resolved, resolveGateway } from "@ambit/shared/state/resolve.ts";
import { type GatewayAddress, gatewayName, identityOf, type Service, serviceKey, type Workload } from "@ambit/shared/state/types.ts";
import type { MeshView } from "@ambit/shared/state/view.ts";
import { planBeyond } from "./network.ts";
import { expectOf, tunnelPort } from "./peers.ts";
import { type OutboundDial, type OutboundPlan, reject, type Trail } from "./types.ts";

/** The workload runs this very waypoint: its own onward connections must not come back to it. By identity and by address. */
export const isInstanceOf = (view: MeshView, workload: Workload, waypoint: GatewayAddress): boolean => {
  const resolved = resolveGateway(view, waypoint);
  const instances =
    resolved.kind === "service"
      ? view.endpoints(serviceKey(resolved.service)).map((e) => e.workload)
      : resolved.kind === "workload"
        ? [resolved.workload]
        : [];
  return instances.some((w) => w.uid === workload.uid && identityOf(w).uri === identityOf(workload).uri);
};

/** The waypoint for this connection: sampled by weight, the plain one when there are no weights. */
export const chooseWaypoint = (service: Service, random: () => number): GatewayAddress | undefined => {
  const total = service.weightedWaypoints.reduce((sum, w) => sum + w.weight, 0);
  if (total <= 0) return service.waypoint;
  let at = random() * total;
  for (const w of service.weightedWaypoints) {
    at -= w.weight;
    if (at < 0) return w.destination;
  }
  return service.waypoint;
};

export type ViaWaypoint = {
  readonly waypoint: GatewayAddress;
  readonly why: "service-waypoint" | "workload-waypoint";
  /** What the waypoint is asked for. */
  readonly authority: SocketAddr;
  readonly trail: Trail;
};

const pickInstance = (
  view: MeshView,
  dial: OutboundDial,
  via: { readonly at: Exclude<Resolved, { kind: "unknown" }>; readonly port: number },
  random: () => number,
): Balanced => {
  if (via.at.kind === "workload") return { kind: "endpoint", workload: via.at.workload, port: via.port, candidates: [] };
  const { service } = via.at;
  const { tried, standing } = dial;
  return balance(
    {
      service,
      endpoints: view.endpoints(serviceKey(service)),
      servicePort: via.port,
      from: dial.source,
      mode: "waypoint",
      ...(tried === undefined ? {} : { tried }),
      ...(standing === undefined ? {} : { standing }),
    },
    random,
  );
};

/** To one of the waypoint's instances, or a refusal: a waypoint that cannot be had is never passed by. */
export const planWaypoint = (view: MeshView, dial: OutboundDial, via: ViaWaypoint, random: () => number): OutboundPlan => {
  const name = gatewayName(via.waypoint);
  const at = resolveGateway(view, via.waypoint);
  if (at.kind === "unknown") return reject("WAYPOINT_UNAVAILABLE", `the waypoint ${name} is not known`, via.trail);
  const pick = pickInstance(view, dial, { at, port: tunnelPort(via.waypoint) }, random);
  const trail = { ...via.trail, candidates: pick.candidates };
  if (pick.kind === "none") return reject("WAYPOINT_UNAVAILABLE", `the waypoint ${name} has no ready instance (${pick.why})`, trail);
  const chosen = { ...trail, workload: pick.workload, port: pick.port };
  // Only whoever meant a service can be told apart beyond a gateway: the workload's own address does not cross networks.
  if (pick.workload.network !== dial.source.network) {
    const service = via.why === "service-waypoint" ? chosen.service : undefined;
    return planBeyond(view, dial, { workload: pick.workload, trail: { ...chosen, service }, why: "service-waypoint" }, random);
  }
  const ip = endpointAddress(pick.workload, dial.to.ip);
  if (ip === undefined) return reject("WAYPOINT_UNAVAILABLE", `the waypoint instance ${pick.workload.uid} has no address`, chosen);
  return {
    kind: "hbone",
    via: { ip, port: pick.port },
    authority: formatSocketAddr(via.authority),
    expect: expectOf(pick.workload, at.kind === "service" ? at.service : undefined),
    why: via.why,
    ...chosen,
  };
};
