// May a plaintext connection reach the pod, and as whom does it arrive? (15006; ambient-l4 section 1.8, last part)

import { type Ip, isV4 } from "@ambit/shared/addr/ip.ts";
import { formatSocketAddr, type SocketAddr } from "@ambit/shared/addr/socket.ts";
import { authorize, policiesFor, type Verdict, verdictText } from "@ambit/shared/authz/authorize.ts";
import type { AuthzSubject } from "@ambit/shared/authz/types.ts";
import type { MeshErrorCode } from "@ambit/shared/errors/codes.ts";
import { targetPort } from "@ambit/shared/state/balance.ts";
import { resolveGateway } from "@ambit/shared/state/resolve.ts";
import { type Service, serviceKey, type Workload } from "@ambit/shared/state/types.ts";
import type { MeshView } from "@ambit/shared/state/view.ts";
import { NOTHING, type OutboundPlan } from "../../outbound/types.ts";
import { chooseWaypoint, planWaypoint } from "../../outbound/waypoint.ts";
import { isOwnPort, type OwnPorts } from "../../ports.ts";

export type PlaintextConnection = {
  /** The workload of the pod that was reached. */
  readonly workload: Workload;
  readonly remote: SocketAddr;
  /** The original destination, before the redirect. */
  readonly to: SocketAddr;
  /** Ports of ztunnel itself; absent: those that every pod has. */
  readonly own?: OwnPorts | undefined;
};

export type PassthroughPlan =
  | {
      readonly kind: "forward";
      readonly to: SocketAddr;
      /** The source address that the application sees; undefined: the pod's own. */
      readonly as: Ip | undefined;
      readonly subject: AuthzSubject;
      readonly verdict: Verdict;
    }
  | {
      /** Through the waypoint of the service that it was for, as a client that nobody knows. */
      readonly kind: "hairpin";
      readonly tunnel: Extract<OutboundPlan, { kind: "hbone" }>;
      readonly to: SocketAddr;
      readonly subject: AuthzSubject;
      readonly verdict: Verdict;
    }
  | {
      readonly kind: "reject";
      readonly code: MeshErrorCode;
      readonly detail: string;
      readonly subject?: AuthzSubject;
      readonly verdict?: Verdict;
    };

/** The client is an instance of the service's waypoint: what it sends has been through it. */
const comesFromWaypoint = (view: MeshView, c: PlaintextConnection, service: Service): boolean => {
  const client = view.workloadByAddress(c.workload.network, c.remote.ip);
  if (client === undefined || service.waypoint === undefined) return false;
  const waypoint = resolveGateway(view, service.waypoint);
  if (waypoint.kind === "workload") return waypoint.workload.uid === client.uid;
  return waypoint.kind === "service" && client.services[serviceKey(waypoint.service)] !== undefined;
};

type Closed = { readonly service: Service; readonly servicePort: number; readonly how: "refuse" | "hairpin" };

/** The service of the pod that serves this port and takes no plaintext past its waypoint (ambit.dev/uncaptured). */
const closedTo = (view: MeshView, c: PlaintextConnection): Closed | undefined => {
  for (const [key, ports] of Object.entries(c.workload.services)) {
    const service = view.service(key);
    const how = service?.waypointRules?.uncaptured ?? "allow";
    if (service === undefined || how === "allow") continue;
    const port = service.ports.find((p) => targetPort(service, ports, p.servicePort) === c.to.port);
    if (port !== undefined && !comesFromWaypoint(view, c, service)) return { service, servicePort: port.servicePort, how };
  }
  return undefined;
};

/** The VIP that stands for the service at its waypoint: of the family that was dialled, where there is one. */
const vipOf = (service: Service, c: PlaintextConnection): Ip | undefined => {
  const vips = service.addresses.filter((a) => a.network === c.workload.network).map((a) => a.ip);
  return vips.find((ip) => isV4(ip) === isV4(c.to.ip)) ?? vips[0];
};

type Tunnel = Extract<OutboundPlan, { kind: "hbone" }>;

/** The tunnel to the service's waypoint, or why there is none. */
const throughWaypoint = (
  view: MeshView,
  c: PlaintextConnection,
  { service, servicePort }: Closed,
  random: () => number,
): Tunnel | { readonly code: MeshErrorCode; readonly detail: string } => {
  const name = serviceKey(service);
  const missing = service.waypointRules?.missing ?? "";
  if (missing !== "") return { code: "WAYPOINT_UNAVAILABLE", detail: `service ${name} is reached through its waypoint only: ${missing}` };
  const waypoint = chooseWaypoint(service, random);
  const ip = vipOf(service, c);
  if (waypoint === undefined || ip === undefined)
    return {
      code: "WAYPOINT_UNAVAILABLE",
      detail: `service ${name} has no ${ip === undefined ? "address" : "waypoint"} to send plaintext clients through`,
    };
  const authority = { ip, port: servicePort };
  const trail = { ...NOTHING, found: "service" as const, service };
  const plan = planWaypoint(view, { source: c.workload, to: authority }, { waypoint, why: "service-waypoint", authority, trail }, random);
  if (plan.kind === "hbone") return plan;
  const detail = plan.kind === "reject" ? plan.detail : "it is on another network";
  return { code: "WAYPOINT_UNAVAILABLE", detail: `service ${name} cannot send a plaintext client through its waypoint: ${detail}` };
};

/**
 * What to do with a plaintext connection: the policies are asked without an identity, so STRICT refuses it; then the services whose
 * waypoint it comes past.
 */
export const planPassthrough = (view: MeshView, c: PlaintextConnection, random: () => number): PassthroughPlan => {
  if (isOwnPort(c.to.port, c.own))
    return { kind: "reject", code: "SELF_CALL", detail: `${formatSocketAddr(c.to)} is a port of the mesh itself` };
  const subject: AuthzSubject = {
    identity: undefined,
    sourceIp: c.remote.ip,
    destinationIp: c.to.ip,
    destinationPort: c.to.port,
  };
  const verdict = authorize(policiesFor(view, c.workload), subject);
  if (!verdict.allowed) return { kind: "reject", code: "DENY", detail: verdictText(verdict), subject, verdict };
  const closed = closedTo(view, c);
  if (closed?.how === "refuse") {
    const detail = `service ${serviceKey(closed.service)} takes no plaintext past its waypoint: the client is not in the mesh (ambit.dev/uncaptured)`;
    return { kind: "reject", code: "DENY", detail, subject, verdict };
  }
  if (closed !== undefined) {
    const tunnel = throughWaypoint(view, c, closed, random);
    return "code" in tunnel
      ? { kind: "reject", ...tunnel, subject, verdict }
      : { kind: "hairpin", tunnel, to: tunnel.via, subject, verdict };
  }
  return { kind: "forward", to: c.to, as: c.remote.ip === c.to.ip ? undefined : c.remote.ip, subject, verdict };
};
