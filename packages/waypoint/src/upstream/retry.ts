// Is a failed attempt made again? (Istio's default policy, waypoint-l7 section 3.3)

import type { RetryPolicy } from "@ambit/shared/route/types.ts";
import { isIdempotent, type Outcome } from "./outcome.ts";

export type RetryQuestion = {
  readonly outcome: Outcome;
  /** Attempts made, this one included; those on stale connections are not counted. */
  readonly made: number;
  readonly policy: RetryPolicy;
  readonly method: string;
  readonly replayable: boolean;
  /** A stale connection was already made good once. */
  readonly staleBefore: boolean;
};

export type RetryAnswer =
  | { readonly kind: "give-up" }
  /** At once, on a new connection to the same endpoint: a kept connection was closed under us. */
  | { readonly kind: "again-fresh" }
  /** After a wait, on another endpoint if there is one. */
  | { readonly kind: "again" };

const GIVE_UP: RetryAnswer = { kind: "give-up" };
/** What another attempt cannot change, or what was the caller's doing. */
const FINAL: ReadonlySet<string> = new Set([
  "CLIENT_GONE",
  "PROTOCOL",
  "UPSTREAM_PROTOCOL",
  "BODY_TOO_LARGE",
  "IDENTITY",
  "DRAINED",
  "NO_HEALTHY_UPSTREAM",
  "NO_SERVICE_PORT",
]);

/**
 * An attempt that may have been processed is repeated only for methods that allow it. That the route's author asked for
 * retries by status changes nothing here: a status says that the backend refused, a reset does not.
 */
const mayRepeat = (q: RetryQuestion, processed: "no" | "maybe"): boolean => processed === "no" || isIdempotent(q.method);

export const decideRetry = (q: RetryQuestion): RetryAnswer => {
  const { outcome } = q;
  if (!q.replayable) return GIVE_UP;
  const left = q.made <= q.policy.attempts;
  if (outcome.kind === "response") return left && q.policy.codes.includes(outcome.response.status) ? { kind: "again" } : GIVE_UP;
  if (FINAL.has(outcome.error.code)) return GIVE_UP;
  if (!mayRepeat(q, outcome.processed)) return GIVE_UP;
  if (outcome.reused && !q.staleBefore && outcome.error.code === "UPSTREAM_RESET") return { kind: "again-fresh" };
  return left ? { kind: "again" } : GIVE_UP;
};
