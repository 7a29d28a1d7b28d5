// How is a tunnelled request carried to the application, or refused with the right status? (15008)

import type { Socket } from "node:net";
import { formatSocketAddr } from "@ambit/shared/addr/socket.ts";
import { policiesFor } from "@ambit/shared/authz/authorize.ts";
import type { AuthzSubject } from "@ambit/shared/authz/types.ts";
import { type Meter, splice } from "@ambit/shared/copy/splice.ts";
import { asMeshError, MeshError } from "@ambit/shared/errors/mesh-error.ts";
import { parseBaggage } from "@ambit/shared/hbone/headers.ts";
import type { TunnelPool } from "@ambit/shared/hbone/types.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { Workload } from "@ambit/shared/state/types.ts";
import type { MeshView } from "@ambit/shared/state/view.ts";
import type { ScopedLogger } from "@ambit/shared/telemetry/log.ts";
import { bare } from "@ambit/shared/telemetry/log-line.ts";
import { baggageText, describedBy } from "../baggage.ts";
import type { ConnectionRecord, ConnectionReports } from "../metrics.ts";
import type { Pod } from "../pod.ts";
import { dryRunFindings } from "../policy/dry-run.ts";
import type { OwnPorts } from "../ports.ts";
import { refuse } from "../tcp/cut.ts";
import type { Traffic } from "../traffic.ts";
import { refusalHeaders, sendsElsewhere } from "./farewell.ts";
import { type InboundPlan, planInbound } from "./plan.ts";
import { encodeProxyHeader } from "./proxy-header.ts";
import type { IncomingRequest, Joined } from "./types.ts";

export type InboundDeps = {
  /** Ports of ztunnel itself; absent: those that every pod has. */
  readonly own?: OwnPorts | undefined;
  /** To the waypoints of the pod's own services, for clients outside the mesh; absent: those are refused where they would need it. */
  readonly pool?: Pick<TunnelPool, "connect"> | undefined;
  readonly view: MeshView;
  readonly reports: ConnectionReports;
  readonly world: World;
  /** Policies that are only tried out tell here what they would have done. */
  readonly rbac: ScopedLogger;
  /** The answer describes this pod to the caller (ENABLE_RESPONSE_BAGGAGE). */
  readonly responseBaggage: boolean;
  /** Set for ztunnel itself: the one port that is reached. */
  readonly onlyPort?: number | undefined;
};

type Forward = Extract<InboundPlan, { kind: "forward" }>;

/**
 * The caller's workload, when the address and the certificate agree on it. One of another network is never looked up, for its
 * address is the gateway's or somebody else's here: it is taken at its word, except for what its certificate proves.
 */
const callerOf = (view: MeshView, us: Workload, { headers, peer, remote }: IncomingRequest): Workload | undefined => {
  const network = headers["x-forwarded-network"];
  if (network !== undefined && network !== us.network) {
    const { namespace, serviceAccount, trustDomain } = peer;
    return describedBy(parseBaggage(headers.baggage ?? ""), { namespace, serviceAccount, trustDomain, network });
  }
  const caller = view.workloadByAddress(us.network, remote.ip);
  const same = caller?.namespace === peer.namespace && caller.serviceAccount === peer.serviceAccount;
  return same ? caller : undefined;
};

const trafficOf = (pod: Pod, view: MeshView, about: { request: IncomingRequest; workload: Workload; plan: InboundPlan }): Traffic => ({
  reporter: "destination",
  source: { addr: about.request.remote, workload: callerOf(view, about.workload, about.request), identity: about.request.peer },
  destination: {
    addr: about.plan.to ?? about.request.local,
    hboneAddr: about.request.authority,
    workload: about.workload,
    identity: pod.identity,
    service: about.plan.service,
  },
  secured: true,
});

/** Logs what dry-run policies say; they never decide. */
export const reportDryRun = (deps: Pick<InboundDeps, "view" | "rbac">, workload: Workload, subject: AuthzSubject | undefined): void => {
  if (subject === undefined) return;
  for (const { message, policy } of dryRunFindings(policiesFor(deps.view, workload), subject))
    deps.rbac.info(message, {
      policy,
      "src.identity": subject.identity?.uri,
      "src.ip": bare(subject.sourceIp),
      "dst.addr": bare(formatSocketAddr({ ip: subject.destinationIp, port: subject.destinationPort })),
    });
};

const answer = (request: IncomingRequest, error: MeshError): void => request.reject(error.rescue.hbone, refusalHeaders(error));

const connect = async (pod: Pod, plan: Forward, signal: AbortSignal): Promise<Socket> => {
  const socket = await pod.net.dial(plan.to, { from: plan.as, signal, halfOpen: true });
  if (plan.proxyHeader !== undefined) socket.write(encodeProxyHeader(plan.proxyHeader));
  return socket;
};

