// Through which layers does a request go? (start reading here; the first line meets it first)

import type { Live } from "@ambit/shared/live/store.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import { type Handler, stack } from "./context.ts";
import { accessLog, type RequestObserver } from "./layers/access-log.ts";
import { authorizeRequest, type LiveRequest } from "./layers/authorize.ts";
import { type ForwardDeps, forward } from "./layers/forward.ts";
import { type MirrorDeps, mirror } from "./layers/mirror.ts";
import { type PrepareDeps, prepare } from "./layers/prepare.ts";
import { rescue } from "./layers/rescue.ts";
import { retry } from "./layers/retry.ts";
import { type RouteDeps, route } from "./layers/route.ts";
import { timeout } from "./layers/timeout.ts";

export type StackDeps = ForwardDeps &
  MirrorDeps &
  PrepareDeps &
  RouteDeps & { readonly world: World; readonly observe: RequestObserver; readonly requests: Live<LiveRequest> };

export const httpStack = (d: StackDeps): Handler =>
  stack(
    [accessLog(d.observe, d.world), rescue(), prepare(d), authorizeRequest(d.requests), route(d), timeout(d.world), mirror(d)],
    retry(d.world)(forward(d)),
  );
