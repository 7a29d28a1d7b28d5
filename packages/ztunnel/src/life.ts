// In what order does a ztunnel begin, serve and end?

import { followRoots } from "@ambit/shared/ca/roots.ts";
import type { CertStore } from "@ambit/shared/ca/types.ts";
import { followRevocationLists } from "@ambit/shared/ca/watch.ts";
import type { Sources } from "@ambit/shared/proxy/sources.ts";
import { aborted } from "@ambit/shared/runtime/run.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import { eventLog } from "@ambit/shared/telemetry/event-log.ts";
import type { Logger, ScopedLogger } from "@ambit/shared/telemetry/log.ts";
import type { XdsType } from "@ambit/shared/xds/client.ts";
import type { ZtunnelConfig } from "./config.ts";
import type { OnDemand } from "./demand/apply.ts";
import { runZdsClient } from "./inpod/client.ts";
import type { PodSet } from "./inpod/run.ts";
import { giveBack } from "./memory.ts";
import type { Self } from "./self.ts";
import type { Handover } from "./takeover/run.ts";
import type { DataPlane } from "./thread/control.ts";

/** For what the data threads have logged in the end. */
const LAST_WORDS_MS = 1_000;

/** What is begun and ended; all of it is made, and none of it serves yet. */
export type LifeOptions = {
  readonly config: Pick<ZtunnelConfig, "ca" | "crlPath" | "zdsPath" | "drainMs">;
  readonly world: World;
  readonly logger: Logger;
  readonly log: ScopedLogger;
  readonly sources: Pick<Sources, "follow">;
  /** Everything there is to follow, where the mesh is not fetched on demand. */
  readonly types: readonly XdsType[];
  readonly asked: OnDemand | undefined;
  readonly certs: CertStore;
  readonly plane: DataPlane;
  readonly pods: PodSet;
  readonly handover: Pick<Handover, "begin" | "close">;
  readonly self: Self;
  /** True: the first state is there; false: we are ending. */
  readonly onState: (there: boolean) => void;
};

/** Reads the files that say whom to trust, then follows them until the signal aborts; what is returned ends then. */
const followTrust = async (
  { config, world, logger, certs, plane }: LifeOptions,
  signal: AbortSignal,
): Promise<readonly (Promise<void> | undefined)[]> => {
  const log = eventLog(logger.scope("ca"), "info");
  const roots = await followRoots({ roots: config.ca.roots, certs, world, log }, signal);
  if (config.crlPath === undefined) return [roots.done];
  const lists = await followRevocationLists(
    { path: config.crlPath, world, log, onLists: plane.revoke, certificates: certs.snapshot },
    signal,
  );
  return [roots.done, lists.done];
};

/** Policies and workloads first: a pod is served only once they are known. */
const servePods = async (o: LifeOptions, firstState: Promise<unknown>, over: AbortSignal): Promise<void> => {
  await Promise.all([o.plane.started(), firstState]);
  await o.plane.settled();
  // Reading the whole mesh has made more garbage than what is kept of it. Nothing is served yet that this could hold up.
  await giveBack(o.plane.giveBack);
  o.onState(true);
  o.log.info("the first state has arrived", { dataThreads: o.plane.count });
  await Promise.all([
    o.self.begin(),
    runZdsClient({ path: o.config.zdsPath, world: o.world, log: o.logger.scope("inpod"), handler: o.pods }, over),
    o.pods.retryPending(over),
  ]);
};

/** What we listen on is nobody's to take over any more: it is closed. Resolves when no connection is left. */
const drain = async ({ config, log, pods, handover, self, onState }: LifeOptions): Promise<void> => {
  log.info("shutting down", { drainMs: config.drainMs });
  onState(false);
  handover.close();
  await Promise.all([pods.drain(config.drainMs), self.drain(config.drainMs)]);
};

/** Serves until the signal aborts, then drains. Throws what keeps ztunnel from serving. */
export const live = async (options: LifeOptions, over: AbortSignal): Promise<void> => {
  const { sources, types, asked, plane, handover, log } = options;
  handover.begin();
  const follower = sources.follow(asked?.types ?? types);
  asked?.through(follower);
  const work = new AbortController();
  const trust = await followTrust(options, work.signal);
  const following = follower.run(work.signal);
  const serving = servePods(options, follower.firstSync(over), over).catch((e: unknown) => {
    if (!over.aborted) throw e;
  });
  try {
    await Promise.race([aborted(over), serving, plane.failed, following]);
  } finally {
    await drain(options);
    // The mesh is followed until here: what drains is still held to its policies.
    work.abort(new Error("ztunnel is shutting down"));
    await Promise.allSettled([following, serving, ...trust, plane.settled(LAST_WORDS_MS)]);
    log.info("stopped");
  }
};
