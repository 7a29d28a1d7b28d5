// A waypoint in this process between real clients and real servers on loopback, without tunnels or a control plane.

import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { Policy } from "@ambit/shared/authz/types.ts";
import { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import type { TunnelRequest } from "@ambit/shared/hbone/types.ts";
import { spiffeId } from "@ambit/shared/identity/spiffe.ts";
import type { RouteRule, WaypointPort, WaypointService, WeightedBackend } from "@ambit/shared/route/types.ts";
import { DEFAULT_RETRY } from "@ambit/shared/route/types.ts";
import { realWorld } from "@ambit/shared/runtime/run.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import { aService, aWorkload, ip } from "@ambit/shared/state/fixtures.ts";
import { createMeshStore } from "@ambit/shared/state/store.ts";
import type { AppProtocol, Workload } from "@ambit/shared/state/types.ts";
import type { RequestCtx } from "../http/context.ts";
import type { ExchangeEnd } from "../http/message.ts";
import { createProxy, PROXY_LIMITS, type ProxyDeps, type ProxyLimits, type WaypointProxy } from "../proxy.ts";
import { createPatterns } from "../route/regex.ts";
import { createOwnedStore } from "../state/owned.ts";
import type { TcpReport } from "../tcp/serve.ts";

export const VIP = ip("10.96.0.50");
export const KEY = "shop/reviews.shop.svc.cluster.local";
export const CLIENT = spiffeId("cluster.local", "shop", "web");

export type Seen = { readonly ctx: RequestCtx; readonly end: ExchangeEnd };

export type Rig = AsyncDisposable & {
  readonly proxy: WaypointProxy;
  readonly seen: Seen[];
  readonly tcp: TcpReport[];
  /** A loopback port whose connections arrive at the waypoint as tunnels to the authority. */
  entry(authority?: string, peer?: typeof CLIENT): Promise<number>;
  /** Statuses that CONNECTs were refused with. */
  readonly refusals: number[];
  /** Makes the service known with backends on these loopback ports. */
  backends(name: string, ports: readonly number[], app?: AppProtocol): void;
  push(over: Partial<WaypointService>): void;
};

export const aPort = (over: Partial<WaypointPort> = {}): WaypointPort => ({
  port: 80,
  name: "http",
  protocol: "HTTP",
  routed: (over.rules?.length ?? 0) > 0,
  rules: [],
  tcpBackends: [],
  ...over,
});

export const toService = (name: string, weight = 1): WeightedBackend => ({
  weight,
  target: { kind: "service", namespace: "shop", hostname: `${name}.shop.svc.cluster.local`, port: 80 },
  filters: [],
});

export const aRule = (over: Partial<RouteRule> = {}): RouteRule => ({
  route: "HTTPRoute/shop/reviews",
  rule: "0",
  consumerNamespace: undefined,
  match: { path: { type: "prefix", value: "/" }, method: undefined, headers: [], queryParams: [] },
  filters: [],
  backends: [toService("reviews")],
  requestTimeoutMs: undefined,
  backendTimeoutMs: undefined,
  retry: DEFAULT_RETRY,
  ...over,
});

export const owned = (over: Partial<WaypointService> = {}): WaypointService => ({
  namespace: "shop",
  hostname: "reviews.shop.svc.cluster.local",
  name: "reviews",
  addresses: [{ network: "", ip: VIP }],
  ports: [aPort()],
  policies: [],
  brokenPolicies: [],
  ...over,
});

export const portOf = (s: { address(): unknown }): number => (s.address() as AddressInfo).port;
export const listening = (s: { listen(port: number, host: string, done: () => void): unknown; address(): unknown }): Promise<number> =>
  new Promise((resolve) => s.listen(0, "127.0.0.1", () => resolve(portOf(s))));

const tunnelOf = (socket: Socket, at: { authority: string; peer: typeof CLIENT; refused: (status: number) => void }): TunnelRequest => ({
  method: "CONNECT",
  authority: at.authority,
  headers: {},
  peer: at.peer,
  remote: { ip: ip("10.244.1.7"), port: 40000 },
  local: { ip: ip("10.244.2.9"), port: 15008 },
  signal: new AbortController().signal,
  accept: () => socket,
  open: () => socket,
  reject: (status) => {
    at.refused(status);
    socket.end();
  },
});

export type RigOptions = {
  readonly world?: Partial<World>;
  readonly limits?: Partial<ProxyLimits>;
  readonly service?: Partial<WaypointService>;
  readonly deps?: Partial<ProxyDeps>;
};

export const createRig = (o: RigOptions = {}): Rig => {
  const store = createMeshStore();
  const patterns = createPatterns();
  const services = createOwnedStore(patterns, () => 0);
  const seen: Seen[] = [];
  const tcp: TcpReport[] = [];
  const refusals: number[] = [];
  const servers: Server[] = [];
  const sockets = new Set<Socket>();
  const proxy = createProxy({
    self: { namespace: "shop", gateway: "waypoint", clusterDomain: "cluster.local", network: "" },
    identity: spiffeId("cluster.local", "shop", "waypoint"),
    from: "127.0.0.1",
    origin: () => ({ network: "", node: "node1", clusterId: "Kubernetes", locality: { region: "", zone: "", subzone: "" } }),
    view: store.view,
    owned: services,
    patterns,
    tunnels: { connect: () => Promise.reject(new MeshError("CONNECT", "there are no tunnels in this rig")) },
    world: { ...realWorld(), ...o.world },
    newId: () => "00000000-0000-4000-8000-000000000000",
    observeRequest: (ctx, end) => void seen.push({ ctx, end }),
    observeTcp: { opened: () => undefined, closed: (r) => void tcp.push(r) },
    observeMirror: () => undefined,
    log: () => undefined,
    limits: { ...PROXY_LIMITS, ...o.limits },
    ...o.deps,
  });
  services.commit([owned(o.service)], []);
  const entry = async (authority = `${VIP}:80`, peer = CLIENT): Promise<number> => {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => sockets.delete(socket));
      void proxy.onTunnel(tunnelOf(socket, { authority, peer, refused: (status) => void refusals.push(status) }));
    });
    servers.push(server);
    return listening(server);
  };
  return {
    proxy,
    seen,
    tcp,
    refusals,
    entry,
    backends: (name, ports, app = "UNKNOWN") => {
      const service = aService(name, "", { namespace: "shop", ports: [{ servicePort: 80, targetPort: 8080, appProtocol: app }] });
      const key = `shop/${service.hostname}`;
      const workload = (port: number): Workload =>
        aWorkload(`${name}-${port}`, "127.0.0.1", {
          namespace: "shop",
          tunnelProtocol: "NONE",
          services: { [key]: [{ servicePort: 80, targetPort: port, appProtocol: app }] },
        });
      store.commit([{ kind: "service", service }, ...ports.map((p) => ({ kind: "workload" as const, workload: workload(p) }))]);
    },
    push: (over) => {
      services.commit([owned(over)], []);
      proxy.recheck();
    },
    [Symbol.asyncDispose]: async () => {
      proxy.upstreams.close();
      for (const s of sockets) s.destroy();
      await Promise.all(servers.map((s) => new Promise((done) => s.close(done))));
    },
  };
};

export const policy = (over: Partial<Policy>): Policy => ({
  namespace: "shop",
  name: "p",
  scope: "WORKLOAD_SELECTOR",
  action: "DENY",
  dryRun: false,
  rules: [],
  ...over,
});
