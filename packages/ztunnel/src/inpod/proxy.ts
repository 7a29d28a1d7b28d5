// How is one pod served: its three listeners, its tunnels, its end?

import type { CertStore } from "@ambit/shared/ca/types.ts";
import { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import { serveTunnels } from "@ambit/shared/hbone/accept.ts";
import { createTunnelPool, type TunnelPoolLimits } from "@ambit/shared/hbone/pool.ts";
import type { TunnelServer } from "@ambit/shared/hbone/types.ts";
import type { SpiffeId } from "@ambit/shared/identity/spiffe.ts";
import type { Netns } from "@ambit/shared/linux/netns.ts";
import { closeFd } from "@ambit/shared/linux/socket.ts";
import { createLive } from "@ambit/shared/live/store.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { LocalWorkload, MeshView } from "@ambit/shared/state/view.ts";
import { eventLog } from "@ambit/shared/telemetry/event-log.ts";
import type { ScopedLogger } from "@ambit/shared/telemetry/log.ts";
import { servePassthrough } from "../inbound/passthrough/serve.ts";
import { type InboundDeps, serveInbound } from "../inbound/serve.ts";
import type { ConnectionReports } from "../metrics.ts";
import { type OutboundDeps, serveOutbound } from "../outbound/serve.ts";
import type { InboundConnection, OutboundConnection, Pod, TakenConnection } from "../pod.ts";
import { HBONE_PORT, OUTBOUND_PORT, PASSTHROUGH_PORT } from "../ports.ts";
import type { MeshState } from "../state/apply.ts";
import { ownWorkload } from "../state/wait.ts";
import { acceptOn, type TcpListener } from "../tcp/accept.ts";
import { createPodNet, type SocketConfig } from "./listen.ts";

export type PodProxy = {
  readonly pod: Pod;
  /** No new connections and GOAWAY; what is left is cut at the deadline. Resolves when nothing is left. */
  drain(deadlineMs: number): Promise<void>;
  /** Cuts everything now. */
  close(): void;
};

export type ProxyConfig = {
  readonly sockets: SocketConfig;
  readonly pool: Partial<TunnelPoolLimits>;
  readonly responseBaggage: boolean;
};

export type ProxyDeps = {
  readonly state: Pick<MeshState, "view" | "onCommit"> & { readonly view: MeshView };
  readonly certs: Pick<CertStore, "get" | "peek" | "onRenew">;
  readonly reports: ConnectionReports;
  readonly world: World;
  readonly log: ScopedLogger;
  readonly rbac: ScopedLogger;
};

type Described = {
  readonly uid: string;
  readonly who: LocalWorkload;
  readonly netns: Pick<Netns, "fd">;
  readonly identity: SpiffeId;
};

/**
 * Serves CONNECTs from the moment there is a certificate. Until then peers wait in the listener's queue instead of failing
 * the handshake.
 */
const serveTunnelsOnceCertified = (
  fd: number,
  cert: { readonly certs: ProxyDeps["certs"]; readonly identity: SpiffeId },
  how: { serve(): Promise<TunnelServer>; onError(e: Error): void },
): { server(): Promise<TunnelServer> | undefined; close(): void } => {
  let server: Promise<TunnelServer> | undefined;
  let over = false;
  const begin = (): void => {
    if (over || server !== undefined || cert.certs.peek(cert.identity) === undefined) return;
    off();
    server = how.serve();
    server.catch(how.onError);
  };
  const off = cert.certs.onRenew(begin);
  begin();
  return {
    server: () => server,
    close: () => {
      if (over) return;
      over = true;
      off();
      if (server === undefined) closeFd(fd);
      else server.then((s) => s.close()).catch(() => {}); // that it could not serve was logged when it happened
    },
  };
};

const openListeners = (ports: readonly number[], listen: (port: number) => number): number[] => {
  const fds: number[] = [];
  try {
    for (const port of ports) fds.push(listen(port));
  } catch (e) {
    for (const fd of fds) closeFd(fd);
    throw e;
  }
  return fds;
};

/** Opens the pod's listeners and serves them. Throws when one cannot be opened; then none is left open. */
export const startPodProxy = async (described: Described, config: ProxyConfig, deps: ProxyDeps): Promise<PodProxy> => {
  const { state, world, reports, certs } = deps;
  const net = createPodNet(described.netns, config.sockets, world);
  const pod: Pod = {
    uid: described.uid,
    who: described.who,
    identity: described.identity,
    net,
    taken: createLive<TakenConnection>(),
    inbound: createLive<InboundConnection>(),
    outbound: createLive<OutboundConnection>(),
    workload: (signal) => ownWorkload(state, described.who, { world, signal }),
  };
  const [outboundFd = -1, passthroughFd = -1, hboneFd = -1] = openListeners([OUTBOUND_PORT, PASSTHROUGH_PORT, HBONE_PORT], net.listen);
  const log = eventLog(deps.log, "debug", { pod: `${described.who.namespace}/${described.who.name}` });
  const pool = createTunnelPool({
    cert: (self) => certs.get(self),
    // The pool's `from` is part of its key; the kernel gives the pod's own address to what is dialled from inside it.
    dial: (to, _from, signal) => net.dial(to, { signal, halfOpen: false }),
    world,
    limits: config.pool,
  });
  const outbound: OutboundDeps = { view: state.view, pool, reports, world };
  const inbound: InboundDeps = { view: state.view, reports, world, rbac: deps.rbac, responseBaggage: config.responseBaggage };
  const onError = (e: Error): void => deps.log.warn("a connection could not be taken", { uid: pod.uid, error: e.message });

  const tcp: TcpListener[] = [
    await acceptOn(outboundFd, { onConnection: (c) => void serveOutbound(pod, outbound, c), onError }),
    await acceptOn(passthroughFd, { onConnection: (c) => void servePassthrough(pod, inbound, c), onError }),
  ];
  const tunnels = serveTunnelsOnceCertified(
    hboneFd,
    { certs, identity: pod.identity },
    {
      serve: () =>
        serveTunnels({
          listen: { fd: hboneFd },
          certs: () => certs.peek(pod.identity),
          trustDomain: pod.identity.trustDomain,
          onRequest: (request) => serveInbound(pod, inbound, request),
          world,
          log,
        }),
      onError,
    },
  );

  const stopAccepting = (): void => {
    for (const listener of tcp.splice(0)) listener.stop();
  };
  const cut = (reason: MeshError): void => {
    pod.taken.abortAll(reason);
  };
  return {
    pod,
    drain: async (deadlineMs) => {
      stopAccepting();
      const timer = new AbortController();
      const expired = world.sleep(deadlineMs, timer.signal).then(
        () => cut(new MeshError("DRAINED", "connection closed: ztunnel is shutting down")),
        () => {}, // everything ended before
      );
      const never = new AbortController().signal;
      const server = await tunnels.server();
      await Promise.all([pod.taken.idle(never), server?.drain(deadlineMs), pool.drain(deadlineMs)]);
      timer.abort();
      await expired;
    },
    close: () => {
      stopAccepting();
      cut(new MeshError("DRAINED", "connection closed: the pod is served no more"));
      tunnels.close();
      pool.close();
    },
  };
};
