// How is the way to the destination opened: plan, open, and plan again without an endpoint that could not be reached?

import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Ip } from "@ambit/shared/addr/ip.ts";
import { formatSocketAddr, type SocketAddr } from "@ambit/shared/addr/socket.ts";
import type { WorkloadCert } from "@ambit/shared/ca/types.ts";
import type { End } from "@ambit/shared/copy/end.ts";
import { asMeshError, MeshError } from "@ambit/shared/errors/mesh-error.ts";
import { RETRY_ABLE, RETRY_HEADER } from "@ambit/shared/hbone/elsewhere.ts";
import { formatForwarded, mintTraceparent } from "@ambit/shared/hbone/headers.ts";
import type { TunnelHeaders, TunnelPool, TunnelStream } from "@ambit/shared/hbone/types.ts";
import { expandAliases } from "@ambit/shared/identity/aliases.ts";
import type { SpiffeId } from "@ambit/shared/identity/spiffe.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import { endpointKey } from "@ambit/shared/state/balance.ts";
import type { Workload } from "@ambit/shared/state/types.ts";
import type { MeshView } from "@ambit/shared/state/view.ts";
import { baggageText } from "../baggage.ts";
import type { HostResolver } from "../dns/hosts.ts";
import type { Pod } from "../pod.ts";
import type { OwnPorts } from "../ports.ts";
import type { Attempt, EndpointBook } from "./endpoints.ts";
import { openDoubleTunnel } from "./gateway/connect.ts";
import { type Handed, handOver, type Reachability } from "./local/connect.ts";
import type { LocalPods } from "./local/store.ts";
import { planOutbound } from "./plan.ts";
import { attemptMs, endpointFailure, hasAlternative, MAX_ATTEMPTS } from "./retry.ts";
import type { EgressMode, OutboundPlan } from "./types.ts";
import { within } from "./within.ts";

export type ConnectDeps = {
  /** Ports of ztunnel itself; absent: those that every pod has. */
  readonly own?: OwnPorts | undefined;
  /** For destinations that the mesh does not know; absent: they may be reached. */
  readonly egress?: EgressMode | undefined;
  readonly view: MeshView;
  readonly pool: TunnelPool;
  readonly world: World;
  /** For the inner connection of a tunnel in a tunnel; absent: those are refused. */
  readonly certs?: ((self: SpiffeId) => Promise<WorkloadCert>) | undefined;
  /** All names of our trust domain, the first its own: a peer may be known by each. Absent: only by its own. */
  readonly trustDomains?: readonly string[] | undefined;
  /** Absent: endpoints are chosen by the mesh's word alone. */
  readonly endpoints?: EndpointBook | undefined;
  /** Pods of this process, reached without a tunnel; absent: all are reached through one. */
  readonly local?: { readonly pods: LocalPods; readonly reach: Reachability } | undefined;
  /** For endpoints that have a hostname only; absent: those are refused. */
  readonly hosts?: HostResolver | undefined;
};

/** A plan that can be carried out. */
export type Carried = Exclude<OutboundPlan, { kind: "reject" | "resolve" }>;
export type Dial = {
  readonly source: Workload;
  readonly from: SocketAddr;
  readonly to: SocketAddr;
  readonly client: Socket;
  /** Called once when the way is open, before anything is carried. */
  readonly opened?: (() => void) | undefined;
  readonly signal: AbortSignal;
};

type Way =
  | { readonly kind: "stream"; readonly stream: End | Duplex }
  /** A pod of this process carries it from here. */
  | { readonly kind: "handed"; readonly handed: Handed };
export type Upstream = {
  readonly way: Way;
  readonly plan: Carried;
  readonly peer: SpiffeId | undefined;
  /** The `baggage` of the answer: the destination in its own words, "" when it said none. */
  readonly described: string;
  /** Counts against the endpoint until the connection has ended. */
  readonly attempt: Disposable;
};

/** A plan that could not be carried out: reported with the destination it had. */
export type Failed = { readonly failed: MeshError; readonly plan: Carried };

