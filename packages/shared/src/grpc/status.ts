// What does a gRPC status say, and how is one made?

import { type ServiceError, status } from "@grpc/grpc-js";

/** "UNAVAILABLE: no connection" of a failed call; the message of any other error. */
export const describeCall = (e: unknown): string => {
  if (!isServiceError(e)) return e instanceof Error ? e.message : String(e);
  return `${status[e.code] ?? e.code}: ${e.details}`;
};

const isServiceError = (e: unknown): e is ServiceError =>
  e instanceof Error && "code" in e && typeof e.code === "number" && "details" in e && typeof e.details === "string";

/** What a server does as a matter of routine when it recycles streams: no reason to wait before coming back. */
export const isRoutine = (e: unknown): boolean =>
  isServiceError(e) &&
  (e.code === status.UNKNOWN ||
    e.code === status.CANCELLED ||
    e.code === status.DEADLINE_EXCEEDED ||
    (e.code === status.UNAVAILABLE && /transport is closing|GOAWAY|Received RST_STREAM with code 0|Connection dropped/i.test(e.details)));
