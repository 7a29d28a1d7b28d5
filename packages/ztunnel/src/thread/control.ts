// What does the control thread do for its data threads, and what do they do for it?

import type { CertStore } from "@ambit/shared/ca/types.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { Logger } from "@ambit/shared/telemetry/log.ts";
import type { Metrics } from "@ambit/shared/telemetry/metrics.ts";
import type { Demand } from "@ambit/shared/xds/demand.ts";
import type { ProfileQuestion } from "../admin/profile.ts";
import { dnsListeners } from "../dns/listen.ts";
import { createIdentities } from "../identities.ts";
import { SOCKS_LISTENER, TRAFFIC_LISTENERS } from "../inpod/listeners.ts";
import type { StateFeed } from "../state/feed.ts";
import { createCertFeed } from "./cert-feed.ts";
import { createGather } from "./gather.ts";
import type { ExplainAnswer, ExplainQuestion, FromThread, PodConnections, ThreadConfig } from "./messages.ts";
import { createPodThreads, type PodThreads } from "./pods.ts";
import { createDataThreads, type DataThreads, type ThreadHandle } from "./run.ts";
import type { Spawn } from "./spawn.ts";

export type DataPlane = AsyncDisposable &
  Pick<DataThreads, "started" | "silent" | "failed" | "count"> & {
    readonly pods: Pick<PodThreads, "start">;
    /** Resolves when every thread has applied all state that was told before, and sent what it logged; at the latest after the time. */
    settled(withinMs?: number): Promise<void>;
    /** Each thread gives back the memory that only its start needed: before pods are served. */
    giveBack(): Promise<void>;
    /** Adds what the threads have counted to the metrics: before these are shown. */
    collect(): void;
    /** Each thread's connections, by pod uid. */
    connections(): Promise<readonly Readonly<Record<string, PodConnections>>[]>;
    explain(question: ExplainQuestion): Promise<ExplainAnswer>;
    /** A profile of the numbered thread; undefined when there is none of that number. */
    profile(thread: number, question: ProfileQuestion): Promise<string | undefined>;
    /** The file of revocation lists that is in force from now on, also in threads that start later. */
    revoke(file: Uint8Array): void;
    /** The logger's levels have changed. */
    levelsChanged(): void;
  };

export type DataPlaneOptions = {
  readonly count: number;
  readonly config: ThreadConfig;
  readonly world: World;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly certs: CertStore;
  readonly feed: Pick<StateFeed, "subscribe">;
  /** A mesh that is fetched on demand: who can be asked for more of it. */
  readonly demand: Pick<Demand, "want"> | undefined;
  readonly spawn: Spawn;
};

/** Of the threads themselves; Istio has no such families. */
const threadMeters = (metrics: Pick<Metrics, "counter" | "gauge">) => ({
  load: metrics.gauge({
    name: "ambit_data_thread_load",
    help: "What a data thread has to do: captured connections, and tunnel connections eightfold.",
    labels: ["thread"],
  }),
  restarts: metrics.counter({ name: "ambit_data_thread_restarts_total", help: "Data threads that ended by themselves." }),
});

/** Starts the threads at once; `started` resolves when they are ready. */
export const createDataPlane = ({ count, config, world, logger, metrics, certs, feed, demand, spawn }: DataPlaneOptions): DataPlane => {
  const gather = createGather(metrics);
  let revocations: Uint8Array | undefined;
  const meters = threadMeters(metrics);
  const restarted = meters.restarts.with({});
  const following = new Map<number, () => void>();
  const byIndex = (index: number): ThreadHandle | undefined => threads.list().find((t) => t.index === index);
  const certFeed = createCertFeed(certs, (index, message) => byIndex(index)?.tell(message));

  const lookUp = (index: number, { id, names }: Extract<FromThread, { kind: "look-up" }>): void => {
    const answer = (error: string | undefined): void => byIndex(index)?.tell({ kind: "looked-up", id, error });
    const wanted = demand?.want(names) ?? Promise.reject(new Error("the mesh is not fetched on demand"));
    wanted.then(
      () => answer(undefined),
      (e: unknown) => answer(e instanceof Error ? e.message : String(e)),
    );
  };

  const onMessage = (index: number, message: Exclude<FromThread, { kind: "answer" | "failure" | "up" }>): void => {
    switch (message.kind) {
      case "lines":
        logger.lines(message.lines);
        break;
      case "want":
      case "forget":
        certFeed.on(index, message);
        break;
      case "look-up":
        lookUp(index, message);
        break;
      case "family":
      case "slab":
      case "child":
        gather.on(index, message);
        break;
    }
  };

  const threads = createDataThreads({
    count,
    config,
    levels: logger.levels,
    spawn,
    world,
    log: logger.scope("ztunnel"),
    onMessage,
    // Before anything is served: what is revoked. Then state, in order: a pod is served with all that was known when it was announced.
    prepare: async (thread) => {
      if (revocations !== undefined) thread.tell({ kind: "revocations", file: revocations });
      following.set(
        thread.index,
        feed.subscribe((message) => thread.tell({ kind: "state", message })),
      );
      await pods.prepare(thread);
    },
    onGone: (index) => {
      following.get(index)?.();
      following.delete(index);
      certFeed.gone(index);
      gather.gone(index);
    },
  });
  const pods = createPodThreads({
    threads,
    config,
    identities: createIdentities(certs),
    specs: [...TRAFFIC_LISTENERS, ...dnsListeners(config.dns), ...(config.socks ? [SOCKS_LISTENER] : [])],
  });

  return {
    count,
    pods,
    started: threads.started,
    silent: threads.silent,
    failed: threads.failed,
    settled: async (withinMs) => void (await threads.ask("flush", () => undefined, withinMs)),
    giveBack: async () => void (await threads.ask("giveBack", () => undefined)),
    collect: () => {
      gather.collect();
      for (const [thread, load] of threads.loads().entries()) meters.load.with({ thread: `${thread}` }).set(load ?? 0);
      restarted.add(threads.restarts - restarted.value);
    },
    connections: () => threads.ask("connections", () => undefined),
    explain: async (question) => {
      const [thread] = threads.list();
      if (thread === undefined) return { status: 503, error: "no data thread is running" };
      return thread.call("explain", question);
    },
    profile: async (thread, question) => byIndex(thread)?.call("profile", question),
    revoke: (file) => {
      revocations = file;
      threads.tell({ kind: "revocations", file });
    },
    levelsChanged: () => threads.tell({ kind: "levels", levels: logger.levels() }),
    [Symbol.asyncDispose]: async () => {
      await threads[Symbol.asyncDispose]();
      for (const end of following.values()) end();
      certFeed.close();
    },
  };
};
