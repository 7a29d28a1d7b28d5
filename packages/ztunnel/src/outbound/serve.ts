// How is a connection that the pod opened carried to where the plan says? (15001)

import type { SocketAddr } from "@ambit/shared/addr/socket.ts";
import { splice } from "@ambit/shared/copy/splice.ts";
import { asMeshError, MeshError } from "@ambit/shared/errors/mesh-error.ts";
import { parseBaggage } from "@ambit/shared/hbone/headers.ts";
import type { SpiffeId } from "@ambit/shared/identity/spiffe.ts";
import type { Workload } from "@ambit/shared/state/types.ts";
import { describedBy } from "../baggage.ts";
import type { Lookups } from "../demand/lookup.ts";
import type { ConnectionReports } from "../metrics.ts";
import type { Pod } from "../pod.ts";
import type { Accepted } from "../tcp/accept.ts";
import { refuse } from "../tcp/cut.ts";
import type { Traffic } from "../traffic.ts";
import { type Carried, type ConnectDeps, openUpstream } from "./connect.ts";

export type OutboundDeps = ConnectDeps & {
  readonly reports: ConnectionReports;
  /** A mesh that is fetched on demand; absent: all of it is held. */
  readonly lookups?: Pick<Lookups, "destination"> | undefined;
};

type Destined = { readonly plan: Carried; readonly source: Workload; readonly peer: SpiffeId | undefined; readonly described: string };

const dialled = (plan: Carried): SocketAddr => {
  switch (plan.kind) {
    case "hbone":
      return plan.via;
    case "double-hbone":
      return plan.gateway;
    case "passthrough":
    case "tcp":
      return plan.to;
  }
};

/** Beyond a gateway only the destination itself can say which workload it is. */
const destinationOf = ({ plan, described, peer }: Destined): Workload | undefined =>
  plan.kind === "double-hbone" && described !== "" && peer !== undefined
    ? describedBy(parseBaggage(described), { ...plan.workload, namespace: peer.namespace })
    : plan.workload;

const trafficOf = (pod: Pod, { from }: Accepted, to: Destined): Traffic => {
  const tunnelled = to.plan.kind === "hbone" || to.plan.kind === "double-hbone";
  const expected = to.plan.kind === "hbone" ? to.plan.expect[0] : undefined;
  return {
    reporter: "source",
    source: { addr: from, workload: to.source, identity: pod.identity },
    destination: {
      addr: dialled(to.plan),
      hboneAddr: "authority" in to.plan ? to.plan.authority : undefined,
      workload: destinationOf(to),
      identity: to.peer ?? expected,
      service: to.plan.service,
    },
    secured: tunnelled,
  };
};

export type OutboundClient = Accepted & {
  /** For a client that is told how it went: before anything is carried, or instead of it. Absent: it is carried, or cut. */
  readonly opened?: () => void;
  readonly failed?: (error: MeshError) => void;
};

const turnAway = (client: OutboundClient, error: MeshError): void => {
  if (client.failed === undefined) refuse(client.socket);
  else client.failed(error);
};

const carry = async (pod: Pod, deps: OutboundDeps, client: OutboundClient, startedAt: number): Promise<void> => {
  const abort = new AbortController();
  const gone = (): void => abort.abort(new MeshError("CLIENT_GONE", "the client closed before the connection was made"));
  client.socket.once("close", gone);
  using _taken = pod.taken.track(client, (reason) => abort.abort(reason));
  const source = await pod.workload(abort.signal);
  await deps.lookups?.destination({ source, to: client.to.ip }, abort.signal);
  const { from, to, opened } = client;
  const upstream = await openUpstream(pod, deps, { source, from, to, client: client.socket, opened, signal: abort.signal });
  if ("failed" in upstream) {
    const destined = { plan: upstream.plan, source, peer: undefined, described: "" };
    deps.reports.open(trafficOf(pod, client, destined), startedAt).end(upstream.failed);
    turnAway(client, upstream.failed);
    return;
  }
  using _attempt = upstream.attempt;
  client.socket.removeListener("close", gone);
  const { plan } = upstream;
  const info = {
    from: client.from,
    originalDst: client.to,
    actualDst: dialled(plan),
    protocol: "authority" in plan ? ("HBONE" as const) : ("TCP" as const),
  };
  using _tracked = pod.outbound.track(info, (reason) => abort.abort(reason));
  const record = deps.reports.open(trafficOf(pod, client, { ...upstream, source }), startedAt);
  if (upstream.way.kind === "handed") {
    upstream.way.handed.count(record);
    await upstream.way.handed.ended;
    record.end(abort.signal.aborted ? asMeshError(abort.signal.reason, "CONNECT") : undefined);
    return;
  }
  opened?.();
  const end = await splice(client.socket, upstream.way.stream, {
    forward: record.fromClient,
    backward: record.fromServer,
    signal: abort.signal,
  });
  record.end(end.why === "closed" ? undefined : asMeshError(end.why === "aborted" ? end.reason : end.error, "CONNECT"));
};

/** Serves one connection to its end; never rejects. What fails before it is known where to go is logged as such. */
export const serveOutbound = async (pod: Pod, deps: OutboundDeps, client: OutboundClient): Promise<void> => {
  const open = deps.reports.socketsOpen("source");
  open.add(1);
  try {
    await carry(pod, deps, client, deps.world.now());
  } catch (e) {
    const error = asMeshError(e, "CONNECT");
    deps.reports.rejected({ from: client.from, to: client.to, direction: "outbound", error });
    turnAway(client, error);
  } finally {
    open.add(-1);
  }
};
