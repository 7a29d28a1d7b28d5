// Where does a connection that a pod opened go, and why? (ambient-l4 section 1.6; start reading here)

import { isLoopback } from "@ambit/shared/addr/ip.ts";
import { formatSocketAddr, type SocketAddr } from "@ambit/shared/addr/socket.ts";
import type { MeshErrorCode } from "@ambit/shared/errors/codes.ts";
import { parseSpiffeId, type SpiffeId } from "@ambit/shared/identity/spiffe.ts";
import { balance, type Candidate } from "@ambit/shared/state/balance.ts";
import { endpointAddress } from "@ambit/shared/state/endpoint-address.ts";
import { resolveAddress, resolveGateway } from "@ambit/shared/state/resolve.ts";
import { type GatewayAddress, gatewayName, identityOf, type Service, serviceKey, type Workload } from "@ambit/shared/state/types.ts";
import type { MeshView } from "@ambit/shared/state/view.ts";
import { HBONE_PORT, isOwnPort } from "../ports.ts";

export type OutboundDial = {
  /** The workload of the pod that dialled. */
  readonly source: Workload;
  /** The original destination. */
  readonly to: SocketAddr;
  /** uids of endpoints that refused this connection already. */
  readonly tried?: ReadonlySet<string>;
};

/** What the look-up found on the way, for telemetry and `ambit explain`. */
export type Trail = {
  /** What the dialled address stands for: a workload's own address wins over a VIP. */
  readonly found: "workload" | "service" | "unknown";
  /** The service that was addressed. */
  readonly service: Service | undefined;
  /** The workload that is dialled: the endpoint, or the instance of the waypoint. */
  readonly workload: Workload | undefined;
  /** The endpoints that were weighed, of the service or of the waypoint. */
  readonly candidates: readonly Candidate[];
};

export type OutboundPlan = Trail &
  (
    | { readonly kind: "passthrough"; readonly to: SocketAddr; readonly why: "unknown-destination" | "passthrough-service" }
    | { readonly kind: "tcp"; readonly to: SocketAddr; readonly why: "no-tunnel" }
    | {
        readonly kind: "hbone";
        readonly via: SocketAddr;
        readonly authority: string;
        readonly expect: readonly SpiffeId[];
        readonly why: "direct" | "service-waypoint" | "workload-waypoint";
      }
    | {
        /** A tunnel in a tunnel, through the gateway of another network. */
        readonly kind: "double-hbone";
        readonly gateway: SocketAddr;
        /** "hostname:port" of the service, for both tunnels. */
        readonly authority: string;
        readonly outer: readonly SpiffeId[];
        readonly inner: readonly SpiffeId[];
        readonly why: "other-network";
      }
    | { readonly kind: "reject"; readonly code: MeshErrorCode; readonly detail: string }
  );

const NOTHING: Trail = { found: "unknown", service: undefined, workload: undefined, candidates: [] };

const reject = (code: MeshErrorCode, detail: string, trail: Trail): OutboundPlan => ({ kind: "reject", code, detail, ...trail });

/** The names a service's endpoints may have beside their own. One that is no SPIFFE id is left out: that only narrows who is accepted. */
const serviceIds = (service: Service | undefined): readonly SpiffeId[] =>
  (service?.subjectAltNames ?? []).flatMap((uri) => {
    const id = parseSpiffeId(uri);
    return id.ok ? [id.value] : [];
  });

const expectOf = (workload: Workload, service: Service | undefined): readonly SpiffeId[] => {
  const own = identityOf(workload);
  return [own, ...serviceIds(service).filter((id) => id.uri !== own.uri)];
};

/** The caller runs this very waypoint: its own onward connections must not come back to it. */
const isInstanceOf = (view: MeshView, source: Workload, waypoint: GatewayAddress): boolean => {
  const resolved = resolveGateway(view, waypoint);
  const instances =
    resolved.kind === "service"
      ? view.endpoints(serviceKey(resolved.service)).map((e) => e.workload)
      : resolved.kind === "workload"
        ? [resolved.workload]
        : [];
  return instances.some((w) => w.uid === source.uid && identityOf(w).uri === identityOf(source).uri);
};

