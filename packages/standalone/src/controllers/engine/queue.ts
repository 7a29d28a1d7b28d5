// Which keys are due for a look, and when? (one entry per key; a failing key waits longer each time)

import { backoffMs } from "@ambit/shared/runtime/backoff.ts";

export type Queue = {
  /** At the latest at that time; an earlier appointment stays. */
  add(key: string, dueAt: number): void;
  /** The keys due by now, taken out. */
  take(now: number): string[];
  /** When the next key is due. */
  nextAt(): number | undefined;
  failed(key: string, now: number): void;
  succeeded(key: string): void;
};

export const createQueue = (random: () => number): Queue => {
  const due = new Map<string, number>();
  const failures = new Map<string, number>();
  const add = (key: string, at: number): void => {
    due.set(key, Math.min(at, due.get(key) ?? Number.POSITIVE_INFINITY));
  };
  return {
    add,
    take: (now) => {
      const keys = [...due].filter(([, at]) => at <= now).map(([key]) => key);
      for (const key of keys) due.delete(key);
      return keys;
    },
    nextAt: () => (due.size === 0 ? undefined : Math.min(...due.values())),
    failed: (key, now) => {
      const n = failures.get(key) ?? 0;
      failures.set(key, n + 1);
      add(key, now + backoffMs(n, random, { baseMs: 20, maxMs: 10_000 }));
    },
    succeeded: (key) => {
      failures.delete(key);
    },
  };
};
