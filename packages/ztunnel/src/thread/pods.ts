// How is one pod served by all data threads? (the control thread's side: sockets, announcement, end)

import { spiffeId } from "@ambit/shared/identity/spiffe.ts";
import type { Netns } from "@ambit/shared/linux/netns.ts";
import type { ZdsWorkload } from "@ambit/shared/wire/types.ts";
import type { Identities } from "../identities.ts";
import { type ListenerSpec, type Listening, openListeners, type PodListeners } from "../inpod/listeners.ts";
import type { PodHandle } from "../inpod/run.ts";
import type { PodDescription, ThreadConfig } from "./messages.ts";
import type { DataThreads, ThreadHandle } from "./run.ts";

/** A thread that is so late is stuck: nobody waits for it any longer. */
const STUCK_MS = 1_000;

export type PodThreadsOptions = {
  readonly threads: Pick<DataThreads, "ask" | "tell" | "count">;
  readonly config: Pick<ThreadConfig, "sockets" | "trustDomain">;
  readonly identities: Identities;
  readonly specs: readonly ListenerSpec[];
};

export type PodThreads = {
  /** Serves the pod in every thread that lives. Rejects when one cannot; then none does. */
  start(pod: { uid: string; who: ZdsWorkload; netns: Netns; onlyPort?: number }, inherited: readonly Listening[]): Promise<PodHandle>;
  /** Tells a thread that has just been started of every pod that is served. */
  prepare(thread: ThreadHandle): Promise<void>;
};

type Entry = {
  readonly describe: (thread: number) => PodDescription;
  readonly listeners: PodListeners;
  /** Threads that may not have taken their dups of the listeners yet. */
  readonly telling: Set<Promise<unknown>>;
  terminating: boolean;
};

export const createPodThreads = ({ threads, config, identities, specs }: PodThreadsOptions): PodThreads => {
  const entries = new Map<number, Entry>();
  let keys = 0;

  const told = <T>(entry: Entry, work: Promise<T>): Promise<T> => {
    const done = work.finally(() => entry.telling.delete(done));
    entry.telling.add(done);
    done.catch(() => undefined); // whoever asked sees the failure; this is only about its end
    return done;
  };
  /** Our own numbers of the listeners: not before every thread that was told of them has its own. */
  const closeListeners = async (entry: Entry): Promise<void> => {
    await Promise.allSettled([...entry.telling]);
    entry.listeners.close();
  };

  const handleOf = (key: number, entry: Entry, hold: Disposable): PodHandle => {
    let closed: Promise<void> | undefined;
    const closeNow = async (): Promise<void> => {
      entries.delete(key);
      const unlistened = closeListeners(entry);
      try {
        await threads.ask("stop", () => ({ key }));
      } finally {
        await unlistened;
        hold[Symbol.dispose]();
      }
    };
    return {
      drain: async (deadlineMs) => {
        // No thread that starts from here on serves it again.
        entries.delete(key);
        const unlistened = closeListeners(entry);
        await threads.ask("drain", () => ({ key, deadlineMs }), deadlineMs + STUCK_MS);
        await unlistened;
      },
      close: () => {
        closed ??= closeNow();
        return closed;
      },
      terminate: () => {
        entry.terminating = true;
        threads.tell({ kind: "terminate", key });
      },
      listening: () => entry.listeners.list(),
    };
  };

  return {
    start: async ({ uid, who, netns, onlyPort }, inherited) => {
      const identity = spiffeId(config.trustDomain, who.namespace, who.serviceAccount);
      const listeners = openListeners(netns, {
        specs: onlyPort === undefined ? specs : specs.filter((s) => s.name === "hbone"),
        sockets: config.sockets,
        threads: threads.count,
        inherited,
      });
      const key = keys++;
      const describe = (thread: number): PodDescription => ({
        key,
        uid,
        who,
        identity,
        netns: netns.fd,
        listeners: listeners.of(thread),
        onlyPort,
      });
      const entry: Entry = { describe, listeners, telling: new Set(), terminating: false };
      entries.set(key, entry);
      const handle = handleOf(key, entry, identities.hold(identity));
      try {
        await told(entry, threads.ask("serve", describe));
      } catch (e) {
        await handle.close();
        throw e;
      }
      threads.tell({ kind: "balance", key });
      return handle;
    },
    prepare: async (thread) => {
      await Promise.all(
        [...entries].map(async ([key, entry]) => {
          await told(entry, thread.call("serve", entry.describe(thread.index)));
          if (!entries.has(key)) return;
          if (entry.terminating) thread.tell({ kind: "terminate", key });
          thread.tell({ kind: "balance", key });
        }),
      );
    },
  };
};
