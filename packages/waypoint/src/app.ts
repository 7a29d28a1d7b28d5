// How is a waypoint put together, run and ended? (the only file that wires everything)

import { randomUUID } from "node:crypto";
import { formatSocketAddr } from "@ambit/shared/addr/socket.ts";
import { serveReadiness } from "@ambit/shared/admin/readiness.ts";
import { serveAdmin } from "@ambit/shared/admin/server.ts";
import { followRoots } from "@ambit/shared/ca/roots.ts";
import { createCertStore } from "@ambit/shared/ca/store.ts";
import { followRevocationLists } from "@ambit/shared/ca/watch.ts";
import { serveTunnels } from "@ambit/shared/hbone/accept.ts";
import { createTunnelPool } from "@ambit/shared/hbone/pool.ts";
import type { TunnelServer } from "@ambit/shared/hbone/types.ts";
import { spiffeId } from "@ambit/shared/identity/spiffe.ts";
import { meterCertificates, meterRevocations } from "@ambit/shared/proxy/certificate-metrics.ts";
import type { Sources } from "@ambit/shared/proxy/sources.ts";
import { createReadiness } from "@ambit/shared/runtime/ready.ts";
import { aborted } from "@ambit/shared/runtime/run.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { Origin } from "@ambit/shared/state/balance.ts";
import type { MeshView } from "@ambit/shared/state/view.ts";
import { eventLog } from "@ambit/shared/telemetry/event-log.ts";
import type { Logger, LogOutput } from "@ambit/shared/telemetry/log.ts";
import { createMetrics } from "@ambit/shared/telemetry/metrics.ts";
import { serveMetrics } from "@ambit/shared/telemetry/server.ts";
import { createRevocations } from "@ambit/shared/tls/revocations.ts";
import { adminRoutes } from "./admin/routes.ts";
import type { WaypointConfig } from "./config.ts";
import type { Self } from "./inbound/target.ts";
import { createProxy, PROXY_LIMITS, type WaypointProxy } from "./proxy.ts";
import { createPatterns } from "./route/regex.ts";
import { waypointSources } from "./sources.ts";
import { createWaypointState } from "./state/apply.ts";
import { createTelemetry } from "./telemetry/observe.ts";
import { dialTcp } from "./upstream/connect.ts";

const STATE_GATE = "state manager";
const CERT_GATE = "workload certificate";
/** How often kept connections are looked over and live byte counts are told, as Istio does. */
const HOUSEKEEPING_MS = 5_000;

export type WaypointApp = AsyncDisposable & {
  readonly ports: { readonly hbone: number; readonly admin: number; readonly stats: number; readonly readiness: number };
  /** Serves until the signal aborts, then drains. */
  run(stop: AbortSignal): Promise<void>;
};

export type BuildOptions = {
  readonly config: WaypointConfig;
  readonly world: World;
  readonly logger: Logger;
  /** Where access log lines go. */
  readonly out: LogOutput;
  /** The controller unless a test gives its own. */
  readonly sources?: Sources;
};

/** The pod has no IPv6 at all, so that "::" cannot be bound. */
const lacksIpv6 = (e: unknown): boolean => e instanceof Error && (/\b(EAFNOSUPPORT|EADDRNOTAVAIL)\b/.test(e.message) || lacksIpv6(e.cause));

const NOWHERE = { region: "", zone: "", subzone: "" };

/** Where we are, as the controller says of our own pod; until it does, what we were started with. */
const originOf = (config: WaypointConfig, view: MeshView): Origin => {
  const { name, namespace, serviceAccount } = config.pod;
  const own = view.workloadByName({ name, namespace, serviceAccount });
  return { network: config.network, node: config.node, clusterId: config.clusterId, locality: own?.locality ?? NOWHERE };
};

const housekeeping = async (signal: AbortSignal, d: { world: World; proxy: WaypointProxy; flush(): void }): Promise<void> => {
  while (!signal.aborted) {
    // The only rejection of sleep is the signal's.
    await d.world.sleep(HOUSEKEEPING_MS, signal).catch(() => undefined);
    d.proxy.upstreams.sweep();
    d.proxy.recheck();
    d.flush();
  }
};

