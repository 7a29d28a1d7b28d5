// What are the real clock, randomness and sleep, and which signals stop a process?

import { setTimeout as delay } from "node:timers/promises";
import type { World } from "./world.ts";

export const realWorld = (): World => ({
  now: () => Date.now(),
  random: () => Math.random(),
  sleep: (ms, signal) => delay(ms, undefined, signal === undefined ? {} : { signal }),
});

/**
 * Aborts at the first SIGTERM or SIGINT; the reason is an Error named after the signal. Further ones change nothing: a second
 * Ctrl-C must not cut the taking down that the first has begun.
 */
export const stopSignal = (): AbortSignal => {
  const controller = new AbortController();
  for (const name of ["SIGTERM", "SIGINT"] as const) process.on(name, () => controller.abort(new Error(`stopped by ${name}`)));
  return controller.signal;
};

/** Resolves when the signal aborts (at once if it has). */
export const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
