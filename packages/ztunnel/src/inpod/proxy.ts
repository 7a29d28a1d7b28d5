// How is one pod served: its listeners, its tunnels, its DNS, its end?

import type { Socket } from "node:net";
import type { CertStore } from "@ambit/shared/ca/types.ts";
import { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import { takeTunnels } from "@ambit/shared/hbone/accept.ts";
import { createTunnelPool, type TunnelPoolLimits } from "@ambit/shared/hbone/pool.ts";
import type { SpiffeId } from "@ambit/shared/identity/spiffe.ts";
import type { Netns } from "@ambit/shared/linux/netns.ts";
import { createLive } from "@ambit/shared/live/store.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { MeshView } from "@ambit/shared/state/view.ts";
import { eventLog } from "@ambit/shared/telemetry/event-log.ts";
import type { ScopedLogger } from "@ambit/shared/telemetry/log.ts";
import type { Revocations } from "@ambit/shared/tls/revocations.ts";
import type { ZdsWorkload } from "@ambit/shared/wire/types.ts";
import type { Lookups } from "../demand/lookup.ts";
import type { DnsConfig } from "../dns/config.ts";
import type { HostResolver } from "../dns/hosts.ts";
import { dnsFds } from "../dns/listen.ts";
import { type PodDnsDeps, startPodDns } from "../dns/run.ts";
import type { DnsServer } from "../dns/serve.ts";
import { servePassthrough } from "../inbound/passthrough/serve.ts";
import { type InboundDeps, serveInbound } from "../inbound/serve.ts";
import type { ConnectionReports } from "../metrics.ts";
import type { EndpointBook } from "../outbound/endpoints.ts";
import type { Reachability } from "../outbound/local/connect.ts";
import type { LocalPods } from "../outbound/local/store.ts";
import { type OutboundDeps, serveOutbound } from "../outbound/serve.ts";
import { serveSocks } from "../outbound/socks/serve.ts";
import type { EgressMode } from "../outbound/types.ts";
import type { InboundConnection, OutboundConnection, Pod, TakenConnection } from "../pod.ts";
import { isRevoked } from "../policy/own-revocation.ts";
import { ownPorts } from "../ports.ts";
import type { MeshState } from "../state/apply.ts";
import { ownWorkload } from "../state/wait.ts";
import { acceptOn, type TcpListener } from "../tcp/accept.ts";
import { type Arrivals, asAccepted, createFront, type Serving } from "./front.ts";
import { createPodNet, type SocketConfig } from "./listen.ts";

export type PodProxy = {
  /** Workloads have left the mesh: tunnels to addresses that nobody has any more must prove that somebody is still there. */
  peersLeft(): void;
  readonly pod: Pod;
  /** Serves a connection that another thread accepted on the listener. False: it is not served here (any more), and `open` was not called. */
  take(listener: string, open: () => Socket): boolean;
  /** No new connections and GOAWAY; what is left is cut at the deadline. Resolves when nothing is left. */
  drain(deadlineMs: number): Promise<void>;
  /** The pod has been told to end: GOAWAY on its tunnels, and callers who have another endpoint are asked to go there. */
  terminate(): void;
  /** Cuts everything now. */
  close(): void;
};

export type ProxyConfig = {
  readonly sockets: SocketConfig;
  readonly pool: Partial<TunnelPoolLimits>;
  readonly responseBaggage: boolean;
  readonly egress: EgressMode;
  readonly socks: boolean;
  readonly clusterDomain: string;
  readonly dns: DnsConfig;
  /** Other names of our trust domain: their peers are ours. */
  readonly trustDomainAliases: readonly string[];
};

export type ProxyDeps = {
  readonly state: Pick<MeshState, "view" | "onCommit"> & { readonly view: MeshView };
  readonly certs: Pick<CertStore, "get" | "peek" | "onRenew">;
  /** Asked of every peer, and of live ones when the lists change; undefined: there are no lists. */
  readonly revocations?: Pick<Revocations, "check"> | undefined;
  readonly reports: ConnectionReports;
  readonly world: World;
  readonly log: ScopedLogger;
  readonly rbac: ScopedLogger;
  readonly dns: Pick<PodDnsDeps, "resolver" | "reports" | "log" | "demand">;
  /** For endpoints that have only a host name. */
  readonly hosts: HostResolver;
  /** What this thread has seen of endpoints; absent: they are chosen by the mesh's word alone. */
  readonly endpoints?: EndpointBook | undefined;
  /** A mesh that is fetched on demand; absent: all of it is held. */
  readonly lookups?: Lookups | undefined;
  /** The thread's pods, which reach each other without a tunnel; absent: through one. */
  readonly local?: { readonly pods: LocalPods; readonly reach: Reachability } | undefined;
};

export type Described = Arrivals & {
  readonly uid: string;
  readonly who: ZdsWorkload;
  readonly netns: Pick<Netns, "fd">;
  readonly identity: SpiffeId;
  /** Set for ztunnel itself: of its ports only this one is reached, and by tunnels only. */
  readonly onlyPort?: number | undefined;
};

/** Calls `begin` once, when there is a certificate. */
const whenCertified = (cert: { readonly certs: ProxyDeps["certs"]; readonly identity: SpiffeId }, begin: () => void): Disposable => {
  let over = false;
  const check = (): void => {
    if (over || cert.certs.peek(cert.identity) === undefined) return;
    end();
    begin();
  };
  const off = cert.certs.onRenew(check);
  const end = (): void => {
    over = true;
    off();
  };
  check();
  return { [Symbol.dispose]: end };
};

/** The pod's DNS, when there is to be any. */
const startDns = async (pod: Pod, described: Described, config: ProxyConfig, deps: ProxyDeps): Promise<DnsServer | undefined> => {
  if (!config.dns.enabled || described.onlyPort !== undefined) return undefined;
  return startPodDns(
    { who: described.who, netns: described.netns, fds: dnsFds(config.dns, described.fds), workload: pod.workload },
    {
      clusterDomain: config.clusterDomain,
      preferredNamespace: config.dns.preferredNamespace,
      ipv6: config.sockets.ipv6,
      mark: config.sockets.mark,
    },
    { demand: deps.lookups?.named, ...deps.dns, view: deps.state.view, world: deps.world },
  );
};

/** Serves the pod's listeners. Throws when one cannot be served; then none is left open. */
export const startPodProxy = async (described: Described, config: ProxyConfig, deps: ProxyDeps): Promise<PodProxy> => {
  const { state, world, reports, certs } = deps;
  const net = createPodNet(described.netns, config.sockets, world);
  let dying = false;
  const pod: Pod = {
    dying: () => dying,
    uid: described.uid,
    who: described.who,
    identity: described.identity,
    net,
    taken: createLive<TakenConnection>(),
    inbound: createLive<InboundConnection>(),
    outbound: createLive<OutboundConnection>(),
    workload: async (signal) => {
      const known = state.view.workloadByName(described.who);
      if (known !== undefined) return known;
      await deps.lookups?.own(described.who, signal);
      return ownWorkload(state, described.who, { world, signal });
    },
  };
  const log = eventLog(deps.log, "debug", { pod: `${described.who.namespace}/${described.who.name}` });
  const pool = createTunnelPool({
    cert: (self) => certs.get(self),
    // The pool's `from` is part of its key; the kernel gives the pod's own address to what is dialled from inside it.
    dial: (to, _from, signal) => net.dial(to, { signal, halfOpen: false }),
    world,
    limits: config.pool,
    ...(deps.revocations === undefined ? {} : { peers: deps.revocations.check("source") }),
  });
  const { hosts, endpoints, local } = deps;
  const outbound: OutboundDeps = {
    view: state.view,
    pool,
    reports,
    world,
    hosts,
    endpoints,
    local,
    lookups: deps.lookups,
    own: ownPorts(config),
    egress: config.egress,
    certs: (self) => certs.get(self),
    trustDomains: [pod.identity.trustDomain, ...config.trustDomainAliases],
  };
  const inbound: InboundDeps = {
    own: ownPorts(config),
    pool,
    view: state.view,
    reports,
    world,
    rbac: deps.rbac,
    responseBaggage: config.responseBaggage,
    onlyPort: described.onlyPort,
  };
  const onError = (e: Error): void => deps.log.warn("a connection could not be taken", { uid: pod.uid, error: e.message });
  const callers = deps.revocations?.check("destination");
  const tunnels = takeTunnels({
    certs: () => certs.peek(pod.identity),
    trustDomain: pod.identity.trustDomain,
    trustDomainAliases: config.trustDomainAliases,
    ...(callers === undefined ? {} : { peers: callers }),
    onRequest: (request) => serveInbound(pod, inbound, request),
    world,
    log,
  });
  const serving: Serving = {
    outbound: { halfOpen: true, serve: (socket) => asAccepted(socket, (c) => serveOutbound(pod, outbound, c)) },
    passthrough: { halfOpen: true, serve: (socket) => asAccepted(socket, (c) => servePassthrough(pod, inbound, c)) },
    hbone: {
      halfOpen: false,
      serve: (socket) => {
        tunnels.take(socket);
        return undefined;
      },
    },
  };
  const front = createFront(described, serving, onError);
  let dns: DnsServer | undefined;
  let socks: TcpListener | undefined;
  try {
    dns = await startDns(pod, described, config, deps);
    socks = await acceptOn(described.fds.socks ?? [], {
      halfOpen: true,
      onSocket: (socket) => void serveSocks(pod, outbound, socket),
      onError,
    });
    await Promise.all([front.begin("outbound"), front.begin("passthrough")]);
  } catch (e) {
    dns?.close();
    socks?.stop();
    front.stop();
    tunnels.close();
    pool.close();
    throw e;
  }
  // Until there is a certificate, peers wait in the listener's queue instead of failing the handshake.
  const certified = whenCertified({ certs, identity: pod.identity }, () => void front.begin("hbone").catch(onError));

  const neighbour = local?.pods.add({
    pod,
    serve: (request) => serveInbound(pod, inbound, request),
    // One that is revoked goes through the tunnel, whose handshake says so.
    certified: () => {
      const cert = certs.peek(pod.identity);
      return cert !== undefined && !isRevoked(cert, callers);
    },
  });
  const stopAccepting = (): void => {
    neighbour?.[Symbol.dispose]();
    certified[Symbol.dispose]();
    socks?.stop();
    front.stop();
  };
  const cut = (reason: MeshError): void => {
    pod.taken.abortAll(reason);
  };
  return {
    pod,
    peersLeft: () => {
      const network = state.view.workloadByName(described.who)?.network ?? "";
      pool.suspect(({ ip }) => state.view.workloadByAddress(network, ip) === undefined);
    },
    take: front.take,
    drain: async (deadlineMs) => {
      stopAccepting();
      const timer = new AbortController();
      const expired = world.sleep(deadlineMs, timer.signal).then(
        () => cut(new MeshError("DRAINED", "connection closed: ztunnel is shutting down")),
        () => {}, // everything ended before
      );
      const never = new AbortController().signal;
      // What was accepted before may still dial: the pool goes last.
      await Promise.all([pod.taken.idle(never), tunnels.drain(deadlineMs), dns?.drain(deadlineMs)]);
      timer.abort();
      await expired;
      await pool.drain(0);
    },
    terminate: () => {
      dying = true;
      neighbour?.[Symbol.dispose]();
      tunnels.goaway();
    },
    close: () => {
      stopAccepting();
      front.close();
      cut(new MeshError("DRAINED", "connection closed: the pod is served no more"));
      dns?.close();
      // What was not answered yet is refused in this turn: the refusals go out first.
      setImmediate(() => {
        tunnels.close();
        pool.close();
      });
    },
  };
};