/** The waypoint for this connection: sampled by weight, the plain one when there are no weights. */
const chooseWaypoint = (service: Service, random: () => number): GatewayAddress | undefined => {
  const total = service.weightedWaypoints.reduce((sum, w) => sum + w.weight, 0);
  if (total <= 0) return service.waypoint;
  let at = random() * total;
  for (const w of service.weightedWaypoints) {
    at -= w.weight;
    if (at < 0) return w.destination;
  }
  return service.waypoint;
};

/** A gateway that says no port has the tunnels' own. */
const tunnelPort = (gateway: GatewayAddress): number => (gateway.hboneMtlsPort === 0 ? HBONE_PORT : gateway.hboneMtlsPort);

type ViaWaypoint = {
  readonly waypoint: GatewayAddress;
  readonly why: "service-waypoint" | "workload-waypoint";
  /** What the waypoint is asked for. */
  readonly authority: SocketAddr;
  readonly trail: Trail;
};

const planWaypoint = (view: MeshView, dial: OutboundDial, random: () => number, via: ViaWaypoint): OutboundPlan => {
  const name = gatewayName(via.waypoint);
  const resolved = resolveGateway(view, via.waypoint);
  if (resolved.kind === "unknown") return reject("WAYPOINT_UNAVAILABLE", `the waypoint ${name} is not known`, via.trail);
  const service = resolved.kind === "service" ? resolved.service : undefined;
  const port = tunnelPort(via.waypoint);
  const pick =
    resolved.kind === "workload"
      ? { kind: "endpoint" as const, workload: resolved.workload, port, candidates: [] }
      : balance(
          {
            service: resolved.service,
            endpoints: view.endpoints(serviceKey(resolved.service)),
            servicePort: port,
            from: dial.source,
            mode: "waypoint",
            ...(dial.tried === undefined ? {} : { tried: dial.tried }),
          },
          random,
        );
  const trail = { ...via.trail, candidates: pick.candidates };
  if (pick.kind === "none") return reject("WAYPOINT_UNAVAILABLE", `the waypoint ${name} has no ready instance (${pick.why})`, trail);
  const chosen = { ...trail, workload: pick.workload };
  if (pick.workload.network !== dial.source.network)
    return reject("WAYPOINT_UNAVAILABLE", `the waypoint ${name} is on network ${JSON.stringify(pick.workload.network)}`, chosen);
  const ip = endpointAddress(pick.workload, dial.to.ip);
  if (ip === undefined) return reject("WAYPOINT_UNAVAILABLE", `the waypoint instance ${pick.workload.uid} has no address`, chosen);
  return {
    kind: "hbone",
    via: { ip, port: pick.port },
    authority: formatSocketAddr(via.authority),
    expect: expectOf(pick.workload, service),
    why: via.why,
    ...chosen,
  };
};

type Upstream = { readonly workload: Workload; readonly port: number; readonly trail: Trail };

/** The endpoint to dial, or the plan when there is none to choose. */
const findUpstream = (view: MeshView, dial: OutboundDial, random: () => number, found: Trail["found"]): Upstream | OutboundPlan => {
  const { source, to } = dial;
  const service = view.serviceByAddress(source.network, to.ip, source.namespace);
  if (service === undefined) {
    const workload = view.workloadByAddress(source.network, to.ip);
    if (workload === undefined) return { kind: "passthrough", to, why: "unknown-destination", ...NOTHING };
    return { workload, port: to.port, trail: { found, service: undefined, workload, candidates: [] } };
  }
  const trail: Trail = { found, service, workload: undefined, candidates: [] };
  if (service.loadBalancing?.mode === "PASSTHROUGH") return { kind: "passthrough", to, why: "passthrough-service", ...trail };
  const pick = balance(
    {
      service,
      endpoints: view.endpoints(serviceKey(service)),
      servicePort: to.port,
      from: source,
      mode: "standard",
      ...(dial.tried === undefined ? {} : { tried: dial.tried }),
    },
    random,
  );
  const weighed = { ...trail, candidates: pick.candidates };
  if (pick.kind === "endpoint") return { workload: pick.workload, port: pick.port, trail: { ...weighed, workload: pick.workload } };
  return pick.why === "port-not-declared"
    ? reject("NO_SERVICE_PORT", `service ${serviceKey(service)} has no port ${to.port}`, weighed)
    : reject("NO_HEALTHY_UPSTREAM", `service ${serviceKey(service)} has no endpoint to choose for port ${to.port} (${pick.why})`, weighed);
};

