// What are all objects of one kind right now, and what changes? (list, then watch, for as long as we live)

import { backoffMs } from "../runtime/backoff.ts";
import type { World } from "../runtime/world.ts";
import type { KubeClient, ListOptions } from "./client.ts";
import { isGone } from "./error.ts";
import { type KubeObject, keyOf } from "./objects/meta.ts";
import { type ReflectorEvent as Change, relist, watched } from "./relist.ts";
import { apiVersionOf, pathOf, type Resource, resourceName } from "./resources.ts";
import { type WatchEvent, watchOnce } from "./watch.ts";

export type ReflectorEvent<T> = Change<T>;

export type ReflectorOptions = {
  readonly client: Pick<KubeClient, "list" | "raw">;
  readonly resource: Resource;
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly world: World;
  readonly log: (event: string, fields: object) => void;
  /** How long the server should keep one watch open (jittered up to double). */
  readonly watchSeconds?: number;
  /** How much longer than that a watch may last before we cut it. */
  readonly slackSeconds?: number;
};

export type Reflector<T> = {
  /** Lists and watches until the signal aborts; resolves then. Failures are retried for ever; the state held meanwhile stays. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves once the first list is in; rejects with the signal's reason if it aborts first. */
  synced(signal?: AbortSignal): Promise<void>;
  hasSynced(): boolean;
  /** By "namespace/name", or "name" where there is no namespace. */
  get(key: string): T | undefined;
  list(): readonly T[];
  /** Replays the current state first (if any), then calls with each batch of changes. Returns the unsubscribe. */
  subscribe(listener: (events: readonly ReflectorEvent<T>[]) => void): () => void;
};

const BACKOFF = { baseMs: 200, maxMs: 30_000 };

