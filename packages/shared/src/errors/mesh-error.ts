// What is thrown when a connection or request fails?

import { type MeshErrorCode, RESCUE, type Rescue } from "./codes.ts";

/** The one Error class of the data path: a code with a row in RESCUE, a sentence for the operator, and the cause. */
export class MeshError extends Error {
  readonly code: MeshErrorCode;
  /** The status that the peer answered, where that is the failure (HTTP_STATUS). */
  readonly status: number | undefined;

  constructor(code: MeshErrorCode, detail: string, cause?: unknown, facts: { readonly status?: number } = {}) {
    super(detail, cause === undefined ? undefined : { cause });
    this.name = "MeshError";
    this.code = code;
    this.status = facts.status;
  }

  get rescue(): Rescue {
    return RESCUE[this.code];
  }
}

/**
 * The error as a MeshError: itself, or the one that caused it (a stream fails because its connection was cut, and why is what matters);
 * anything else becomes one with the given code and the original as cause.
 */
export const asMeshError = (e: unknown, code: MeshErrorCode): MeshError => {
  if (e instanceof MeshError) return e;
  if (e instanceof Error && e.cause instanceof MeshError) return e.cause;
  return new MeshError(code, e instanceof Error ? e.message : String(e), e);
};
