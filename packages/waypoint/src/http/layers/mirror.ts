// Who sends the copies that mirror filters ask for?

import type { MirrorOrder } from "../../route/filter.ts";
import { chooseEndpoint, upstreamVersion } from "../../upstream/choose.ts";
import type { Layer, RequestCtx } from "../context.ts";
import { bufferBody, type HttpRequest } from "../message.ts";
import type { ForwardDeps } from "./forward.ts";

/** Larger bodies are not copied: they would have to be held whole. */
const COPY_BYTES = 64 * 1024;

const copyable = (r: HttpRequest): boolean => r.upgrade === undefined && r.body.length !== undefined && r.body.length <= COPY_BYTES;

const readWhole = async (r: HttpRequest): Promise<Buffer> => {
  const parts: Buffer[] = [];
  for (let chunk = await r.body.read(); chunk !== undefined; chunk = await r.body.read()) parts.push(chunk);
  return Buffer.concat(parts);
};

/** Nobody waits for a copy; its failure is nobody's failure, and its answer is thrown away. */
const sendCopy = async (ctx: RequestCtx, order: MirrorOrder, content: Buffer, d: ForwardDeps): Promise<void> => {
  if (order.backend.kind === "invalid") return;
  const choice = chooseEndpoint({
    view: d.view,
    backend: order.backend,
    from: d.origin(),
    tried: new Set(),
    random: d.world.random,
    active: d.upstreams.active,
  });
  if (choice.kind === "none") return;
  const { request } = ctx;
  const copy = { ...request, body: bufferBody(content), interim: () => undefined };
  const version = upstreamVersion(choice.chosen.appProtocol, request);
  const outcome = await d.upstreams.send(choice.chosen, copy, { version, fresh: false, signal: new AbortController().signal });
  if (outcome.kind === "failed") return;
  const { body } = outcome.response;
  while ((await body.read()) !== undefined);
};

export const mirror =
  (d: ForwardDeps): Layer =>
  (next) =>
  async (ctx) => {
    const orders = (ctx.plan?.mirrors ?? []).filter((m) => d.world.random() * 100 < m.percent);
    if (orders.length === 0 || !copyable(ctx.request)) return next(ctx);
    const content = await readWhole(ctx.request);
    ctx.request = { ...ctx.request, body: bufferBody(content) };
    for (const order of orders) sendCopy(ctx, order, content, d).catch(() => undefined); // see sendCopy
    return next(ctx);
  };
