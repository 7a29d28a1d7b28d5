// How long may an exchange take, retries included? (Gateway API timeouts.request)

import { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { Layer } from "../context.ts";
import { type Deadline, deadlineOf, untilBodyEnd } from "../deadline.ts";

/** Past the time the work is aborted: 504, or a cut answer when its head had left. */
export const timeout =
  (world: Pick<World, "sleep">): Layer =>
  (next) =>
  async (ctx) => {
    const ms = ctx.plan?.requestTimeoutMs;
    if (ms === undefined) return next(ctx);
    const deadline: Deadline = deadlineOf(ctx.signal, ms, {
      world,
      error: new MeshError("UPSTREAM_TIMEOUT", `the request took longer than ${ms} ms`),
    });
    ctx.signal = deadline.signal;
    try {
      return untilBodyEnd(await next(ctx), deadline.clear);
    } catch (e) {
      deadline.clear();
      throw e;
    }
  };
