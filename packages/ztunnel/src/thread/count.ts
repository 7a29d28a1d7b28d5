// How many data threads are run? (Istio's rule, ambient-l4 section 1.1)

import type { Parser } from "@ambit/shared/runtime/env.ts";
import { err, ok } from "@ambit/shared/runtime/result.ts";

/** ZTUNNEL_WORKER_THREADS: a number, a share of the cores, or (0) all of them. */
export type ThreadSetting =
  | { readonly kind: "count"; readonly count: number }
  | { readonly kind: "percent"; readonly percent: number }
  | { readonly kind: "all" };

export type ThreadFacts = {
  /** Logical cores of the machine. */
  readonly cores: number;
  /** Cores the container may use at most (ZTUNNEL_CPU_LIMIT, from limits.cpu; all of the machine mean no limit); undefined: not told. */
  readonly limit: number | undefined;
  /** PROXY_CONFIG's `concurrency`. */
  readonly concurrency: number | undefined;
  readonly setting: ThreadSetting | undefined;
};

const MIN_THREADS = 2;
const DEFAULT_SHARE = 0.25;
/** More would only cost memory: each thread holds the whole state. */
const MAX_THREADS = 64;

export const threadSetting: Parser<ThreadSetting> = (text) => {
  const percent = /^(\d{1,3}(?:\.\d+)?)%$/.exec(text)?.[1];
  if (percent !== undefined) {
    const n = Number(percent);
    return n > 0 && n <= 100 ? ok({ kind: "percent", percent: n }) : err("want more than 0% and at most 100%");
  }
  if (!/^\d{1,4}$/.test(text)) return err('want a number of threads, a share of the cores such as "50%", or 0 for all cores');
  const count = Number(text);
  if (count === 0) return ok({ kind: "all" });
  return count <= MAX_THREADS ? ok({ kind: "count", count }) : err(`want at most ${MAX_THREADS} threads`);
};

/** At least 1. What is set outright wins, then a CPU limit, then `concurrency` or a quarter of the cores, whichever is more. */
export const threadCount = ({ cores, limit, concurrency, setting }: ThreadFacts): number => {
  const usable = Math.max(1, Math.ceil(Math.min(cores, limit ?? cores)));
  const within = (n: number): number => Math.min(MAX_THREADS, Math.max(1, n));
  switch (setting?.kind) {
    case "count":
      return within(setting.count);
    case "percent":
      return within(Math.ceil((usable * setting.percent) / 100));
    case "all":
      return within(usable);
    case undefined: {
      const wanted = Math.max(MIN_THREADS, concurrency ?? 0, Math.ceil(cores * DEFAULT_SHARE));
      // The downward API tells all cores where there is no limit: then it says nothing.
      return within(limit !== undefined && limit < cores ? limit : wanted);
    }
  }
};
