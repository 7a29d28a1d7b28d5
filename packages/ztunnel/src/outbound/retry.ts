// Is a connection that could not be opened tried on another endpoint, and how long may each attempt take?

import type { MeshErrorCode } from "@ambit/shared/errors/codes.ts";
import type { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import type { OutboundPlan } from "./types.ts";

/** Endpoints tried for one connection. */
export const MAX_ATTEMPTS = 3;

/** While others are left an attempt may not use up the client's patience; the last one has all the time that a dial has. */
const ATTEMPT_MS: readonly number[] = [2_000, 3_000];

/** Failures that come before the peer's 200: no byte of the client has gone out, so another endpoint is safe. */
const BEFORE_DELIVERY: ReadonlySet<MeshErrorCode> = new Set<MeshErrorCode>([
  "CONNECT",
  "CONNECT_TIMEOUT",
  "TLS",
  "H2_HANDSHAKE",
  "CERT_REVOKED",
  "ELSEWHERE",
]);

/** What the failure says of the endpoint; undefined: it is not the endpoint's, and no other one is tried. */
export const endpointFailure = (e: MeshError): "failed" | "declined" | undefined => {
  if (e.code === "ELSEWHERE") return "declined";
  // 503 is what a destination says that could not reach its application, or is leaving. 401 and 400 are decisions.
  return BEFORE_DELIVERY.has(e.code) || (e.code === "HTTP_STATUS" && e.status === 503) ? "failed" : undefined;
};

/** True: another endpoint than the plan's could be chosen. Those farther away count: they are next once the near ones were tried. */
export const hasAlternative = (plan: OutboundPlan): boolean =>
  plan.candidates.some(
    (c) =>
      c.workload.uid !== plan.workload?.uid && (c.excluded === undefined || c.excluded === "farther-locality" || c.excluded === "ejected"),
  );

/** Milliseconds for the attempt (0 is the first); undefined: as long as a dial takes by itself. */
export const attemptMs = (attempt: number, alternative: boolean): number | undefined => (alternative ? ATTEMPT_MS[attempt] : undefined);
