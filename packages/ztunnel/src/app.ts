// How is a ztunnel put together, run and ended? (the only file that wires everything)

import { serveReadiness } from "@ambit/shared/admin/readiness.ts";
import { serveAdmin } from "@ambit/shared/admin/server.ts";
import { createCertStore } from "@ambit/shared/ca/store.ts";
import { spiffeId } from "@ambit/shared/identity/spiffe.ts";
import { inNetns, ownNetns } from "@ambit/shared/linux/netns.ts";
import { closeFd, socketIn } from "@ambit/shared/linux/socket.ts";
import type { Sources } from "@ambit/shared/proxy/sources.ts";
import { createReadiness } from "@ambit/shared/runtime/ready.ts";
import { aborted } from "@ambit/shared/runtime/run.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { StateUpdate } from "@ambit/shared/state/store.ts";
import { eventLog } from "@ambit/shared/telemetry/event-log.ts";
import type { Logger } from "@ambit/shared/telemetry/log.ts";
import { createMetrics } from "@ambit/shared/telemetry/metrics.ts";
import { serveMetrics } from "@ambit/shared/telemetry/server.ts";
import { adminRoutes } from "./admin/routes.ts";
import type { ZtunnelConfig } from "./config.ts";
import { createIdentities } from "./identities.ts";
import { runZdsClient } from "./inpod/client.ts";
import { startPodProxy } from "./inpod/proxy.ts";
import { createPodSet, type PodSet, type ServedPod } from "./inpod/run.ts";
import { createConnectionReports } from "./metrics.ts";
import { recheck } from "./policy/watch.ts";
import { ztunnelSources } from "./sources.ts";
import { createMeshState } from "./state/apply.ts";

const STATE_GATE = "state manager";
const PODS_GATE = "workload proxy manager";

export type ZtunnelApp = AsyncDisposable & {
  readonly ports: { readonly admin: number; readonly stats: number; readonly readiness: number };
  /** Serves until the signal aborts or /quitquitquit is called, then drains. */
  run(stop: AbortSignal): Promise<void>;
};

export type BuildOptions = {
  readonly config: ZtunnelConfig;
  readonly world: World;
  readonly logger: Logger;
  /** The controller unless a test gives its own. */
  readonly sources?: Sources;
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

/** Policies changed, or what they apply to: then every live connection is asked again. */
const concernsPolicy = (updates: readonly StateUpdate[], pods: readonly ServedPod[]): boolean => {
  const local = new Set(pods.map((p) => `${p.who.namespace}/${p.who.name}`));
  return updates.some((u) => {
    if (u.kind === "workload") return local.has(`${u.workload.namespace}/${u.workload.name}`);
    return u.kind === "policy" || u.kind === "remove-policy" || u.kind === "refuse-policy";
  });
};

/** Binds the ports; nothing is served to pods before `run`. Throws a sentence when a port is taken. */
export const build = async ({ config, world, logger, sources: given }: BuildOptions): Promise<ZtunnelApp> => {
  const scope = new AsyncDisposableStack();
  try {
    verifySystem(config.sockets.mark);
    const log = logger.scope("ztunnel");
    const metrics = createMetrics({ processMetrics: true });
    metrics
      .gauge({ name: "istio_build", help: "The build.", labels: ["component", "tag"] })
      .with({ component: "ztunnel", tag: config.version })
      .set(1);
    const ready = createReadiness([STATE_GATE, PODS_GATE]);
    const quit = new AbortController();

    const sources = given ?? ztunnelSources(config, { metrics, world, log: logger.scope("xds") });
    scope.defer(() => sources.close());
    const certs = createCertStore({ fetch: sources.fetchCertificate, world, log: eventLog(logger.scope("ca"), "info") });
    scope.defer(() => certs.close());
    const identities = createIdentities(certs);
    const state = createMeshState();
    const reports = createConnectionReports(metrics, logger.scope("access"), world.now);

    const pods: PodSet = createPodSet({
      metrics,
      world,
      log: logger.scope("inpod"),
      onReady: (up) => (up ? ready.open(PODS_GATE) : ready.close(PODS_GATE)),
      start: async ({ uid, who, netns }) => {
        const identity = spiffeId(config.trustDomain, who.namespace, who.serviceAccount);
        const hold = identities.hold(identity);
        try {
          const proxy = await startPodProxy(
            { uid, who, netns, identity },
            { sockets: config.sockets, pool: config.pool, responseBaggage: config.responseBaggage },
            { state, certs, reports, world, log: logger.scope("proxy"), rbac: logger.scope("rbac") },
          );
          const close = (): void => {
            proxy.close();
            hold[Symbol.dispose]();
          };
          return { ...proxy, close };
        } catch (e) {
          hold[Symbol.dispose]();
          throw e;
        }
      },
    });
    state.onCommit((updates) => {
      const served = pods.list();
      if (!concernsPolicy(updates, served)) return;
      for (const p of served) if (p.proxy !== undefined) recheck(state.view, p.proxy.pod.inbound);
    });

    const routes = adminRoutes({
      dump: () => ({
        store: state.store,
        certificates: certs.snapshot(),
        pods: pods.list(),
        config: shown(config),
        version: config.version,
      }),
      explain: { view: state.view, pods: pods.list, random: world.random },
      logger,
      quit: () => quit.abort(new Error("stopped by /quitquitquit")),
    });
    const admin = scope.use(await serveAdmin(config.ports.admin, routes));
    const stats = scope.use(await serveMetrics({ port: config.ports.stats }, metrics));
    const readiness = scope.use(await serveReadiness({ port: config.ports.readiness }, ready.pending));

    const run = async (stop: AbortSignal): Promise<void> => {
      const over = AbortSignal.any([stop, quit.signal]);
      const follower = sources.follow(state.types);
      const work = new AbortController();
      const tasks = [follower.run(work.signal)];
      // Policies and workloads first: a pod is served only once they are known.
      const serving = follower.firstSync(over).then(async () => {
        ready.open(STATE_GATE);
        log.info("the first state has arrived");
        await Promise.all([
          runZdsClient({ path: config.zdsPath, world, log: logger.scope("inpod"), handler: pods }, over),
          pods.retryPending(over),
        ]);
      });
      const ended = serving.catch((e: unknown) => {
        if (!over.aborted) throw e;
      });
      try {
        await Promise.race([aborted(over), ended, ...tasks]);
      } finally {
        log.info("shutting down", { drainMs: config.drainMs });
        ready.close(STATE_GATE);
        await pods.drain(config.drainMs);
        work.abort(new Error("ztunnel is shutting down"));
        await Promise.allSettled([...tasks, ended]);
        log.info("stopped");
      }
    };
    return {
      ports: { admin: admin.port, stats: stats.port, readiness: readiness.port },
      run,
      [Symbol.asyncDispose]: () => scope.disposeAsync(),
    };
  } catch (e) {
    await scope.disposeAsync();
    throw e;
  }
};
