// What becomes of an object when a manager applies its fields (server-side apply), and with whom does it conflict?

import type { JsonObject, JsonSchema } from "../schema/types.ts";

export type ApplyRequest = {
  /** The stored object, or undefined when it does not exist yet. */
  readonly live: JsonObject | undefined;
  readonly applied: JsonObject;
  readonly manager: string;
  readonly force: boolean;
  readonly schema: JsonSchema | undefined;
  /** RFC 3339, written into managedFields. */
  readonly now: string;
  readonly subresource?: string | undefined;
};

export type ApplyOutcome =
  | { readonly kind: "ok"; readonly object: JsonObject }
  | { readonly kind: "conflict"; readonly conflicts: readonly { readonly manager: string; readonly field: string }[] }
  | { readonly kind: "invalid"; readonly message: string };

export const serverSideApply = (_request: ApplyRequest): ApplyOutcome => ({ kind: "invalid", message: "not written yet" });
