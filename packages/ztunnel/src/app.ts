// How is a ztunnel put together, run and ended? (the only file that wires everything)

import { availableParallelism } from "node:os";
import { dirname } from "node:path";
import { serveReadiness } from "@ambit/shared/admin/readiness.ts";
import { serveAdmin } from "@ambit/shared/admin/server.ts";
import { followRoots } from "@ambit/shared/ca/roots.ts";
import { createCertStore } from "@ambit/shared/ca/store.ts";
import { followRevocationLists } from "@ambit/shared/ca/watch.ts";
import { inNetns, ownNetns } from "@ambit/shared/linux/netns.ts";
import { closeFd, socketIn } from "@ambit/shared/linux/socket.ts";
import { meterCertificates } from "@ambit/shared/proxy/certificate-metrics.ts";
import type { Sources } from "@ambit/shared/proxy/sources.ts";
import { createReadiness } from "@ambit/shared/runtime/ready.ts";
import { aborted } from "@ambit/shared/runtime/run.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import { eventLog } from "@ambit/shared/telemetry/event-log.ts";
import type { Logger } from "@ambit/shared/telemetry/log.ts";
import { createMetrics } from "@ambit/shared/telemetry/metrics.ts";
import { serveMetrics } from "@ambit/shared/telemetry/server.ts";
import { adminRoutes } from "./admin/routes.ts";
import type { ZtunnelConfig } from "./config.ts";
import { onDemand } from "./demand/apply.ts";
import { readResolver } from "./dns/run.ts";
import { runZdsClient } from "./inpod/client.ts";
import { createPodSet, type PodSet } from "./inpod/run.ts";
import { giveBack } from "./memory.ts";
import { createSelf } from "./self.ts";
import { ztunnelSources } from "./sources.ts";
import { createStateFeed } from "./state/feed.ts";
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
/** For what the data threads have logged in the end. */
const LAST_WORDS_MS = 1_000;

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

/** Everything ztunnel needs of the kernel, tried once: entering a namespace, a marked and a transparent socket. */
const verifySystem = (mark: number): void => {
  try {
    using own = ownNetns();
    closeFd(inNetns(own.fd, () => socketIn({ family: "ipv4", mark, transparent: true })));
  } catch (e) {
    throw new Error(`ztunnel needs the capabilities NET_ADMIN and SYS_ADMIN: ${e instanceof Error ? e.message : String(e)}`, { cause: e });
  }
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

/** Binds the ports; nothing is served to pods before `run`. Throws a sentence when a port is taken. */
export const build = async ({ config, world, logger, sources: given, spawn = spawnThread }: BuildOptions): Promise<ZtunnelApp> => {
  const scope = new AsyncDisposableStack();
  try {
    verifySystem(config.sockets.mark);
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
    const quit = new AbortController();

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

    const routes = adminRoutes({
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
      quit: () => quit.abort(new Error("stopped by /quitquitquit")),
    });
    const pending = async (): Promise<readonly string[]> => {
      const silent = await plane.silent(BEAT_MS);
      return silent.length === 0 ? ready.pending() : [...ready.pending(), PROXY_TASK];
    };
    const admin = scope.use(await serveAdmin(config.ports.admin, routes));
    const beforeScrape = (): void => {
      certificates.refresh();
      plane.collect();
    };
    const stats = scope.use(await serveMetrics({ port: config.ports.stats }, metrics, { before: beforeScrape }));
    const readiness = scope.use(await serveReadiness({ port: config.ports.readiness }, pending));

    const self = createSelf({ who: config.self, onlyPort: stats.port, start: plane.pods.start, log });

    const run = async (stop: AbortSignal): Promise<void> => {
      const over = AbortSignal.any([stop, quit.signal]);
      handover.begin();
      const follower = sources.follow(asked?.types ?? feed.types);
      asked?.through(follower);
      const work = new AbortController();
      const roots = await followRoots({ roots: config.ca.roots, certs, world, log: eventLog(logger.scope("ca"), "info") }, work.signal);
      const lists =
        config.crlPath === undefined
          ? undefined
          : await followRevocationLists(
              {
                path: config.crlPath,
                world,
                log: eventLog(logger.scope("ca"), "info"),
                onLists: plane.revoke,
                certificates: certs.snapshot,
              },
              work.signal,
            );
      const tasks = [follower.run(work.signal)];
      // Policies and workloads first: a pod is served only once they are known.
      const serving = Promise.all([plane.started(), follower.firstSync(over)]).then(async () => {
        await plane.settled();
        // Reading the whole mesh has made more garbage than what is kept of it. Nothing is served yet that this could hold up.
        await giveBack(plane.giveBack);
        ready.open(STATE_GATE);
        log.info("the first state has arrived", { dataThreads: plane.count });
        await Promise.all([
          self.begin(),
          runZdsClient({ path: config.zdsPath, world, log: logger.scope("inpod"), handler: pods }, over),
          pods.retryPending(over),
        ]);
      });
      const ended = serving.catch((e: unknown) => {
        if (!over.aborted) throw e;
      });
      try {
        await Promise.race([aborted(over), ended, plane.failed, ...tasks]);
      } finally {
        log.info("shutting down", { drainMs: config.drainMs });
        ready.close(STATE_GATE);
        // What we listen on is nobody's to take over any more: from here on it is closed.
        handover.close();
        await Promise.all([pods.drain(config.drainMs), self.drain(config.drainMs)]);
        work.abort(new Error("ztunnel is shutting down"));
        await Promise.allSettled([...tasks, ended, roots.done, lists?.done, plane.settled(LAST_WORDS_MS)]);
        log.info("stopped");
      }
    };
    return {
      ports: { admin: admin.port, stats: stats.port, readiness: readiness.port },
      settled: () => plane.settled(),
      run,
      [Symbol.asyncDispose]: () => scope.disposeAsync(),
    };
  } catch (e) {
    await scope.disposeAsync();
    throw e;
  }
};