/** The way to an endpoint on another network: only for services, and only through that network's gateway. */
const planOtherNetwork = (view: MeshView, dial: OutboundDial, { workload, trail }: Upstream): OutboundPlan => {
  const where = `${workload.uid} is on network ${JSON.stringify(workload.network)}`;
  if (trail.service === undefined) return reject("NO_HEALTHY_UPSTREAM", `${where}, which can only be reached through a service`, trail);
  if (workload.networkGateway === undefined) return reject("NO_HEALTHY_UPSTREAM", `${where}, which has no gateway`, trail);
  const gateway = resolveGateway(view, workload.networkGateway);
  const instance =
    gateway.kind === "workload"
      ? gateway.workload
      : gateway.kind === "service"
        ? view.endpoints(serviceKey(gateway.service))[0]?.workload
        : undefined;
  const ip = instance === undefined ? undefined : endpointAddress(instance, dial.to.ip);
  if (instance === undefined || ip === undefined)
    return reject("NO_HEALTHY_UPSTREAM", `${where}, whose gateway ${gatewayName(workload.networkGateway)} is not known`, trail);
  return {
    kind: "double-hbone",
    gateway: { ip, port: tunnelPort(workload.networkGateway) },
    authority: `${trail.service.hostname}:${dial.to.port}`,
    outer: expectOf(instance, gateway.kind === "service" ? gateway.service : undefined),
    inner: serviceIds(trail.service),
    why: "other-network",
    ...trail,
  };
};

const planDirect = (dial: OutboundDial, { workload, port, trail }: Upstream): OutboundPlan => {
  const ip = endpointAddress(workload, dial.to.ip, trail.service?.ipFamilies);
  if (ip === undefined)
    return reject("NO_HEALTHY_UPSTREAM", `${workload.uid} has no address, only the hostname ${JSON.stringify(workload.hostname)}`, trail);
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

/** What to do with a connection that a pod opened. `random` is uniform in [0, 1) and is asked once for each choice by weight. */
export const planOutbound = (view: MeshView, dial: OutboundDial, random: () => number): OutboundPlan => {
  const { source, to } = dial;
  if (isOwnPort(to.port) && (isLoopback(to.ip) || source.addresses.includes(to.ip)))
    return reject("SELF_CALL", `${formatSocketAddr(to)} is a port of the mesh itself`, NOTHING);

  const address = resolveAddress(view, { network: source.network, ip: to.ip, clientNamespace: source.namespace });
  if (address.kind === "service") {
    const waypoint = chooseWaypoint(address.service, random);
    const trail: Trail = { found: "service", service: address.service, workload: undefined, candidates: [] };
    if (waypoint !== undefined && !isInstanceOf(view, source, waypoint))
      return planWaypoint(view, dial, random, { waypoint, why: "service-waypoint", authority: to, trail });
  }

  const upstream = findUpstream(view, dial, random, address.kind);
  if ("kind" in upstream) return upstream;
  if (upstream.workload.network !== source.network) return planOtherNetwork(view, dial, upstream);

  const waypoint = upstream.workload.waypoint;
  if (address.kind !== "service" && waypoint !== undefined && !isInstanceOf(view, source, waypoint)) {
    const ip = endpointAddress(upstream.workload, to.ip, upstream.trail.service?.ipFamilies) ?? to.ip;
    const authority = { ip, port: upstream.port };
    return planWaypoint(view, dial, random, { waypoint, why: "workload-waypoint", authority, trail: upstream.trail });
  }
  return planDirect(dial, upstream);
};
