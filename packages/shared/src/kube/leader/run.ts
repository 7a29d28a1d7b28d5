// How does one of several replicas become the leader, and stop when it no longer is?

import type { World } from "../../runtime/world.ts";
import type { KubeClient } from "../client.ts";
import { isAlreadyExists, isConflict } from "../error.ts";
import { LEASE_TIMES, type LeaseTimes, mustStep, nextStep, type Observed, observe, released } from "../lease.ts";
import type { Lease } from "../objects/discovery.ts";
import { RESOURCES } from "../resources.ts";

export type LeaderOptions = {
  readonly client: Pick<KubeClient, "get" | "create" | "update">;
  readonly namespace: string;
  readonly name: string;
  /** Unique for this process: pod name and a random part. */
  readonly self: string;
  readonly world: World;
  readonly log: (event: string, fields: object) => void;
  readonly times?: LeaseTimes;
};

/**
 * Stands for election until `signal` aborts. While leading, runs `lead(signal)`; its signal aborts when leadership is lost, and
 * candidacy goes on after it returned. If `lead` returns or throws by itself, so does this (after releasing the lease).
 */
export const runLeader = async (opts: LeaderOptions, lead: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> => {
  const times = opts.times ?? LEASE_TIMES;
  let observed: Observed | undefined;
  while (!signal.aborted) {
    const step = await tryStep(opts, times, { observed, signal });
    observed = step.observed;
    if (step.leading) {
      const ended = await leadUntilLost(opts, lead, signal);
      observed = undefined;
      if (ended === "finished") return;
    } else await pause(opts.world, step.waitMs, signal);
  }
};

type Step = { observed: Observed | undefined; leading: boolean; waitMs: number };

const tryStep = async (
  opts: LeaderOptions,
  times: LeaseTimes,
  { observed, signal }: { observed: Observed | undefined; signal: AbortSignal },
): Promise<Step> => {
  const { client, namespace, name, self, world } = opts;
  try {
    const lease = await client.get<Lease>(RESOURCES.leases, { namespace, name }, signal);
    const seen = observe(observed, lease, world.now());
    const step = nextStep(lease, seen, { self, now: world.now(), times });
    if (step.kind === "wait") return { observed: seen, leading: false, waitMs: step.forMs };
    if (step.kind === "create" || lease === undefined)
      await client.create<Lease>(RESOURCES.leases, { metadata: { namespace, name }, spec: step.spec });
    else await client.update<Lease>(RESOURCES.leases, { ...lease, spec: step.spec }); // its resourceVersion makes this a compare-and-swap
    return { observed: seen, leading: true, waitMs: 0 };
  } catch (error) {
    if (!signal.aborted && !isConflict(error) && !isAlreadyExists(error))
      opts.log("lease_failed", { message: `lease ${namespace}/${name}: ${error instanceof Error ? error.message : String(error)}` });
    return { observed, leading: false, waitMs: times.retryMs * (0.5 + world.random() / 2) };
  }
};

const leadUntilLost = async (
  opts: LeaderOptions,
  lead: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<"finished" | "lost"> => {
  const times = opts.times ?? LEASE_TIMES;
  const term = new AbortController();
  const either = AbortSignal.any([signal, term.signal]);
  opts.log("leader_elected", { message: `${opts.self} leads ${opts.namespace}/${opts.name}` });
  const work = lead(either)
    .then(
      () => ({ ok: true as const }),
      (error: unknown) => ({ ok: false as const, error }),
    )
    .finally(() => term.abort(new Error("the leader's work ended")));
  let lost = false;
  let renewedAt = opts.world.now();
  while (!either.aborted) {
    await pause(opts.world, times.retryMs, either);
    if (either.aborted) break;
    const step = await tryStep(opts, times, { observed: undefined, signal: either });
    if (step.leading) renewedAt = opts.world.now();
    else if (!lost && (step.observed !== undefined || mustStep(renewedAt, opts.world.now(), times))) {
      // Someone else holds it, or we could not renew for so long that someone soon may.
      lost = true;
      opts.log("leader_lost", { message: `${opts.self} no longer leads ${opts.namespace}/${opts.name}` });
      term.abort(new Error("leadership lost"));
    }
  }
  const outcome = await work;
  if (!lost) await release(opts);
  if (!outcome.ok && !(either.aborted && outcome.error === either.reason)) throw outcome.error;
  return lost && !signal.aborted ? "lost" : "finished";
};

const release = async (opts: LeaderOptions): Promise<void> => {
  try {
    const lease = await opts.client.get<Lease>(RESOURCES.leases, { namespace: opts.namespace, name: opts.name });
    if (lease?.spec?.holderIdentity === opts.self)
      await opts.client.update<Lease>(RESOURCES.leases, { ...lease, spec: released(lease, opts.world.now()) });
  } catch (error) {
    opts.log("lease_failed", {
      message: `lease ${opts.namespace}/${opts.name} not released: ${error instanceof Error ? error.message : String(error)}`,
    });
  }
};

const pause = async (world: World, ms: number, signal: AbortSignal): Promise<void> => {
  try {
    await world.sleep(ms, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
};
