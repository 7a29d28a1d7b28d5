// May a plaintext connection reach the pod, and as whom does it arrive? (15006; ambient-l4 section 1.8, last part)

import type { Ip } from "@ambit/shared/addr/ip.ts";
import { formatSocketAddr, type SocketAddr } from "@ambit/shared/addr/socket.ts";
import { authorize, policiesFor, type Verdict, verdictText } from "@ambit/shared/authz/authorize.ts";
import type { AuthzSubject } from "@ambit/shared/authz/types.ts";
import type { MeshErrorCode } from "@ambit/shared/errors/codes.ts";
import { targetPort } from "@ambit/shared/state/balance.ts";
import { resolveGateway } from "@ambit/shared/state/resolve.ts";
import { type Service, serviceKey, type Workload } from "@ambit/shared/state/types.ts";
import type { MeshView } from "@ambit/shared/state/view.ts";
import { isOwnPort } from "../../ports.ts";

export type PlaintextConnection = {
  /** The workload of the pod that was reached. */
  readonly workload: Workload;
  readonly remote: SocketAddr;
  /** The original destination, before the redirect. */
  readonly to: SocketAddr;
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

/** The service of the pod that serves this port and takes no plaintext past its waypoint (ambit.dev/uncaptured). */
const closedTo = (view: MeshView, c: PlaintextConnection): Service | undefined => {
  for (const [key, ports] of Object.entries(c.workload.services)) {
    const service = view.service(key);
    if (service?.waypointRules?.uncaptured !== "refuse") continue;
    const serves = service.ports.some((p) => targetPort(service, ports, p.servicePort) === c.to.port);
    if (serves && !comesFromWaypoint(view, c, service)) return service;
  }
  return undefined;
};

/**
 * What to do with a plaintext connection: the policies are asked without an identity, so STRICT refuses it; then the services whose
 * waypoint it comes past.
 */
export const planPassthrough = (view: MeshView, c: PlaintextConnection): PassthroughPlan => {
  if (isOwnPort(c.to.port)) return { kind: "reject", code: "SELF_CALL", detail: `${formatSocketAddr(c.to)} is a port of the mesh itself` };
  const subject: AuthzSubject = {
    identity: undefined,
    sourceIp: c.remote.ip,
    destinationIp: c.to.ip,
    destinationPort: c.to.port,
  };
  const verdict = authorize(policiesFor(view, c.workload), subject);
  if (!verdict.allowed) return { kind: "reject", code: "DENY", detail: verdictText(verdict), subject, verdict };
  const closed = closedTo(view, c);
  if (closed !== undefined) {
    const detail = `service ${serviceKey(closed)} takes no plaintext past its waypoint: the client is not in the mesh (ambit.dev/uncaptured)`;
    return { kind: "reject", code: "DENY", detail, subject, verdict };
  }
  return { kind: "forward", to: c.to, as: c.remote.ip === c.to.ip ? undefined : c.remote.ip, subject, verdict };
};
