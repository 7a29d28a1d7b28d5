// Is a tunnelled request for this pod, where does it go, and may it? (ambient-l4 section 1.8)

import { type Ip, isV4 } from "@ambit/shared/addr/ip.ts";
import { formatSocketAddr, type SocketAddr } from "@ambit/shared/addr/socket.ts";
import { authorize, policiesFor, type Verdict, verdictText } from "@ambit/shared/authz/authorize.ts";
import type { AuthzSubject } from "@ambit/shared/authz/types.ts";
import type { MeshErrorCode } from "@ambit/shared/errors/codes.ts";
import { type Authority, parseAuthority } from "@ambit/shared/hbone/authority.ts";
import { parseForwarded } from "@ambit/shared/hbone/headers.ts";
import type { SpiffeId } from "@ambit/shared/identity/spiffe.ts";
import { targetPort } from "@ambit/shared/state/balance.ts";
import { resolveGateway } from "@ambit/shared/state/resolve.ts";
import { type GatewayAddress, type Service, serviceKey, type Workload } from "@ambit/shared/state/types.ts";
import type { MeshView } from "@ambit/shared/state/view.ts";
import { isOwnPort, type OwnPorts } from "../ports.ts";

export type InboundRequest = {
  /** The workload of the pod that was reached. */
  readonly workload: Workload;
  readonly method: string;
  readonly authority: string;
  readonly peer: SpiffeId;
  /** The TCP peer, and the address of the pod that it reached. */
  readonly remote: SocketAddr;
  readonly local: SocketAddr;
  /** The `forwarded` header, "" when absent. For telemetry only. */
  readonly forwarded: string;
  /** Ports of ztunnel itself; absent: those that every pod has. */
  readonly own?: OwnPorts | undefined;
};

/** What the application is told by a PROXY protocol header: the client, and whom it meant. */
export type ProxyHeader = { readonly source: SocketAddr; readonly destination: SocketAddr; readonly identity: SpiffeId };

export type InboundPlan =
  | {
      readonly kind: "forward";
      readonly to: SocketAddr;
      /** The source address that the application sees; undefined: the pod's own. */
      readonly as: Ip | undefined;
      readonly proxyHeader: ProxyHeader | undefined;
      /** The service that was meant, as far as it can be told. */
      readonly service: Service | undefined;
      readonly subject: AuthzSubject;
      readonly verdict: Verdict;
    }
  | {
      readonly kind: "reject";
      readonly code: MeshErrorCode;
      readonly detail: string;
      /** Where it would have gone, when the refusal came after that was known. */
      readonly to?: SocketAddr;
      readonly service?: Service | undefined;
      readonly subject?: AuthzSubject;
      readonly verdict?: Verdict;
    };

const reject = (code: MeshErrorCode, detail: string): InboundPlan => ({ kind: "reject", code, detail });

const namesUs = (view: MeshView, us: Workload, gateway: GatewayAddress | undefined): boolean => {
  if (gateway === undefined) return false;
  const resolved = resolveGateway(view, gateway);
  if (resolved.kind === "workload") return resolved.workload.uid === us.uid;
  return resolved.kind === "service" && view.endpoints(serviceKey(resolved.service)).some((e) => e.workload.uid === us.uid);
};

const weAreWaypointOf = (view: MeshView, us: Workload, service: Service): boolean =>
  namesUs(view, us, service.waypoint) || service.weightedWaypoints.some((w) => namesUs(view, us, w.destination));

/** A captured waypoint (sandwich): the authority is a service or workload whose waypoint we are. */
const weAreItsWaypoint = (view: MeshView, us: Workload, ip: Ip): boolean => {
  const service = view.serviceByAddress(us.network, ip, us.namespace);
  if (service !== undefined) return weAreWaypointOf(view, us, service);
  return namesUs(view, us, view.workloadByAddress(us.network, ip)?.waypoint);
};

const isForUs = (view: MeshView, r: InboundRequest, ip: Ip): boolean => {
  if (ip === r.local.ip) return r.workload.addresses.includes(ip) || r.workload.addresses.length === 0;
  return r.workload.applicationTunnel !== undefined || weAreItsWaypoint(view, r.workload, ip);
};

type Upstream = { readonly to: SocketAddr; readonly service: Service | undefined; readonly proxied: boolean };

const loopbackLike = (ip: Ip): Ip => (isV4(ip) ? "127.0.0.1" : "::1") as Ip;

