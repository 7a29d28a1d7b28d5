// What did the API server refuse, and why?

/** A refusal by the API server (its Status object), as opposed to a failure to reach it. */
export class KubeError extends Error {
  /** HTTP status. */
  readonly status: number;
  /** The Status reason: NotFound, AlreadyExists, Conflict, Expired, Invalid, … ("" when the body was no Status). */
  readonly reason: string;
  /** The decoded body, or its text. */
  readonly body: unknown;
  /** Seconds after which the server wants to be asked again (429 and 503), if it said so. */
  readonly retryAfterSeconds: number | undefined;

  constructor(init: { status: number; reason: string; message: string; body: unknown; retryAfterSeconds?: number | undefined }) {
    super(init.message);
    this.name = "KubeError";
    this.status = init.status;
    this.reason = init.reason;
    this.body = init.body;
    this.retryAfterSeconds = init.retryAfterSeconds;
  }
}

const isRecord = (v: unknown): v is Record<string, unknown> => typeof v === "object" && v !== null && !Array.isArray(v);

/** The error for a Status object, or for a body that is none (a proxy's page, say). `what` names the request for the sentence. */
export const kubeErrorFrom = (
  what: string,
  { status, body, retryAfter }: { readonly status: number; readonly body: unknown; readonly retryAfter?: string | undefined },
): KubeError => {
  const fields = isRecord(body) ? body : {};
  const text = typeof fields.message === "string" && fields.message !== "" ? fields.message : `HTTP ${status}`;
  const seconds = retryAfter !== undefined && /^\d{1,6}$/.test(retryAfter) ? Number(retryAfter) : undefined;
  return new KubeError({
    status,
    reason: typeof fields.reason === "string" ? fields.reason : "",
    message: `${what}: ${text}`,
    body,
    retryAfterSeconds: seconds,
  });
};

const is =
  (status: number, reason?: string) =>
  (error: unknown): boolean =>
    error instanceof KubeError && error.status === status && (reason === undefined || error.reason === reason);

export const isNotFound = is(404);
export const isGone = is(410);
export const isAlreadyExists = is(409, "AlreadyExists");
/** The object changed since it was read (a failed precondition counts). */
export const isConflict = (error: unknown): boolean => is(409)(error) && !isAlreadyExists(error);
export const isForbidden = is(403);
