// How did one attempt at a backend end, and may it be made again?

import type { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import type { HttpResponse } from "../http/message.ts";

/** no: the backend has not seen the request. maybe: it was sent, and no answer had begun. */
export type Processed = "no" | "maybe";

export type Outcome =
  | { readonly kind: "response"; readonly response: HttpResponse }
  | {
      readonly kind: "failed";
      readonly error: MeshError;
      readonly processed: Processed /** The connection had carried an exchange before. */;
      readonly reused: boolean;
    };

/** A request as it leaves for a backend. */
export type Outgoing = {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly scheme: string;
  readonly headers: HttpResponse["headers"];
  readonly body: HttpResponse["body"];
  readonly upgrade: string | undefined;
  interim(status: number, headers: HttpResponse["headers"]): void;
};

/** RFC 9110 section 9.2.2. */
const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);
export const isIdempotent = (method: string): boolean => IDEMPOTENT.has(method);
