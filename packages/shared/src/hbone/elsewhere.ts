// How do two ends of a mesh agree that a request may be taken to another endpoint? (headers that other meshes neither send nor read)

import type { TunnelHeaders } from "./types.ts";

/**
 * In a CONNECT: the caller has another endpoint to go to (`able`). In a 503: nothing of the request has reached the application,
 * so it is safe to take it elsewhere (`elsewhere`).
 */
export const RETRY_HEADER = "x-ambit-retry";
export const RETRY_ABLE = "able";
export const RETRY_ELSEWHERE = "elsewhere";

/** Whether the caller of this CONNECT can go to another endpoint. */
export const canGoElsewhere = (headers: TunnelHeaders): boolean => headers[RETRY_HEADER] === RETRY_ABLE;

/** The headers of a refusal that left nothing behind. */
export const GO_ELSEWHERE: TunnelHeaders = { [RETRY_HEADER]: RETRY_ELSEWHERE };

/** Whether this answer says so. */
export const saysElsewhere = (status: number, headers: TunnelHeaders): boolean =>
  status === 503 && headers[RETRY_HEADER] === RETRY_ELSEWHERE;
