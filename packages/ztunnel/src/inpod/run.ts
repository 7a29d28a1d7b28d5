// Which pods are served now, and how are they started, stopped and tried again?

import { adoptNetns, type Netns, type NetnsIdentity } from "@ambit/shared/linux/netns.ts";
import { closeFd } from "@ambit/shared/linux/socket.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { ScopedLogger } from "@ambit/shared/telemetry/log.ts";
import type { Metrics } from "@ambit/shared/telemetry/metrics.ts";
import type { ZdsRequest, ZdsWorkload } from "@ambit/shared/wire/types.ts";
import type { ZdsAnswer, ZdsHandler } from "./client.ts";
import type { Listening } from "./listeners.ts";
import { FIRST_SESSION, type KnownPods, type PodAction, type Session, step } from "./reconcile.ts";

const RETRY_MS = 5_000;
/** A Del is answered when the pod's connections are cut, at the latest after this: the agent waits 5 s for an answer. */
const STOP_MS = 2_000;

/** A pod that is served, wherever that is done. */
export type PodHandle = {
  /** No new connections; what is left is cut at the deadline. Resolves when nothing is left. */
  drain(deadlineMs: number): Promise<void>;
  /** Cuts everything now; resolves when nothing of the pod is used any more. */
  close(): Promise<void>;
  /** The pod is going to end: its peers are told to go elsewhere. */
  terminate(): void;
  /** Its listening sockets. */
  listening(): readonly Listening[];
};

export type PodSet = ZdsHandler & {
  /** Tries pods that failed to start again every 5 s, until the signal aborts. */
  retryPending(signal: AbortSignal): Promise<void>;
  /** All pods at once: no new connections, then what is left is cut at the deadline. */
  drain(deadlineMs: number): Promise<void>;
  list(): readonly ServedPod[];
  find(uid: string): ServedPod | undefined;
};

export type ServedPod = {
  readonly uid: string;
  readonly who: ZdsWorkload;
  readonly netns: NetnsIdentity;
  readonly proxy: PodHandle | undefined;
};

export type PodSetOptions = {
  /** Starts serving in the namespace, which stays open until the proxy is closed. */
  readonly start: (pod: { uid: string; who: ZdsWorkload; netns: Netns }) => Promise<PodHandle>;
  readonly metrics: Metrics;
  readonly world: World;
  readonly log: ScopedLogger;
  /** True: the agent's pods are all served. */
  readonly onReady: (ready: boolean) => void;
};

type Entry = {
  readonly who: ZdsWorkload;
  readonly netns: Netns;
  proxy: PodHandle | undefined;
  /** The start under way, which all who want the pod started share: two proxies of one pod would split its connections. */
  starting: Promise<string> | undefined;
};

const text = (e: unknown): string => (e instanceof Error ? e.message : String(e));

const families = (metrics: Metrics, entries: ReadonlyMap<string, Entry>) => {
  const count = (running: boolean): number => [...entries.values()].filter((e) => (e.proxy !== undefined) === running).length;
  metrics.gaugeOf({ name: "workload_manager_active_proxy_count", help: "Pods that are served." }, () => count(true));
  metrics.gaugeOf({ name: "workload_manager_pending_proxy_count", help: "Pods that wait to be served." }, () => count(false));
  return {
    started: metrics.counter({ name: "workload_manager_proxies_started_total", help: "Pods that began to be served." }).with({}),
    stopped: metrics.counter({ name: "workload_manager_proxies_stopped_total", help: "Pods that are served no more." }).with({}),
  };
};