/** Which of the workload's services was meant: the one the caller names, else the first that maps to the port. */
const guessService = (view: MeshView, r: InboundRequest, port: number): Service | undefined => {
  const services = Object.keys(r.workload.services).flatMap((key) => view.service(key) ?? []);
  const host = r.forwarded === "" ? undefined : parseForwarded(r.forwarded).host;
  return (
    services.find((s) => s.hostname === host) ??
    services.find((s) => s.ports.some((p) => targetPort(s, r.workload.services[serviceKey(s)] ?? [], p.servicePort) === port))
  );
};

type AppTunnel = NonNullable<Workload["applicationTunnel"]>;

/** The application's own tunnel listens on loopback; one that names no port is on the port that was asked for. */
const behindTunnel = (r: InboundRequest, tunnel: AppTunnel, asked: { port: number; service: Service | undefined }): Upstream => ({
  to: { ip: loopbackLike(r.local.ip), port: tunnel.port === 0 ? asked.port : tunnel.port },
  service: asked.service,
  proxied: tunnel.protocol === "PROXY",
});

const findUpstream = (view: MeshView, r: InboundRequest, authority: Authority): Upstream | InboundPlan => {
  const tunnel = r.workload.applicationTunnel;
  if (authority.kind === "address") {
    if (tunnel !== undefined) {
      const service = view.serviceByAddress(r.workload.network, authority.ip, r.workload.namespace);
      return behindTunnel(r, tunnel, { port: authority.port, service });
    }
    // Always this pod: as somebody's waypoint we may be asked for their address, and dialling that would pass our proxy by.
    const to = { ip: r.local.ip, port: authority.port };
    return { to, service: guessService(view, r, authority.port), proxied: false };
  }
  const service = view.serviceByHostname(authority.hostname, r.workload.namespace);
  if (service === undefined) return reject("NO_HEALTHY_UPSTREAM", `no service has the hostname ${authority.hostname}`);
  if (tunnel !== undefined) return behindTunnel(r, tunnel, { port: authority.port, service });
  const ports = r.workload.services[serviceKey(service)] ?? (weAreWaypointOf(view, r.workload, service) ? [] : undefined);
  if (ports === undefined) return reject("NO_HEALTHY_UPSTREAM", `this pod is not an endpoint of service ${serviceKey(service)}`);
  const port = targetPort(service, ports, authority.port);
  if (port === 0) return reject("NO_SERVICE_PORT", `service ${serviceKey(service)} has no port ${authority.port} that this pod serves`);
  return { to: { ip: r.local.ip, port }, service, proxied: false };
};

const proxyHeader = (r: InboundRequest, authority: Authority, service: Service | undefined): ProxyHeader => {
  const vips = (service?.addresses ?? []).filter((a) => a.network === r.workload.network).map((a) => a.ip);
  const ip = authority.kind === "address" ? authority.ip : (vips.find(isV4) ?? vips[0] ?? r.local.ip);
  return { source: r.remote, destination: { ip, port: authority.port }, identity: r.peer };
};

/** What to do with a CONNECT: forward it, or refuse it with the code whose status is the answer. */
export const planInbound = (view: MeshView, r: InboundRequest): InboundPlan => {
  if (r.method !== "CONNECT") return reject("BAD_REQUEST", `the method must be CONNECT, not ${JSON.stringify(r.method)}`);
  const parsed = parseAuthority(r.authority);
  if (!parsed.ok) return reject("BAD_REQUEST", parsed.error);
  const authority = parsed.value;
  if (authority.kind === "address" && !isForUs(view, r, authority.ip))
    return reject("IP_MISMATCH", `${r.authority} was asked of ${r.local.ip}, which is another pod`);

  const upstream = findUpstream(view, r, authority);
  if ("kind" in upstream) return upstream;
  const { to, service, proxied } = upstream;
  if (isOwnPort(to.port, r.own)) return reject("SELF_CALL", `${formatSocketAddr(to)} is a port of the mesh itself`);

  const toLoopback = r.workload.applicationTunnel !== undefined;
  const subject: AuthzSubject = { identity: r.peer, sourceIp: r.remote.ip, destinationIp: r.local.ip, destinationPort: to.port };
  const verdict = authorize(policiesFor(view, r.workload), subject);
  if (!verdict.allowed) return { kind: "reject", code: "DENY", detail: verdictText(verdict), to, service, subject, verdict };
  return {
    kind: "forward",
    to,
    as: toLoopback || r.remote.ip === to.ip ? undefined : r.remote.ip,
    proxyHeader: proxied ? proxyHeader(r, authority, service) : undefined,
    service,
    subject,
    verdict,
  };
};
