// May this request pass, and may it still?

import { authorize, type Verdict, verdictText } from "@ambit/shared/authz/authorize.ts";
import { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import type { Live } from "@ambit/shared/live/store.ts";
import { httpSubject, policySet } from "../../route/rbac.ts";
import type { Addressed, Connection, Layer, RequestCtx } from "../context.ts";
import { linked } from "../deadline.ts";
import type { HttpRequest } from "../message.ts";

/** A request in flight, with what must be asked again when policies change. */
export type LiveRequest = {
  readonly connection: Connection;
  /** As it was decided: prepared, before any route edited it. */
  readonly request: HttpRequest;
  addressedNow(): Addressed | undefined;
  /** Since when what it addresses is not served here any more. */
  goneSince: number | undefined;
};

/** A request that was let in may go on for so long when its service has gone elsewhere; then nobody here knows whether it may. */
const GONE_GRACE_MS = 30_000;

const decide = (to: Addressed, r: Pick<LiveRequest, "connection" | "request">): Verdict | undefined => {
  const { service } = to;
  if (service.policies.length === 0 && service.brokenPolicies.length === 0) return undefined;
  return authorize(policySet(service), httpSubject(r.connection, r.request));
};

/** Why a request in flight may not go on, as of the latest push. */
export const lateRequest = (r: LiveRequest, now: number): MeshError | undefined => {
  const to = r.addressedNow();
  if (to === undefined) {
    r.goneSince ??= now;
    const over = now - r.goneSince >= GONE_GRACE_MS;
    return over ? new MeshError("UNOWNED_DESTINATION", "the service is not served here any more") : undefined;
  }
  r.goneSince = undefined;
  const verdict = decide(to, r);
  return verdict === undefined || verdict.allowed ? undefined : new MeshError("DENY_LATE", verdictText(verdict));
};

const refuse = (ctx: RequestCtx): void => {
  const verdict = decide(ctx.addressed, ctx);
  if (verdict === undefined || verdict.allowed) return;
  ctx.report.details = `rbac_access_denied_matched_policy[${"policy" in verdict ? verdict.policy : "none"}]`;
  throw new MeshError("DENY", verdictText(verdict));
};

/** Asks the service's policies as of this very request; and until its end a push may abort it: unanswered, in mid-answer, or upgraded. */
export const authorizeRequest =
  (requests: Live<LiveRequest>): Layer =>
  (next) =>
  async (ctx) => {
    const work = linked(ctx.signal);
    ctx.signal = work.signal;
    const upgraded = new AbortController();
    const { connection, request, addressedNow } = ctx;
    // Registered before the decision: a policy push in between must not be missed.
    const tracked = requests.track({ connection, request, addressedNow, goneSince: undefined }, (reason) => {
      work.abort(reason);
      upgraded.abort(reason);
    });
    void ctx.exchange.ended.then(() => {
      work.release();
      tracked[Symbol.dispose]();
    });
    refuse(ctx);
    const response = await next(ctx);
    // Not the work's own signal: a caller that ends its half of an upgraded connection may still be listening.
    return response.upgraded === undefined ? response : { ...response, until: upgraded.signal };
  };