export const createPodSet = (options: PodSetOptions): PodSet => {
  const { log, world } = options;
  const entries = new Map<string, Entry>();
  const counts = families(options.metrics, entries);
  let session: Session = FIRST_SESSION;
  let connected = false;

  const report = (): void => {
    const served = [...entries.values()].every((e) => e.proxy !== undefined);
    options.onReady(connected && session.phase === "live" && served);
  };
  const known = (): KnownPods =>
    new Map(
      [...entries].map(([uid, e]) => [uid, { netns: e.netns.identity, who: e.who, state: e.proxy === undefined ? "pending" : "running" }]),
    );

  const stop = async (uid: string, why: string): Promise<void> => {
    const entry = entries.get(uid);
    if (entry === undefined) return;
    entries.delete(uid);
    if (entry.proxy === undefined) {
      // A start under way still works in the namespace.
      if (entry.starting === undefined) entry.netns[Symbol.dispose]();
      else void entry.starting.finally(() => entry.netns[Symbol.dispose]());
      return;
    }
    const closed = entry.proxy.close().finally(() => entry.netns[Symbol.dispose]());
    counts.stopped.add();
    log.info("stopped serving a pod", { uid, name: entry.who.name, namespace: entry.who.namespace, why });
    const timer = new AbortController();
    const late = world.sleep(STOP_MS, timer.signal).catch(() => undefined); // everything was closed before
    await Promise.race([closed, late]);
    timer.abort();
  };
  const attempt = async (uid: string, entry: Entry): Promise<string> => {
    try {
      const proxy = await options.start({ uid, who: entry.who, netns: entry.netns });
      if (entries.get(uid) !== entry) {
        await proxy.close();
        return "";
      }
      entry.proxy = proxy;
      counts.started.add();
      log.info("serving a pod", { uid, name: entry.who.name, namespace: entry.who.namespace });
      return "";
    } catch (e) {
      log.error("failure to start a proxy", { uid, name: entry.who.name, namespace: entry.who.namespace, error: text(e) });
      return `failure to start proxy: ${text(e)}`;
    }
  };
  /** "" or why it could not be started; the pod stays pending then. */
  const tryStart = (uid: string, entry: Entry): Promise<string> => {
    entry.starting ??= attempt(uid, entry).finally(() => {
      entry.starting = undefined;
    });
    return entry.starting;
  };
  const start = (uid: string, who: ZdsWorkload, netns: Netns): Promise<string> => {
    const pending = entries.get(uid);
    if (pending !== undefined) {
      netns[Symbol.dispose](); // the same pod announced again: its namespace is held already
      return tryStart(uid, pending);
    }
    const entry: Entry = { who, netns, proxy: undefined, starting: undefined };
    entries.set(uid, entry);
    return tryStart(uid, entry);
  };

  const carryOut = async (action: PodAction, announced: { who: ZdsWorkload; netns: Netns } | undefined): Promise<string> => {
    if (action.kind === "stop") {
      await stop(action.uid, "the agent does not name it any more");
      return "";
    }
    if (action.kind === "terminate") {
      entries.get(action.uid)?.proxy?.terminate();
      return "";
    }
    if (announced === undefined) return `failure to start proxy: nothing came with the announcement of ${action.uid}`;
    if (action.kind === "replace") await stop(action.uid, "it has another network namespace now");
    return start(action.uid, announced.who, announced.netns);
  };

  const onRequest = async (request: ZdsRequest, fd: number | undefined): Promise<ZdsAnswer> => {
    let netns: Netns | undefined;
    try {
      netns = fd === undefined ? undefined : adoptNetns(fd);
    } catch (e) {
      if (fd !== undefined) closeFd(fd);
      return { error: `the file descriptor that came is not a network namespace: ${text(e)}`, hangUp: true };
    }
    const next = step(session, known(), { request, netns: netns?.identity });
    const takes = next.kind === "accept" && next.actions.some((a) => a.kind === "start" || a.kind === "replace");
    if (!takes) netns?.[Symbol.dispose]();
    if (next.kind === "refuse") return { error: next.error, hangUp: true };
    session = next.session;
    const announced = request.kind === "add" && netns !== undefined ? { who: request.workload, netns } : undefined;
    let error = "";
    for (const action of next.actions) error = (await carryOut(action, announced)) || error;
    report();
    return { error, hangUp: false };
  };

  const servedPod = (uid: string, e: Entry): ServedPod => ({ uid, who: e.who, netns: e.netns.identity, proxy: e.proxy });

  return {
    onRequest,
    onConnected: () => {
      connected = true;
      session = FIRST_SESSION;
      report();
    },
    onDisconnected: () => {
      connected = false;
      // What runs goes on; what never started is announced again by the next snapshot.
      for (const [uid, entry] of [...entries]) if (entry.proxy === undefined) void stop(uid, "the agent is gone");
      report();
    },
    retryPending: async (signal) => {
      while (!signal.aborted) {
        await world.sleep(RETRY_MS, signal).catch((e: unknown) => {
          if (!signal.aborted) throw e;
        });
        if (signal.aborted) return;
        for (const [uid, entry] of [...entries]) if (entry.proxy === undefined) await tryStart(uid, entry);
        report();
      }
    },
    drain: async (deadlineMs) => {
      await Promise.all([...entries.values()].map((e) => e.proxy?.drain(deadlineMs)));
      await Promise.all([...entries.keys()].map((uid) => stop(uid, "shutting down")));
    },
    list: () => [...entries].map(([uid, e]) => servedPod(uid, e)),
    find: (uid) => {
      const entry = entries.get(uid);
      return entry === undefined ? undefined : servedPod(uid, entry);
    },
  };
};