/** Binds every port; nothing is served before `run`. Throws a sentence when a port is taken. */
export const build = async (o: BuildOptions): Promise<WaypointApp> => {
  const { config, world, logger } = o;
  const scope = new AsyncDisposableStack();
  try {
    const log = logger.scope("waypoint");
    const identity = spiffeId(config.trustDomain, config.pod.namespace, config.pod.serviceAccount);
    const self: Self = {
      namespace: config.pod.namespace,
      gateway: config.gateway,
      clusterDomain: config.clusterDomain,
      network: config.network,
    };
    const metrics = createMetrics({ processMetrics: true });
    metrics
      .gauge({ name: "istio_build", help: "The build.", labels: ["component", "tag"] })
      .with({ component: "proxy", tag: config.version })
      .set(1);
    const mirrored = metrics.counter({
      name: "ambit_waypoint_mirrored_requests_total",
      help: "Copies of requests that RequestMirror filters asked for, by what became of them.",
      labels: ["outcome"],
    });
    const ready = createReadiness([STATE_GATE, CERT_GATE]);

    const caLog = eventLog(logger.scope("ca"), "info");
    const sources = o.sources ?? waypointSources(config, { world, log: eventLog(logger.scope("xds"), "info") });
    scope.defer(() => sources.close());
    const certs = createCertStore({ fetch: sources.fetchCertificate, world, log: caLog, tls: config.tls });
    scope.defer(() => certs.close());
    const certificates = meterCertificates(metrics, certs, world);
    const crl = meterRevocations(metrics);
    const revocations = createRevocations(crl);
    const patterns = createPatterns();
    const state = createWaypointState(patterns, () => world.now());
    const origin = (): Origin => originOf(config, state.view);
    const telemetry = createTelemetry({ metrics, view: state.view, network: config.network, accessLog: config.accessLog, out: o.out });

    const pool = createTunnelPool({
      cert: (id) => certs.get(id),
      dial: (to, _from, signal) => dialTcp(to, { signal, timeoutMs: config.connectTimeoutMs, world }),
      world,
      ...(config.crlPath === undefined ? {} : { peers: revocations.check("source") }),
    });
    scope.defer(() => pool.close());
    const proxy = createProxy({
      self,
      identity,
      from: config.pod.ip,
      origin,
      view: state.view,
      owned: state.owned,
      patterns,
      tunnels: pool,
      world,
      newId: randomUUID,
      observeRequest: telemetry.observeRequest,
      observeTcp: telemetry.observeTcp,
      observeMirror: (outcome) => mirrored.with({ outcome }).add(),
      log: eventLog(logger.scope("proxy"), "info"),
      limits: {
        ...PROXY_LIMITS,
        detectMs: config.detectMs,
        connectTimeoutMs: config.connectTimeoutMs,
        hbonePort: config.peerHbonePort,
      },
    });
    scope.defer(() => proxy.upstreams.close());
    state.onCommit(proxy.recheck);

    const serveOn = (host: string): Promise<TunnelServer> =>
      serveTunnels({
        listen: { port: config.ports.hbone, host },
        certs: () => certs.peek(identity),
        trustDomain: config.trustDomain,
        trustDomainAliases: config.trustDomainAliases,
        ...(config.crlPath === undefined ? {} : { peers: revocations.check("destination") }),
        onRequest: proxy.onTunnel,
        world,
        log: eventLog(logger.scope("hbone"), "info"),
      });
    const server = await serveOn("::").catch((e: unknown) => {
      if (lacksIpv6(e)) return serveOn("0.0.0.0");
      throw e;
    });
    scope.defer(() => server.close());

    const routes = adminRoutes({
      store: state.store,
      services: () => state.owned.list(),
      certificates: () => certs.snapshot(),
      connections: () =>
        proxy.live.list().map(({ info }) => ({
          source: formatSocketAddr(info.connection.source),
          principal: info.connection.peer?.uri ?? "",
          destination: formatSocketAddr(info.connection.destination),
          protocol: info.protocol,
        })),
      config,
      version: config.version,
      explain: {
        self,
        owned: state.owned,
        view: state.view,
        origin,
        regex: patterns.matcher,
        random: world.random,
        hbonePort: config.peerHbonePort,
      },
      logger,
    });
    const admin = scope.use(await serveAdmin(config.ports.admin, routes));
    const stats = scope.use(await serveMetrics({ port: config.ports.stats }, metrics, { before: certificates.refresh }));
    const readiness = scope.use(await serveReadiness({ port: config.ports.readiness }, ready.pending));

    const run = async (stop: AbortSignal): Promise<void> => {
      const work = new AbortController();
      const follower = sources.follow(state.types);
      const roots = await followRoots({ roots: config.ca.roots, certs, world, log: caLog }, work.signal);
      const lists =
        config.crlPath === undefined
          ? undefined
          : await followRevocationLists(
              { path: config.crlPath, world, log: caLog, certificates: certs.snapshot, onLists: revocations.load },
              work.signal,
            );
      // Fetched until it is there: a controller that comes up later than we do is ordinary.
      const certified = new Promise<void>((resolve) => {
        const stopListening = certs.onRenew(() => {
          stopListening();
          ready.open(CERT_GATE);
          resolve();
        });
        stop.addEventListener("abort", () => resolve(), { once: true });
      });
      certs.warm(identity);
      const becoming = Promise.all([follower.firstSync(stop).then(() => ready.open(STATE_GATE)), certified]).then(
        () => {
          if (!stop.aborted) log.info("ready", { services: [...state.owned.list()].length });
        },
        (e: unknown) => {
          if (!stop.aborted) throw e;
        },
      );
      const tasks = [follower.run(work.signal), housekeeping(work.signal, { world, proxy, flush: telemetry.flush })];
      await Promise.race([aborted(stop), Promise.all([becoming, ...tasks])]);
      log.info("shutting down", { drainMs: config.drainMs });
      ready.close(STATE_GATE);
      const deadline = new AbortController();
      const timer = world.sleep(config.drainMs, deadline.signal).then(
        () => deadline.abort(),
        () => undefined, // everything was through before
      );
      await Promise.all([server.drain(config.drainMs), proxy.drain(deadline.signal), pool.drain(config.drainMs)]);
      deadline.abort();
      await timer;
      telemetry.flush();
      work.abort(new Error("the waypoint is shutting down"));
      await Promise.allSettled([becoming, ...tasks, roots.done, lists?.done]);
      log.info("stopped");
    };
    return {
      ports: { hbone: server.address.port, admin: admin.port, stats: stats.port, readiness: readiness.port },
      run,
      [Symbol.asyncDispose]: () => scope.disposeAsync(),
    };
  } catch (e) {
    await scope.disposeAsync();
    throw e;
  }
};
