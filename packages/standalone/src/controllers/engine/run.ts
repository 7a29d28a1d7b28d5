// How does one controller keep running: changes in, keys due, plans made and carried out, failures retried?

import type { KubeClient } from "@ambit/shared/kube/client.ts";
import { isConflict, isForbidden, isNotFound, KubeError } from "@ambit/shared/kube/error.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import { carryOut, type Effects } from "./apply.ts";
import type { Plan } from "./plan.ts";
import { createQueue } from "./queue.ts";

export type LoopOptions = {
  readonly name: string;
  /** Pure: sees the world as it is now. */
  readonly plan: (key: string) => Plan | Promise<Plan>;
  readonly client: KubeClient;
  readonly effects: Effects;
  readonly world: World;
  readonly log: (event: string, fields: object) => void;
};

export type Loop = { look(keys: readonly string[]): void; run(signal: AbortSignal): Promise<void> };

const PARALLEL = 4;

/** Different keys in parallel, the same key never. */
export const createLoop = ({ name, plan, client, effects, world, log }: LoopOptions): Loop => {
  const queue = createQueue(world.random);
  let wake: () => void = () => undefined;
  const busy = new Map<string, Promise<void>>();
  const again = new Set<string>();
  const reported = new Set<string>();

  const attempt = async (key: string): Promise<void> => {
    try {
      const { actions, againMs } = await plan(key);
      for (const action of actions) {
        if (action.do !== "event") log("action", { controller: name, key, action: action.do, why: action.why });
        await carryOut(action, client, { effects, now: world.now() });
      }
      queue.succeeded(key);
      reported.delete(key);
      if (againMs !== undefined) queue.add(key, world.now() + againMs);
    } catch (error) {
      queue.failed(key, world.now());
      if (isOrdinary(error) || reported.has(key)) return;
      reported.add(key);
      log("reconcile_failed", {
        controller: name,
        key,
        message: `${name} ${key}: ${error instanceof Error ? error.message : String(error)}; retrying`,
      });
    }
  };
  const start = (key: string): void => {
    const work = attempt(key).finally(() => {
      busy.delete(key);
      if (again.delete(key)) queue.add(key, world.now());
      wake();
    });
    busy.set(key, work);
  };

  return {
    look: (keys) => {
      for (const key of keys) queue.add(key, world.now());
      wake();
    },
    run: async (signal) => {
      while (!signal.aborted) {
        const now = world.now();
        const due = busy.size < PARALLEL ? queue.take(now) : [];
        for (const [i, key] of due.entries()) {
          if (busy.has(key)) again.add(key);
          else if (busy.size < PARALLEL) start(key);
          else for (const rest of due.slice(i)) queue.add(rest, now);
        }
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = resolve;
        const next = busy.size < PARALLEL ? queue.nextAt() : undefined;
        await sleepUntil(world, { promise, signal, ms: next === undefined ? undefined : next - world.now() });
      }
      await Promise.all(busy.values());
    },
  };
};

/** Conflicts and objects that went away meanwhile are how optimistic concurrency works, and a terminating namespace refuses new objects. */
const isOrdinary = (error: unknown): boolean =>
  isConflict(error) || isNotFound(error) || (isForbidden(error) && error instanceof KubeError && /being terminated/.test(error.message));

const sleepUntil = async (world: World, wait: { promise: Promise<void>; signal: AbortSignal; ms: number | undefined }): Promise<void> => {
  const done = new AbortController();
  const either = AbortSignal.any([wait.signal, done.signal]);
  const woken = wait.promise.then(() => done.abort(new Error("woken")));
  try {
    // Without an appointment: a day, cut short by wake or stop.
    await world.sleep(Math.min(86_400_000, Math.max(0, wait.ms ?? 86_400_000)), either);
  } catch (error) {
    if (!either.aborted) throw error;
  }
  void woken;
};
