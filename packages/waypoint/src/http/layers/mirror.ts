// Who sends the copies that mirror filters ask for?

import { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import { serviceKey } from "@ambit/shared/state/types.ts";
import type { MirrorOrder } from "../../route/filter.ts";
import { chooseEndpoint, upstreamVersion } from "../../upstream/choose.ts";
import type { Layer, RequestCtx } from "../context.ts";
import { deadlineOf } from "../deadline.ts";
import { bufferBody, type HttpRequest } from "../message.ts";
import type { ForwardDeps } from "./forward.ts";

/** Larger bodies are not copied: they would have to be held whole. */
const COPY_BYTES = 64 * 1024;

/** A target that does not answer holds no more than this, and none of it longer than that. */
const COPIES_PER_TARGET = 100;
const COPY_TIMEOUT_MS = 15_000;

/** What became of a copy: dropped when too many were on their way to its target. */
export type MirrorOutcome = "answered" | "failed" | "dropped";
export type MirrorDeps = ForwardDeps & { observeMirror(outcome: MirrorOutcome): void };

const copyable = (r: HttpRequest): boolean => r.upgrade === undefined && r.body.length !== undefined && r.body.length <= COPY_BYTES;

const readWhole = async (r: HttpRequest): Promise<Buffer> => {
  const parts: Buffer[] = [];
  for (let chunk = await r.body.read(); chunk !== undefined; chunk = await r.body.read()) parts.push(chunk);
  return Buffer.concat(parts);
};

/** Nobody waits for a copy; its failure is nobody's failure, and its answer is thrown away. Rejects when its answer breaks off. */
const sendCopy = async (ctx: RequestCtx, order: MirrorOrder, content: Buffer, d: ForwardDeps): Promise<MirrorOutcome> => {
  if (order.backend.kind === "invalid") return "failed";
  const choice = chooseEndpoint({
    view: d.view,
    backend: order.backend,
    from: d.origin(),
    toward: ctx.connection.destination.ip,
    tried: new Set(),
    random: d.world.random,
    active: d.upstreams.active,
  });
  if (choice.kind === "none") return "failed";
  const { request } = ctx;
  const copy = { ...request, body: bufferBody(content), interim: () => undefined };
  const version = upstreamVersion(choice.chosen.appProtocol, request);
  const ms = ctx.plan?.backendTimeoutMs ?? COPY_TIMEOUT_MS;
  const error = new MeshError("UPSTREAM_TIMEOUT", `the mirror took longer than ${ms} ms`);
  const deadline = deadlineOf(new AbortController().signal, ms, { world: d.world, error });
  try {
    const outcome = await d.upstreams.send(choice.chosen, copy, { version, fresh: false, signal: deadline.signal });
    if (outcome.kind === "failed") return "failed";
    const { body } = outcome.response;
    while ((await body.read()) !== undefined);
    return "answered";
  } finally {
    deadline.clear();
  }
};

const targetKey = (order: MirrorOrder): string =>
  order.backend.kind === "invalid" ? "" : `${serviceKey(order.backend)}:${order.backend.port}`;

/** Counts the copies on their way to each target, and tells what became of each. */
const copier = (d: MirrorDeps): ((ctx: RequestCtx, order: MirrorOrder, content: Buffer) => void) => {
  const inFlight = new Map<string, number>();
  return (ctx, order, content) => {
    const key = targetKey(order);
    const before = inFlight.get(key) ?? 0;
    if (before >= COPIES_PER_TARGET) return d.observeMirror("dropped");
    inFlight.set(key, before + 1);
    const done = (outcome: MirrorOutcome): void => {
      const left = (inFlight.get(key) ?? 1) - 1;
      if (left === 0) inFlight.delete(key);
      else inFlight.set(key, left);
      d.observeMirror(outcome);
    };
    sendCopy(ctx, order, content, d).then(done, () => done("failed"));
  };
};

export const mirror = (d: MirrorDeps): Layer => {
  const copyTo = copier(d);
  return (next) => async (ctx) => {
    const orders = (ctx.plan?.mirrors ?? []).filter((m) => d.world.random() * 100 < m.percent);
    if (orders.length === 0 || !copyable(ctx.request)) return next(ctx);
    const content = await readWhole(ctx.request);
    ctx.request = { ...ctx.request, body: bufferBody(content) };
    for (const order of orders) copyTo(ctx, order, content);
    return next(ctx);
  };
};