export const createReflector = <T extends KubeObject>(opts: ReflectorOptions): Reflector<T> => {
  const held = new Map<string, T>();
  const listeners = new Set<(events: readonly ReflectorEvent<T>[]) => void>();
  const firstList = Promise.withResolvers<void>();
  let isSynced = false;
  let listing: readonly T[] | undefined;

  const hold = (events: readonly ReflectorEvent<T>[]): readonly ReflectorEvent<T>[] => {
    for (const e of events) {
      if (e.type === "delete") held.delete(keyOf(e.old));
      else held.set(keyOf(e.object), e.object);
    }
    return events;
  };
  const tell = (events: readonly ReflectorEvent<T>[]): void => {
    if (events.length === 0) return;
    listing = undefined;
    for (const listener of listeners) {
      try {
        listener(events);
      } catch (error) {
        queueMicrotask(() => {
          throw error; // a listener that missed changes holds a wrong world: that ends the process, not the watch
        });
      }
    }
  };

  const source = watchSource<T>(opts);
  const watchFrom = async (version: string, signal: AbortSignal, seen: (version: string) => void): Promise<void> => {
    const startedAt = opts.world.now();
    let quiet = true;
    for await (const events of source.watch(version, signal)) {
      quiet = false;
      // Each event is compared with the state after the one before it.
      tell(events.flatMap((event) => hold(watched(held, withType(opts.resource, event)))));
      for (const event of events) seen(versionOf(event) ?? version);
    }
    // A server that ends every watch at once must not make us spin.
    if (quiet && opts.world.now() - startedAt < 1_000) throw new Error("the watch ended at once, without an event");
  };

  const follow = async (signal: AbortSignal): Promise<void> => {
    let version: string | undefined;
    let failures = 0;
    let reported = false;
    const healthy = (): void => {
      if (reported) opts.log("watch_restored", { message: `${resourceName(opts.resource)}: the watch is back` });
      failures = 0;
      reported = false;
    };
    while (!signal.aborted) {
      try {
        if (version === undefined) {
          const listed = await source.list(signal);
          tell(hold(relist(held, listed.items)));
          version = listed.resourceVersion;
          isSynced = true;
          firstList.resolve();
        }
        await watchFrom(version, signal, (v) => {
          version = v;
          healthy();
        });
        healthy();
      } catch (error) {
        if (signal.aborted) return;
        // One 410 after a long pause is normal life: list again at once, say nothing.
        const ordinary = isGone(error) && failures === 0;
        if (isGone(error)) version = undefined;
        if (!ordinary && !reported) {
          reported = true;
          const why = error instanceof Error ? error.message : String(error);
          opts.log("watch_failed", { message: `${resourceName(opts.resource)}: ${why}; keeping the last known state and retrying` });
        }
        await pause(opts.world, ordinary ? 0 : backoffMs(failures, opts.world.random, BACKOFF), signal);
        failures++;
      }
    }
  };

  return {
    run: follow,
    synced: (signal) => (signal === undefined ? firstList.promise : orAborted(firstList.promise, signal)),
    hasSynced: () => isSynced,
    get: (key) => held.get(key),
    list: () => {
      listing ??= [...held.values()];
      return listing;
    },
    subscribe: (listener) => {
      if (held.size > 0) listener([...held.values()].map((object) => ({ type: "upsert", object, old: undefined })));
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
};

/** The two requests, with their deadlines. */
const watchSource = <T extends KubeObject>(opts: ReflectorOptions) => {
  const selectors: ListOptions = { namespace: opts.namespace, labelSelector: opts.labelSelector, fieldSelector: opts.fieldSelector };
  const { watchSeconds = 240, slackSeconds = 15 } = opts;
  return {
    list: (signal: AbortSignal) => opts.client.list<T>(opts.resource, selectors, signal),
    watch: async function* (resourceVersion: string, signal: AbortSignal): AsyncGenerator<readonly WatchEvent<T>[]> {
      const timeoutSeconds = Math.ceil(watchSeconds * (1 + opts.world.random()));
      const over = new AbortController();
      const either = AbortSignal.any([signal, over.signal]);
      // Half-closed connections look like quiet ones: the server promised to end by timeoutSeconds, so later than that it is gone.
      const watchdog = pause(opts.world, (timeoutSeconds + slackSeconds) * 1_000, either).then(() => over.abort(new WatchOverdue()));
      try {
        yield* watchOnce<T>(
          opts.client.raw.connection,
          {
            path: pathOf(opts.resource, { namespace: opts.namespace }),
            query: {
              resourceVersion,
              timeoutSeconds,
              allowWatchBookmarks: true,
              labelSelector: opts.labelSelector,
              fieldSelector: opts.fieldSelector,
            },
          },
          either,
        );
      } catch (error) {
        if (!(over.signal.reason instanceof WatchOverdue) || signal.aborted) throw error;
        // Cut by us: simply resumed from the last version.
      } finally {
        over.abort();
        await watchdog;
      }
    },
  };
};

class WatchOverdue extends Error {}

const versionOf = <T extends KubeObject>(event: WatchEvent<T>): string | undefined =>
  event.type === "BOOKMARK" ? event.resourceVersion : event.object.metadata.resourceVersion;

const withType = <T extends KubeObject>(r: Resource, event: WatchEvent<T>): WatchEvent<T> =>
  event.type === "BOOKMARK" || event.object.kind !== undefined
    ? event
    : { type: event.type, object: { ...event.object, apiVersion: apiVersionOf(r), kind: r.kind } };

/** Sleeps; returns early, without throwing, when the signal aborts. */
const pause = async (world: World, ms: number, signal: AbortSignal): Promise<void> => {
  try {
    await world.sleep(ms, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
};

/** The promise, or a rejection with the signal's reason, whichever comes first. */
const orAborted = (promise: Promise<void>, signal: AbortSignal): Promise<void> => {
  if (signal.aborted) return Promise.reject(signal.reason);
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  return Promise.race([promise, aborted]).finally(() => signal.removeEventListener("abort", onAbort));
};
