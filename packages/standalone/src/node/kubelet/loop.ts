// How does work that may be asked for at any time run once at a time, and again if asked for meanwhile?

import { backoffMs } from "@ambit/shared/runtime/backoff.ts";
import type { World } from "@ambit/shared/runtime/world.ts";

export type WorkLoop = {
  /** Asks for (another) run. */
  kick(): void;
  /** Asks for a run at the given time at the latest; the earliest time asked for counts. */
  kickAt(at: number): void;
  /** No run begins any more; resolves when the last has ended. */
  stop(): Promise<void>;
};

const BACKOFF = { baseMs: 500, maxMs: 15_000 };

/** A run that fails is told to `failed` and run again after a back-off. */
export const createWorkLoop = (world: World, run: () => Promise<void>, failed: (e: unknown) => void): WorkLoop => {
  let asked = false;
  let running: Promise<void> | undefined;
  let stopped = false;
  let failures = 0;
  let timer: { readonly at: number; readonly handle: NodeJS.Timeout } | undefined;

  const turn = async (): Promise<void> => {
    while (asked && !stopped) {
      asked = false;
      try {
        await run();
        failures = 0;
      } catch (e) {
        failed(e);
        kickAt(world.now() + backoffMs(failures++, world.random, BACKOFF));
      }
    }
    running = undefined;
  };
  const kick = (): void => {
    asked = true;
    if (running === undefined && !stopped) running = Promise.resolve().then(turn);
  };
  const kickAt = (at: number): void => {
    if (stopped || (timer !== undefined && timer.at <= at)) return;
    if (timer !== undefined) clearTimeout(timer.handle);
    const handle = setTimeout(
      () => {
        timer = undefined;
        kick();
      },
      Math.min(2 ** 31 - 1, Math.max(0, at - world.now())),
    );
    timer = { at, handle };
  };
  return {
    kick,
    kickAt,
    stop: async () => {
      stopped = true;
      if (timer !== undefined) clearTimeout(timer.handle);
      await running;
    },
  };
};
