// How do the parts of the data path hang together, apart from who feeds them? (no listener, no xDS: app.ts has those)

import { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import type { TunnelPool, TunnelRequest } from "@ambit/shared/hbone/types.ts";
import type { SpiffeId } from "@ambit/shared/identity/spiffe.ts";
import { createLive, type Live } from "@ambit/shared/live/store.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { Origin } from "@ambit/shared/state/balance.ts";
import type { MeshView } from "@ambit/shared/state/view.ts";
import type { RequestObserver } from "./http/layers/access-log.ts";
import { type LiveRequest, lateRequest } from "./http/layers/authorize.ts";
import type { MirrorOutcome } from "./http/layers/mirror.ts";
import { httpStack } from "./http/stack.ts";
import { type AcceptDeps, acceptTunnel, type LiveConnection } from "./inbound/accept.ts";
import { addressedBy, type OwnedServices, type Self } from "./inbound/target.ts";
import type { Patterns } from "./route/regex.ts";
import { authorizeTcp, type TcpObserver } from "./tcp/serve.ts";
import { createDial } from "./upstream/connect.ts";
import { createUpstreamPool, type UpstreamPool } from "./upstream/pool.ts";

export type ProxyDeps = {
  readonly self: Self;
  readonly identity: SpiffeId;
  /** The address our tunnels come from. */
  readonly from: string;
  readonly origin: () => Origin;
  readonly view: MeshView;
  readonly owned: OwnedServices;
  readonly patterns: Pick<Patterns, "matcher">;
  readonly tunnels: Pick<TunnelPool, "connect">;
  readonly world: World;
  newId(): string;
  readonly observeRequest: RequestObserver;
  readonly observeTcp: TcpObserver;
  observeMirror(outcome: MirrorOutcome): void;
  log(event: string, fields: object): void;
  readonly limits: ProxyLimits;
};

export type ProxyLimits = {
  readonly detectMs: number;
  /** How long a caller's request head may take from its first bytes on, and how long its connection may stand without a request. */
  readonly requestHeadMs: number;
  readonly callerIdleMs: number;
  readonly connectTimeoutMs: number;
  readonly idleMs: number;
  readonly maxIdlePerEndpoint: number;
  readonly hbonePort: number;
};

export const PROXY_LIMITS: ProxyLimits = {
  detectMs: 5_000,
  requestHeadMs: 60_000,
  // Envoy's idle_timeout.
  callerIdleMs: 3_600_000,
  connectTimeoutMs: 10_000,
  idleMs: 60_000,
  maxIdlePerEndpoint: 256,
  hbonePort: 15008,
};

export type WaypointProxy = {
  onTunnel(request: TunnelRequest): Promise<void>;
  /** Asks for every opaque connection and every request in flight, upgraded ones too, whether it is still allowed. To be called at every push, and now and then. */
  recheck(): void;
  /** No new work on kept connections; resolves true when all is through, false at the deadline (what is left is then cut). */
  drain(deadline: AbortSignal): Promise<boolean>;
  readonly upstreams: UpstreamPool;
  readonly live: Live<LiveConnection>;
};

const lateVerdict = (c: LiveConnection, d: ProxyDeps): MeshError | undefined => {
  // HTTP is asked request by request: those in flight are in a list of their own.
  if (c.target.kind === "refuse" || c.protocol === "http") return undefined;
  const addressed = addressedBy(c.target, d);
  if (addressed === undefined) return new MeshError("UNOWNED_DESTINATION", "the service is not served here any more");
  const denied = authorizeTcp(c.connection, addressed);
  return denied === undefined ? undefined : new MeshError("DENY_LATE", denied.message);
};

export const createProxy = (d: ProxyDeps): WaypointProxy => {
  const live = createLive<LiveConnection>();
  const requests = createLive<LiveRequest>();
  const draining = new AbortController();
  const dial = createDial({
    tunnels: d.tunnels,
    self: d.identity,
    from: d.from,
    hbonePort: d.limits.hbonePort,
    connectTimeoutMs: d.limits.connectTimeoutMs,
    world: d.world,
  });
  const upstreams = createUpstreamPool({
    dial,
    world: d.world,
    idleMs: d.limits.idleMs,
    maxIdlePerEndpoint: d.limits.maxIdlePerEndpoint,
    known: (uid) => d.view.workload(uid) !== undefined,
  });
  const handler = httpStack({
    view: d.view,
    origin: d.origin,
    upstreams,
    world: d.world,
    newId: d.newId,
    self: d.identity.uri,
    patterns: d.patterns,
    observe: d.observeRequest,
    observeMirror: d.observeMirror,
    requests,
  });
  const accept: AcceptDeps = {
    self: d.self,
    owned: d.owned,
    view: d.view,
    origin: d.origin,
    handler,
    live,
    world: d.world,
    detectMs: d.limits.detectMs,
    times: { headMs: d.limits.requestHeadMs, idleMs: d.limits.callerIdleMs },
    drain: draining.signal,
    dial,
    observe: d.observeTcp,
    log: d.log,
  };
  return {
    onTunnel: (request) => acceptTunnel(request, accept),
    recheck: () => {
      for (const t of live.list()) {
        const error = lateVerdict(t.info, d);
        if (error !== undefined) t.abort(error);
      }
      const now = d.world.now();
      for (const r of requests.list()) {
        const error = lateRequest(r.info, now);
        if (error !== undefined) r.abort(error);
      }
    },
    drain: async (deadline) => {
      draining.abort(new MeshError("DRAINED", "the waypoint is shutting down"));
      const idle = await live.idle(deadline);
      live.abortAll(new MeshError("DRAINED", "the waypoint has shut down"));
      upstreams.close();
      return idle;
    },
    upstreams,
    live,
  };
};
