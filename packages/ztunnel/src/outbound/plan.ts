// Where does a connection that a pod opened go, and why? (ambient-l4 section 1.6; start reading here)

import { isLoopback } from "@ambit/shared/addr/ip.ts";
import { formatSocketAddr } from "@ambit/shared/addr/socket.ts";
import { balance } from "@ambit/shared/state/balance.ts";
import { endpointAddress, wantedFamily } from "@ambit/shared/state/endpoint-address.ts";
import { resolveAddress } from "@ambit/shared/state/resolve.ts";
import { type Service, serviceKey, type Workload } from "@ambit/shared/state/types.ts";
import type { MeshView } from "@ambit/shared/state/view.ts";
import { HBONE_PORT, isOwnPort } from "../ports.ts";
import { planBeyond } from "./network.ts";
import { expectOf } from "./peers.ts";
import { NOTHING, type OutboundDial, type OutboundPlan, reject, type Trail } from "./types.ts";
import { chooseWaypoint, isInstanceOf, planWaypoint } from "./waypoint.ts";

type Upstream = { readonly workload: Workload; readonly port: number; readonly trail: Trail };

const noEndpoint = (service: Service, why: string, { to, trail }: { to: OutboundDial["to"]; trail: Trail }): OutboundPlan =>
  why === "port-not-declared"
    ? reject("NO_SERVICE_PORT", `service ${serviceKey(service)} has no port ${to.port}`, trail)
    : reject("NO_HEALTHY_UPSTREAM", `service ${serviceKey(service)} has no endpoint to choose for port ${to.port} (${why})`, trail);

/** The mesh does not know the address: it is dialled in clear, or refused where only what is known may be reached. */
const planUnknown = ({ to, egress }: OutboundDial): OutboundPlan =>
  egress === "REGISTRY_ONLY"
    ? reject(
        "DENY",
        `${formatSocketAddr(to)} is no destination of the mesh, and OUTBOUND_TRAFFIC_POLICY=REGISTRY_ONLY refuses all others: list its host in a ServiceEntry`,
        NOTHING,
      )
    : { kind: "passthrough", to, why: "unknown-destination", ...NOTHING };

/** The endpoint to dial, or the plan when there is none to choose. */
const findUpstream = (view: MeshView, dial: OutboundDial, random: () => number, found: Trail["found"]): Upstream | OutboundPlan => {
  const { source, to, tried, standing } = dial;
  const service = view.serviceByAddress(source.network, to.ip, source.namespace);
  if (service === undefined) {
    const workload = view.workloadByAddress(source.network, to.ip);
    if (workload === undefined) return planUnknown(dial);
    return { workload, port: to.port, trail: { found, service: undefined, workload, port: to.port, candidates: [] } };
  }
  const trail: Trail = { ...NOTHING, found, service };
  if (service.loadBalancing?.mode === "PASSTHROUGH") return { kind: "passthrough", to, why: "passthrough-service", ...trail };
  const pick = balance(
    {
      service,
      endpoints: view.endpoints(serviceKey(service)),
      servicePort: to.port,
      from: source,
      mode: "standard",
      ...(tried === undefined ? {} : { tried }),
      ...(standing === undefined ? {} : { standing }),
    },
    random,
  );
  const weighed = { ...trail, candidates: pick.candidates };
  if (pick.kind === "none") return noEndpoint(service, pick.why, { to, trail: weighed });
  const { workload, port } = pick;
  return { workload, port, trail: { ...weighed, workload, port } };
};

const planDirect = (dial: OutboundDial, { workload, port, trail }: Upstream): OutboundPlan => {
  const families = trail.service?.ipFamilies;
  const ip = endpointAddress(workload, dial.to.ip, families) ?? dial.resolved?.get(workload.hostname);
  if (ip === undefined)
    return workload.hostname === ""
      ? reject("NO_HEALTHY_UPSTREAM", `${workload.uid} has no address`, trail)
      : { kind: "resolve", hostname: workload.hostname, prefer: wantedFamily(dial.to.ip, families), why: "endpoint-hostname", ...trail };
  if (workload.tunnelProtocol === "NONE") return { kind: "tcp", to: { ip, port }, why: "no-tunnel", ...trail };
  return {
    kind: "hbone",
    via: { ip, port: HBONE_PORT },
    authority: formatSocketAddr({ ip, port }),
    expect: expectOf(workload, trail.service),
    why: "direct",
    ...trail,
  };
};

/** What to do with a connection that a pod opened. `random` is uniform in [0, 1) and is asked once or twice for each choice by weight. */
export const planOutbound = (view: MeshView, dial: OutboundDial, random: () => number): OutboundPlan => {
  const { source, to } = dial;
  if (isOwnPort(to.port, dial.own) && (isLoopback(to.ip) || source.addresses.includes(to.ip)))
    return reject("SELF_CALL", `${formatSocketAddr(to)} is a port of the mesh itself`, NOTHING);

  const address = resolveAddress(view, { network: source.network, ip: to.ip, clientNamespace: source.namespace });
  if (address.kind === "service") {
    const { service } = address;
    const waypoint = chooseWaypoint(service, random);
    const trail: Trail = { ...NOTHING, found: "service", service };
    const ownWaypoint = waypoint !== undefined && isInstanceOf(view, source, waypoint);
    const missing = service.waypointRules?.missing ?? "";
    if (missing !== "" && !ownWaypoint)
      return reject("WAYPOINT_UNAVAILABLE", `service ${serviceKey(service)} is reached through its waypoint only: ${missing}`, trail);
    if (waypoint !== undefined && !ownWaypoint)
      return planWaypoint(view, dial, { waypoint, why: "service-waypoint", authority: to, trail }, random);
  }

  const upstream = findUpstream(view, dial, random, address.kind);
  if ("kind" in upstream) return upstream;
  const { workload, trail } = upstream;
  if (workload.network !== source.network) return planBeyond(view, dial, { workload, trail, why: "other-network" }, random);

  if (address.kind !== "service" && workload.waypoint !== undefined && !isInstanceOf(view, source, workload.waypoint)) {
    const ip = endpointAddress(workload, to.ip, trail.service?.ipFamilies) ?? to.ip;
    const authority = { ip, port: upstream.port };
    return planWaypoint(view, dial, { waypoint: workload.waypoint, why: "workload-waypoint", authority, trail }, random);
  }
  return planDirect(dial, upstream);
};
