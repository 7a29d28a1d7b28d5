// When is a request sent once more? (carries out upstream/retry.ts)

import { asMeshError } from "@ambit/shared/errors/mesh-error.ts";
import { DEFAULT_RETRY } from "@ambit/shared/route/types.ts";
import { backoffMs } from "@ambit/shared/runtime/backoff.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { Chosen } from "../../upstream/choose.ts";
import { replayable } from "../../upstream/replay.ts";
import { decideRetry } from "../../upstream/retry.ts";
import type { Handler } from "../context.ts";
import type { HttpResponse } from "../message.ts";
import type { Attempt, Attempted } from "./forward.ts";

/** How much of a body is held back for a further attempt. */
const HELD_BYTES = 64 * 1024;

const deliver = (outcome: Attempted["outcome"]): HttpResponse => {
  if (outcome.kind === "failed") throw outcome.error;
  return outcome.response;
};

/** Until an answer is good enough or nothing more may be done: nothing has left for the caller before that. */
export const retry =
  (world: World) =>
  (attempt: Attempt): Handler =>
  async (ctx) => {
    const policy = ctx.plan?.retry ?? DEFAULT_RETRY;
    const replay = replayable(ctx.request.body, HELD_BYTES);
    const tried = new Set<string>();
    let again: Chosen | undefined;
    let stale = false;
    const pause = (ms: number): Promise<void> =>
      world.sleep(ms, ctx.signal).catch(() => {
        throw asMeshError(ctx.signal.reason, "CLIENT_GONE");
      });
    for (let made = 1; ; made++) {
      ctx.report.attempts += 1;
      const { outcome, chosen } = await attempt(ctx, { body: replay.attempt(), tried, again });
      const staleBefore = stale;
      const answer = ctx.signal.aborted
        ? ({ kind: "give-up" } as const)
        : decideRetry({ outcome, made, policy, method: ctx.request.method, replayable: replay.possible, staleBefore });
      if (answer.kind === "give-up") return deliver(outcome);
      if (outcome.kind === "response") outcome.response.body.cancel();
      again = answer.kind === "again-fresh" ? chosen : undefined;
      if (answer.kind === "again-fresh") {
        stale = true;
        made -= 1;
        continue;
      }
      if (chosen !== undefined) tried.add(chosen.workload.uid);
      await pause(backoffMs(made - 1, world.random, { baseMs: policy.backoffMs, maxMs: policy.backoffMs * 10 }));
    }
  };
