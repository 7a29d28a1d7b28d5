// How is work on keyed things done: one at a time per key, again after a failure, until it works?

import { type Backoff, backoffMs } from "@ambit/shared/runtime/backoff.ts";
import type { World } from "@ambit/shared/runtime/world.ts";

export type QueueOptions = {
  readonly world: World;
  /** Does the work for a key; it looks up by itself what is to be done now. A throw means: again later. */
  readonly work: (key: string, signal: AbortSignal) => Promise<void>;
  readonly onError: (key: string, error: unknown) => void;
  readonly workers?: number;
  readonly backoff?: Backoff;
};

export type Queue = {
  /** Keys that are waiting already are not queued twice; a key added while it is worked on is worked on once more. */
  add(key: string): void;
  /** Works until the signal aborts; resolves when the work under way has ended. */
  run(signal: AbortSignal): Promise<void>;
  readonly size: number;
};

const DEFAULT_BACKOFF: Backoff = { baseMs: 100, maxMs: 60_000 };

export const createQueue = (options: QueueOptions): Queue => {
  const { world, work, onError, workers = 2, backoff = DEFAULT_BACKOFF } = options;
  const waiting = new Set<string>();
  const active = new Set<string>();
  const failures = new Map<string, number>();
  const idle = new Set<() => void>();
  const wake = (): void => {
    for (const w of idle) w();
    idle.clear();
  };
  const add = (key: string): void => {
    waiting.add(key);
    wake();
  };
  const take = (): string | undefined => {
    for (const key of waiting)
      if (!active.has(key)) {
        waiting.delete(key);
        return key;
      }
    return undefined;
  };
  const later = async (key: string, signal: AbortSignal): Promise<void> => {
    const n = failures.get(key) ?? 0;
    failures.set(key, n + 1);
    try {
      await world.sleep(backoffMs(n, world.random, backoff), signal);
      add(key);
    } catch (cause) {
      if (!signal.aborted) throw cause;
    }
  };
  const worker = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      const key = take();
      if (key === undefined) {
        await new Promise<void>((resolve) => {
          idle.add(resolve);
          if (signal.aborted) resolve();
        });
        continue;
      }
      active.add(key);
      try {
        await work(key, signal);
        failures.delete(key);
      } catch (error) {
        if (!signal.aborted) {
          onError(key, error);
          void later(key, signal);
        }
      } finally {
        active.delete(key);
        wake(); // the key may have been added again meanwhile
      }
    }
  };
  return {
    add,
    run: async (signal) => {
      signal.addEventListener("abort", wake, { once: true });
      await Promise.all(Array.from({ length: workers }, () => worker(signal)));
    },
    get size() {
      return waiting.size + active.size;
    },
  };
};
