// Who owns which field after a create, update or patch?

import type { JsonObject, JsonSchema } from "../schema/types.ts";

export type UpdateRequest = {
  /** The stored object, or undefined on create. */
  readonly before: JsonObject | undefined;
  readonly after: JsonObject;
  readonly manager: string;
  /** RFC 3339. */
  readonly now: string;
  readonly subresource?: string | undefined;
  readonly schema: JsonSchema | undefined;
};

/** The object `after` with `metadata.managedFields` brought up to date. */
export const updateManagedFields = (request: UpdateRequest): JsonObject => request.after;