const NOTHING_RESOLVED: ReadonlyMap<string, Ip> = new Map();
const NO_ATTEMPT: Attempt = { tell: () => {}, [Symbol.dispose]: () => {} };

/** The same numbers again each time it is asked, so that planning once more for the same attempt makes the same choice. */
const dice = (random: () => number): (() => () => number) => {
  const thrown: number[] = [];
  return () => {
    let next = 0;
    return () => {
      thrown[next] ??= random();
      return thrown[next++] ?? 0;
    };
  };
};

/** The plan for one attempt, with the hostname of an endpoint resolved where it has no address. */
const planAttempt = async (
  deps: ConnectDeps,
  dial: Dial,
  tried: ReadonlySet<string>,
): Promise<Exclude<OutboundPlan, { kind: "resolve" }>> => {
  const throws = dice(deps.world.random);
  const standing = deps.endpoints === undefined ? {} : { standing: deps.endpoints };
  let resolved: ReadonlyMap<string, Ip> = NOTHING_RESOLVED;
  for (;;) {
    const asked = { source: dial.source, to: dial.to, tried, resolved, own: deps.own, egress: deps.egress, ...standing };
    const plan = planOutbound(deps.view, asked, throws());
    if (plan.kind !== "resolve") return plan;
    const { hostname, prefer } = plan;
    if (deps.hosts === undefined || resolved.has(hostname)) {
      const detail = `${plan.workload?.uid} has no address, only the hostname ${JSON.stringify(hostname)}`;
      return { ...plan, kind: "reject", code: "NO_HEALTHY_UPSTREAM", detail };
    }
    const ip = await deps.hosts.resolve(hostname, { prefer, source: dial.source, signal: dial.signal });
    resolved = new Map([...resolved, [hostname, ip]]);
  }
};

const headersOf = (deps: ConnectDeps, dial: Dial, plan: Carried): TunnelHeaders => ({
  baggage: baggageText(dial.source),
  forwarded: formatForwarded(dial.from, plan.service?.hostname),
  traceparent: mintTraceparent(deps.world.random),
  // To those who are about to leave: there is somebody else to ask.
  ...(hasAlternative(plan) ? { [RETRY_HEADER]: RETRY_ABLE } : {}),
});

type Opened = Pick<Upstream, "way" | "peer" | "described">;
const opened = ({ end, peer, headers }: TunnelStream): Opened => ({
  way: { kind: "stream", stream: end },
  peer,
  described: headers.baggage ?? "",
});

const expected = (deps: ConnectDeps, ids: readonly SpiffeId[]): readonly SpiffeId[] =>
  deps.trustDomains === undefined ? ids : expandAliases(ids, deps.trustDomains);

/** Straight into the neighbour's inbound side, when it is served here and the network would let the tunnel through. */
const openLocal = async (
  pod: Pod,
  deps: ConnectDeps,
  o: { dial: Dial; plan: Carried; headers: TunnelHeaders; signal: AbortSignal },
): Promise<Opened | undefined> => {
  const { dial, plan, headers, signal } = o;
  if (deps.local === undefined || plan.kind !== "hbone" || plan.why !== "direct") return undefined;
  const { workload, via, authority } = plan;
  const local = workload === undefined || workload.nativeTunnel ? undefined : deps.local.pods.find(pod, workload);
  if (local === undefined || !expected(deps, plan.expect).some((id) => id.uri === local.pod.identity.uri)) return undefined;
  if (!(await deps.local.reach.reaches(pod, via, signal))) return undefined;
  const handed = await handOver(pod, local, {
    client: dial.client,
    from: dial.from,
    via,
    authority,
    headers,
    signal,
    cut: dial.signal,
    opened: dial.opened,
  });
  return { way: { kind: "handed", handed }, peer: local.pod.identity, described: "" };
};

