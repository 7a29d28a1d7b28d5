// How is a ztunnel put together, run and ended? (the only file that wires everything)

import { availableParallelism } from "node:os";
import { dirname } from "node:path";
import { serveReadiness } from "@ambit/shared/admin/readiness.ts";
import { type AdminRoutes, serveAdmin } from "@ambit/shared/admin/server.ts";
import { createCertStore } from "@ambit/shared/ca/store.ts";
import { meterCertificates } from "@ambit/shared/proxy/certificate-metrics.ts";
import type { Sources } from "@ambit/shared/proxy/sources.ts";
import { createReadiness } from "@ambit/shared/runtime/ready.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import { eventLog } from "@ambit/shared/telemetry/event-log.ts";
import type { Logger } from "@ambit/shared/telemetry/log.ts";
import { createMetrics } from "@ambit/shared/telemetry/metrics.ts";
import { serveMetrics } from "@ambit/shared/telemetry/server.ts";
import { adminRoutes } from "./admin/routes.ts";
import type { ZtunnelConfig } from "./config.ts";
import { onDemand } from "./demand/apply.ts";
import { readResolver } from "./dns/run.ts";
import { createPodSet, type PodSet } from "./inpod/run.ts";
import { live } from "./life.ts";
import { createSelf } from "./self.ts";
import { ztunnelSources } from "./sources.ts";
import { createStateFeed } from "./state/feed.ts";
import { verifySystem } from "./system.ts";
import { createHandover } from "./takeover/run.ts";
import { createDataPlane } from "./thread/control.ts";
import { threadCount } from "./thread/count.ts";
import type { ThreadConfig } from "./thread/messages.ts";
import { type Spawn, spawnThread } from "./thread/spawn.ts";

const STATE_GATE = "state manager";
const PODS_GATE = "workload proxy manager";
/** Open once it is known whom to ask for names that are not ours; each pod's own sockets belong to the gate of the pods. */
const DNS_GATE = "dns proxy";
/** Pending while a data thread is not there or does not answer: then connections wait. */
const PROXY_TASK = "proxy";
/** Below the second that a kubelet's probe waits. */
const BEAT_MS = 800;

export type ZtunnelApp = AsyncDisposable & {
  readonly ports: { readonly admin: number; readonly stats: number; readonly readiness: number };
  /** Resolves when the data threads decide by everything that the controller has sent until now. */
  settled(): Promise<void>;
  /** Serves until the signal aborts or /quitquitquit is called, then drains. */
  run(stop: AbortSignal): Promise<void>;
};

export type BuildOptions = {
  readonly config: ZtunnelConfig;
  readonly world: World;
  readonly logger: Logger;
  /** The controller unless a test gives its own. */
  readonly sources?: Sources;
  /** Workers of ztunnel's own unless a test harms them. */
  readonly spawn?: Spawn;
};

/** What the configuration shows of itself: tokens and extra headers may be secrets. */
const shown = (config: ZtunnelConfig): Readonly<Record<string, unknown>> => ({
  ...config,
  token: config.token.kind,
  xds: { ...config.xds, headers: Object.keys(config.xds.headers) },
  ca: { ...config.ca, headers: Object.keys(config.ca.headers) },
});

/** The data threads are not told how the controller is reached, nor with which secrets. */
const threadConfig = ({ xds: _xds, ca: _ca, token: _token, ...config }: ZtunnelConfig): ThreadConfig => config;