type Serving = {
  readonly request: IncomingRequest;
  readonly plan: Forward;
  readonly workload: Workload;
  readonly record: ConnectionRecord;
  readonly abort: AbortController;
  /** The caller's end is the stream's own matter from now on. */
  readonly connected: () => void;
};

const forward = async (pod: Pod, deps: InboundDeps, s: Serving): Promise<void> => {
  let app: Socket;
  try {
    app = await connect(pod, s.plan, s.abort.signal);
  } catch (e) {
    const error = asMeshError(e, "CONNECT");
    answer(s.request, error);
    s.record.end(error);
    return;
  }
  s.connected();
  if (s.abort.signal.aborted) {
    const error = asMeshError(s.abort.signal.reason, "CLIENT_GONE");
    refuse(app);
    answer(s.request, error);
    s.record.end(error);
    return;
  }
  const stream = s.request.open(deps.responseBaggage ? { baggage: baggageText(s.workload) } : {});
  const end = await splice(stream, app, { forward: s.record.fromClient, backward: s.record.fromServer, signal: s.abort.signal });
  s.record.end(end.why === "closed" ? undefined : asMeshError(end.why === "aborted" ? end.reason : end.error, "CONNECT"));
};

const both = (a: Meter, b: Meter): Meter => ({
  add: (n) => {
    a.add(n);
    b.add(n);
  },
});

/** A neighbour that handed its connection over counts the same bytes. */
const counted = (record: ConnectionRecord, joined: Joined | undefined): ConnectionRecord =>
  joined === undefined
    ? record
    : {
        fromClient: both(record.fromClient, joined.fromClient),
        fromServer: both(record.fromServer, joined.fromServer),
        end: (error) => record.end(error),
      };

/** Of ztunnel itself only one port is reached; and not as its caller: that address is not redirected here. */
const narrowed = (plan: InboundPlan, port: number): InboundPlan => {
  if (plan.kind === "reject") return plan;
  if (plan.to.port === port) return { ...plan, as: undefined };
  const { to, service, subject, verdict } = plan;
  const detail = `of a ztunnel only its metrics are reached, on port ${port}`;
  return { kind: "reject", code: "SELF_CALL", detail, to, service, subject, verdict };
};

const serve = async (pod: Pod, deps: InboundDeps, request: IncomingRequest): Promise<void> => {
  const startedAt = deps.world.now();
  const abort = new AbortController();
  const gone = (): void => abort.abort(new MeshError("CLIENT_GONE", "the caller gave the request up"));
  if (request.signal.aborted) gone();
  request.signal.addEventListener("abort", gone, { once: true });
  using _taken = pod.taken.track({ from: request.remote, to: request.local }, (reason) => abort.abort(reason));
  const workload = await pod.workload(abort.signal);
  const { method, authority, peer, remote, local } = request;
  const asked = planInbound(deps.view, {
    workload,
    method,
    authority,
    peer,
    remote,
    local,
    forwarded: request.headers.forwarded ?? "",
    own: deps.own,
  });
  const plan = deps.onlyPort === undefined ? asked : narrowed(asked, deps.onlyPort);
  reportDryRun(deps, workload, plan.subject);
  const traffic = trafficOf(pod, deps.view, { request, workload, plan });
  if (plan.kind === "reject") {
    const error = new MeshError(plan.code, plan.detail);
    answer(request, error);
    if (plan.to === undefined) deps.reports.rejected({ from: remote, to: local, direction: "inbound", error });
    else deps.reports.open(traffic, startedAt).end(error);
    return;
  }
  if (sendsElsewhere({ dying: pod.dying() }, request.headers)) {
    const error = new MeshError("ELSEWHERE", "the pod is ending, and the caller has another endpoint to go to");
    answer(request, error);
    deps.reports.open(traffic, startedAt).end(error);
    return;
  }
  // Tracked in the same turn as it was decided: no policy push can come in between.
  const info = { workload, subject: plan.subject, from: remote, to: plan.to, protocol: "HBONE" as const };
  using _tracked = pod.inbound.track(info, (reason) => abort.abort(reason));
  const record = counted(deps.reports.open(traffic, startedAt), request.joined);
  const connected = (): void => {
    request.signal.removeEventListener("abort", gone);
    const cut = request.joined?.signal;
    cut?.addEventListener("abort", () => abort.abort(cut.reason), { once: true });
  };
  await forward(pod, deps, { request, plan, workload, abort, record, connected });
};

/** Serves one CONNECT to its end; never rejects. */
export const serveInbound = async (pod: Pod, deps: InboundDeps, request: IncomingRequest): Promise<void> => {
  const open = deps.reports.socketsOpen("destination");
  open.add(1);
  try {
    await serve(pod, deps, request);
  } catch (e) {
    const error = asMeshError(e, "CONNECT");
    deps.reports.rejected({ from: request.remote, to: request.local, direction: "inbound", error });
    answer(request, error);
  } finally {
    open.add(-1);
  }
};