const openPlan = async (
  pod: Pod,
  deps: ConnectDeps,
  dial: Dial,
  { plan, signal }: { plan: Carried; signal: AbortSignal },
): Promise<Opened> => {
  if (plan.kind === "passthrough" || plan.kind === "tcp")
    return { way: { kind: "stream", stream: await pod.net.dial(plan.to, { signal, halfOpen: true }) }, peer: undefined, described: "" };
  const headers = headersOf(deps, dial, plan);
  const self = pod.identity;
  const from = dial.from.ip;
  if (plan.kind === "hbone") {
    const local = await openLocal(pod, deps, { dial, plan, headers, signal });
    if (local !== undefined) return local;
    const target = { self, expect: expected(deps, plan.expect), to: plan.via, from };
    return opened(await deps.pool.connect(target, { authority: plan.authority, headers }, signal));
  }
  const cert = deps.certs;
  if (cert === undefined)
    throw new MeshError("NO_HEALTHY_UPSTREAM", `${plan.authority} is on another network, which is not reached from here`);
  const { gateway, authority } = plan;
  const [outer, inner] = [expected(deps, plan.outer), expected(deps, plan.inner)];
  const tunnel = { self, gateway, outer, inner, authority, headers, network: dial.source.network, from };
  return opened(await openDoubleTunnel(tunnel, { pool: deps.pool, cert, world: deps.world }, signal));
};

const begin = (deps: ConnectDeps, plan: Carried): Attempt =>
  plan.workload === undefined || deps.endpoints === undefined ? NO_ATTEMPT : deps.endpoints.begin(endpointKey(plan.workload, plan.port));

const lateFor = (plan: Carried, ms: number | undefined) => (): MeshError =>
  new MeshError(
    "CONNECT_TIMEOUT",
    `${plan.workload?.uid ?? "the destination"} did not answer within ${ms} ms, maybe a NetworkPolicy is blocking it`,
  );

/** One attempt. Throws MeshError. */
const tryPlan = async (
  pod: Pod,
  deps: ConnectDeps,
  dial: Dial,
  { plan, attempt: n }: { plan: Carried; attempt: number },
): Promise<Upstream> => {
  const attempt = begin(deps, plan);
  const ms = attemptMs(n, hasAlternative(plan));
  using limit = within(deps.world, ms, { signal: dial.signal, late: lateFor(plan, ms) });
  try {
    const way = await openPlan(pod, deps, dial, { plan, signal: limit.signal });
    attempt.tell("succeeded");
    return { ...way, plan, attempt };
  } catch (e) {
    const error = asMeshError(e, "CONNECT");
    const said = dial.signal.aborted ? undefined : endpointFailure(error);
    if (said !== undefined) attempt.tell(said);
    attempt[Symbol.dispose]();
    throw error;
  }
};

/** Plans and opens; when an endpoint of a service cannot be reached, plans again without it. Throws MeshError when there is no plan. */
export const openUpstream = async (pod: Pod, deps: ConnectDeps, dial: Dial): Promise<Upstream | Failed> => {
  const tried = new Set<string>();
  let last: Failed | undefined;
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const plan = await planAttempt(deps, dial, tried);
    if (plan.kind === "reject" && last !== undefined) return last;
    if (plan.kind === "reject") throw new MeshError(plan.code, plan.detail);
    try {
      return await tryPlan(pod, deps, dial, { plan, attempt });
    } catch (e) {
      const failed = asMeshError(e, "CONNECT");
      last = { failed, plan };
      if (dial.signal.aborted || plan.workload === undefined || !hasAlternative(plan) || endpointFailure(failed) === undefined) return last;
      tried.add(plan.workload.uid);
    }
  }
  return last ?? { failed: new MeshError("NO_HEALTHY_UPSTREAM", `nobody was tried for ${formatSocketAddr(dial.to)}`), plan: nowhere(dial) };
};

const nowhere = (dial: Dial): Carried => ({
  kind: "passthrough",
  to: dial.to,
  why: "unknown-destination",
  found: "unknown",
  service: undefined,
  workload: undefined,
  port: 0,
  candidates: [],
});
