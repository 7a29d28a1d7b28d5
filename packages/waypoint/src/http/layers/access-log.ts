// When is a request told to telemetry? (once, when its answer has left)

import type { World } from "@ambit/shared/runtime/world.ts";
import type { Layer, RequestCtx } from "../context.ts";
import type { ExchangeEnd } from "../message.ts";

export type RequestObserver = (ctx: RequestCtx, end: ExchangeEnd, endedAt: number) => void;

export const accessLog =
  (observe: RequestObserver, world: Pick<World, "now">): Layer =>
  (next) =>
  async (ctx) => {
    const response = await next(ctx);
    ctx.report.response = response;
    void ctx.exchange.ended.then((end) => observe(ctx, end, world.now()));
    return response;
  };
