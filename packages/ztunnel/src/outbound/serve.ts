// How is a connection that the pod opened carried to where the plan says? (15001)

import type { Duplex } from "node:stream";
import { formatSocketAddr, type SocketAddr } from "@ambit/shared/addr/socket.ts";
import { splice } from "@ambit/shared/copy/splice.ts";
import { asMeshError, MeshError } from "@ambit/shared/errors/mesh-error.ts";
import { formatBaggage, formatForwarded, mintTraceparent } from "@ambit/shared/hbone/headers.ts";
import type { TunnelPool } from "@ambit/shared/hbone/types.ts";
import type { SpiffeId } from "@ambit/shared/identity/spiffe.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { Workload } from "@ambit/shared/state/types.ts";
import type { MeshView } from "@ambit/shared/state/view.ts";
import { baggageOf } from "../baggage.ts";
import type { ConnectionReports } from "../metrics.ts";
import type { Pod } from "../pod.ts";
import type { Accepted } from "../tcp/accept.ts";
import { refuse } from "../tcp/cut.ts";
import type { Traffic } from "../traffic.ts";
import { type OutboundPlan, planOutbound } from "./plan.ts";

export type OutboundDeps = {
  readonly view: MeshView;
  readonly pool: TunnelPool;
  readonly reports: ConnectionReports;
  readonly world: World;
};

/** Endpoints tried for one connection while none has been reached: nothing was sent yet, so another one is safe. */
const MAX_ATTEMPTS = 3;

type Carried = Exclude<OutboundPlan, { kind: "reject" | "double-hbone" }>;
type Upstream = { readonly stream: Duplex; readonly plan: Carried; readonly peer: SpiffeId | undefined };

const dialled = (plan: Carried): SocketAddr => (plan.kind === "hbone" ? plan.via : plan.to);

const trafficOf = (pod: Pod, { from }: Accepted, to: { plan: Carried; source: Workload; peer: SpiffeId | undefined }): Traffic => ({
  reporter: "source",
  source: { addr: from, workload: to.source, identity: pod.identity },
  destination: {
    addr: dialled(to.plan),
    hboneAddr: to.plan.kind === "hbone" ? to.plan.authority : undefined,
    workload: to.plan.workload,
    identity: to.peer ?? (to.plan.kind === "hbone" ? to.plan.expect[0] : undefined),
    service: to.plan.service,
  },
  secured: to.plan.kind === "hbone",
});

const openPlan = async (
  pod: Pod,
  deps: OutboundDeps,
  opening: { plan: Carried; from: SocketAddr; source: Workload; signal: AbortSignal },
): Promise<Upstream> => {
  const { plan, from, source, signal } = opening;
  if (plan.kind !== "hbone") return { stream: await pod.net.dial(plan.to, { signal, halfOpen: true }), plan, peer: undefined };
  const target = { self: pod.identity, expect: plan.expect, to: plan.via, from: from.ip };
  const headers = {
    baggage: formatBaggage(baggageOf(source)),
    forwarded: formatForwarded(from, plan.service?.hostname),
    traceparent: mintTraceparent(deps.world.random),
  };
  const tunnel = await deps.pool.connect(target, { authority: plan.authority, headers }, signal);
  return { stream: tunnel.stream, plan, peer: tunnel.peer };
};

/** A plan that could not be carried out: reported with the destination it had. */
type Failed = { readonly failed: MeshError; readonly plan: Carried };

/** Plans and opens; when an endpoint of a service refuses the dial, plans again without it. Throws MeshError when there is no plan. */
const openUpstream = async (
  pod: Pod,
  deps: OutboundDeps,
  dial: { source: Workload; from: SocketAddr; to: SocketAddr; signal: AbortSignal },
): Promise<Upstream | Failed> => {
  const tried = new Set<string>();
  let last: Failed | undefined;
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const plan = planOutbound(deps.view, { source: dial.source, to: dial.to, tried }, deps.world.random);
    if (plan.kind === "reject" && last !== undefined) return last;
    if (plan.kind === "reject") throw new MeshError(plan.code, plan.detail);
    if (plan.kind === "double-hbone")
      throw new MeshError(
        "NO_HEALTHY_UPSTREAM",
        `${plan.authority} is on another network, behind the gateway ${formatSocketAddr(plan.gateway)}: a tunnel in a tunnel is not supported yet`,
      );
    try {
      return await openPlan(pod, deps, { ...dial, plan });
    } catch (e) {
      last = { failed: asMeshError(e, "CONNECT"), plan };
      if (last.failed.code !== "CONNECT" || plan.workload === undefined || plan.candidates.length < 2) return last;
      tried.add(plan.workload.uid);
    }
  }
  if (last === undefined) throw new MeshError("NO_HEALTHY_UPSTREAM", `no endpoint was tried for ${formatSocketAddr(dial.to)}`);
  return last;
};

const carry = async (pod: Pod, deps: OutboundDeps, client: Accepted, startedAt: number): Promise<void> => {
  const abort = new AbortController();
  const gone = (): void => abort.abort(new MeshError("CLIENT_GONE", "the client closed before the connection was made"));
  client.socket.once("close", gone);
  using _taken = pod.taken.track(client, (reason) => abort.abort(reason));
  const source = await pod.workload(abort.signal);
  const upstream = await openUpstream(pod, deps, { source, from: client.from, to: client.to, signal: abort.signal });
  if ("failed" in upstream) {
    deps.reports.open(trafficOf(pod, client, { plan: upstream.plan, source, peer: undefined }), startedAt).end(upstream.failed);
    refuse(client.socket);
    return;
  }
  client.socket.removeListener("close", gone);
  const { plan } = upstream;
  const info = {
    from: client.from,
    originalDst: client.to,
    actualDst: dialled(plan),
    protocol: plan.kind === "hbone" ? ("HBONE" as const) : ("TCP" as const),
  };
  using _tracked = pod.outbound.track(info, (reason) => abort.abort(reason));
  const record = deps.reports.open(trafficOf(pod, client, { plan, source, peer: upstream.peer }), startedAt);
  const end = await splice(client.socket, upstream.stream, {
    forward: record.fromClient,
    backward: record.fromServer,
    signal: abort.signal,
  });
  record.end(end.why === "closed" ? undefined : asMeshError(end.why === "aborted" ? end.reason : end.error, "CONNECT"));
};

/** Serves one connection to its end; never rejects. What fails before it is known where to go is logged as such. */
export const serveOutbound = async (pod: Pod, deps: OutboundDeps, client: Accepted): Promise<void> => {
  const open = deps.reports.socketsOpen("source");
  open.add(1);
  try {
    await carry(pod, deps, client, deps.world.now());
  } catch (e) {
    deps.reports.rejected({ from: client.from, to: client.to, direction: "outbound", error: asMeshError(e, "CONNECT") });
    refuse(client.socket);
  } finally {
    open.add(-1);
  }
};
