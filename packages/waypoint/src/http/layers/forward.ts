// How is one attempt made at a backend?

import { asMeshError, MeshError } from "@ambit/shared/errors/mesh-error.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { MeshView } from "@ambit/shared/state/view.ts";
import { type Choice, type Chosen, chooseEndpoint, type Origin, reach, upstreamVersion } from "../../upstream/choose.ts";
import type { Outcome, Outgoing } from "../../upstream/outcome.ts";
import type { UpstreamPool } from "../../upstream/pool.ts";
import type { RequestCtx } from "../context.ts";
import { deadlineOf, untilBodyEnd } from "../deadline.ts";
import type { Body } from "../message.ts";

export type ForwardDeps = {
  readonly view: MeshView;
  readonly origin: () => Origin;
  readonly upstreams: Pick<UpstreamPool, "send" | "active">;
  readonly world: World;
};

export type AttemptUse = {
  readonly body: Body;
  readonly tried: ReadonlySet<string> /** Again at this endpoint, on a new connection. */;
  readonly again: Chosen | undefined;
};
/** An outcome, and where it was had. */
export type Attempted = { readonly outcome: Outcome; readonly chosen: Chosen | undefined };
export type Attempt = (ctx: RequestCtx, use: AttemptUse) => Promise<Attempted>;

const outgoing = (ctx: RequestCtx, body: Body): Outgoing => ({
  method: ctx.request.method,
  path: ctx.request.path,
  authority: ctx.request.authority,
  scheme: ctx.request.scheme,
  headers: ctx.request.headers,
  body,
  upgrade: ctx.request.upgrade,
  interim: ctx.exchange.interim,
});

const notChosen = (error: MeshError): Choice => ({ kind: "none", error, candidates: [] });

const choose = (ctx: RequestCtx, tried: ReadonlySet<string>, d: ForwardDeps): Choice => {
  const { workload, port, service } = ctx.addressed;
  const toward = ctx.connection.destination.ip;
  const backend = ctx.plan?.backend;
  if (backend === undefined) return notChosen(new MeshError("INVALID_BACKEND", "no backend was planned"));
  if (workload !== undefined) {
    const chosen = reach(workload, port.port, { appProtocol: "UNKNOWN", service, toward });
    return chosen === undefined
      ? notChosen(new MeshError("NO_HEALTHY_UPSTREAM", `the pod ${workload.uid} has no address`))
      : { kind: "chosen", chosen, candidates: [] };
  }
  return chooseEndpoint({ view: d.view, backend, from: d.origin(), toward, tried, random: d.world.random, active: d.upstreams.active });
};

const failedBefore = (error: MeshError): Outcome => ({ kind: "failed", error, processed: "no", reused: false });

const sendWithin = async (ctx: RequestCtx, to: Chosen, use: AttemptUse, d: ForwardDeps): Promise<Outcome> => {
  const version = upstreamVersion(to.appProtocol, ctx.request);
  const fresh = use.again !== undefined;
  const request = outgoing(ctx, use.body);
  const ms = ctx.plan?.backendTimeoutMs;
  if (ms === undefined) return d.upstreams.send(to, request, { version, fresh, signal: ctx.signal });
  const error = new MeshError("UPSTREAM_TIMEOUT", `the backend took longer than ${ms} ms`);
  const deadline = deadlineOf(ctx.signal, ms, { world: d.world, error });
  const outcome = await d.upstreams.send(to, request, { version, fresh, signal: deadline.signal });
  if (outcome.kind === "response") return { kind: "response", response: untilBodyEnd(outcome.response, deadline.clear) };
  deadline.clear();
  // Whatever broke when the time was over, broke because of that.
  return deadline.signal.aborted ? { ...outcome, error: asMeshError(deadline.signal.reason, "UPSTREAM_TIMEOUT") } : outcome;
};

/** Chooses an endpoint and sends the request there, within the route's backendRequest timeout. */
export const forward =
  (d: ForwardDeps): Attempt =>
  async (ctx, use) => {
    const choice: Choice = use.again === undefined ? choose(ctx, use.tried, d) : { kind: "chosen", chosen: use.again, candidates: [] };
    if (choice.kind === "none") return { outcome: failedBefore(choice.error), chosen: undefined };
    const { chosen } = choice;
    ctx.report.upstream = { workload: chosen.workload, address: chosen.address, service: chosen.service };
    const outcome = await sendWithin(ctx, chosen, use, d);
    if (outcome.kind === "response") ctx.report.answeredAt = d.world.now();
    return { outcome, chosen };
  };