/** The parts and how they reach each other. Nothing is served or asked for yet; the scope ends what is made. */
const assemble = ({ config, world, logger, sources: given, spawn = spawnThread }: BuildOptions, scope: AsyncDisposableStack) => {
  const log = logger.scope("ztunnel");
  const metrics = createMetrics({ processMetrics: true });
  metrics
    .gauge({ name: "istio_build", help: "The build.", labels: ["component", "tag"] })
    .with({ component: "ztunnel", tag: config.version })
    .set(1);
  const ready = createReadiness([STATE_GATE, PODS_GATE, DNS_GATE]);
  const resolver = readResolver(config.dns);
  ready.open(DNS_GATE);
  for (const line of resolver.ignored) log.warn("resolv.conf has a line that names no server", { path: config.dns.resolvConf, line });

  const sources = given ?? ztunnelSources(config, { metrics, world, log: logger.scope("xds") });
  scope.defer(() => sources.close());
  const certs = createCertStore({ fetch: sources.fetchCertificate, world, log: eventLog(logger.scope("ca"), "info"), tls: config.tls });
  scope.defer(() => certs.close());
  const certificates = meterCertificates(metrics, certs, world);
  const feed = createStateFeed();
  const asked = config.onDemand ? onDemand(feed.types, world) : undefined;
  const count = threadCount({ cores: availableParallelism(), limit: config.threads.cpuLimit, ...config.threads });
  const plane = scope.use(
    createDataPlane({ count, config: threadConfig(config), world, logger, metrics, certs, feed, demand: asked?.demand, spawn }),
  );

  const pods: PodSet = createPodSet({
    metrics,
    world,
    log: logger.scope("inpod"),
    onReady: (up) => (up ? ready.open(PODS_GATE) : ready.close(PODS_GATE)),
    start: (pod) => handover.start(pod, plane.pods.start),
  });
  const handover = createHandover({ dir: dirname(config.zdsPath), world, log: logger.scope("takeover"), find: pods.find });
  scope.defer(() => handover.close());
  return { log, metrics, ready, sources, certs, certificates, feed, asked, plane, pods, handover };
};

type Parts = ReturnType<typeof assemble>;

/** What the operator is told (15000). */
const operatorRoutes = ({ config, world, logger }: BuildOptions, { feed, certs, pods, plane }: Parts, quit: () => void): AdminRoutes =>
  adminRoutes({
    dump: async () => ({
      store: feed.snapshot(),
      certificates: certs.snapshot(),
      pods: pods.list(),
      connections: await plane.connections(),
      config: shown(config),
      version: config.version,
    }),
    explain: plane.explain,
    profile: async (thread, question) => {
      if (thread !== "control") return plane.profile(thread, question);
      const { takeProfile } = await import("./admin/profile.ts"); // only for those who ask
      return takeProfile(question, world);
    },
    logger,
    onLevels: plane.levelsChanged,
    quit,
  });

/** The ports of ztunnel itself: operator, metrics, readiness. */
const servePorts = async (
  { ports }: ZtunnelConfig,
  { metrics, certificates, plane, ready }: Parts,
  routes: AdminRoutes,
  scope: AsyncDisposableStack,
): Promise<ZtunnelApp["ports"]> => {
  const admin = scope.use(await serveAdmin(ports.admin, routes));
  const beforeScrape = (): void => {
    certificates.refresh();
    plane.collect();
  };
  const stats = scope.use(await serveMetrics({ port: ports.stats }, metrics, { before: beforeScrape }));
  const pending = async (): Promise<readonly string[]> => {
    const silent = await plane.silent(BEAT_MS);
    return silent.length === 0 ? ready.pending() : [...ready.pending(), PROXY_TASK];
  };
  const readiness = scope.use(await serveReadiness({ port: ports.readiness }, pending));
  return { admin: admin.port, stats: stats.port, readiness: readiness.port };
};

/** Binds the ports; nothing is served to pods before `run`. Throws a sentence when a port is taken. */
export const build = async (options: BuildOptions): Promise<ZtunnelApp> => {
  const { config } = options;
  const scope = new AsyncDisposableStack();
  try {
    verifySystem(config.sockets.mark);
    const parts = assemble(options, scope);
    const { plane, ready, feed, log } = parts;
    const quit = new AbortController();
    const routes = operatorRoutes(options, parts, () => quit.abort(new Error("stopped by /quitquitquit")));
    const ports = await servePorts(config, parts, routes, scope);
    const self = createSelf({ who: config.self, onlyPort: ports.stats, start: plane.pods.start, log });
    const onState = (there: boolean): void => (there ? ready.open(STATE_GATE) : ready.close(STATE_GATE));
    return {
      ports,
      settled: () => plane.settled(),
      run: (stop) => live({ ...options, ...parts, types: feed.types, self, onState }, AbortSignal.any([stop, quit.signal])),
      [Symbol.asyncDispose]: () => scope.disposeAsync(),
    };
  } catch (e) {
    await scope.disposeAsync();
    throw e;
  }
};
