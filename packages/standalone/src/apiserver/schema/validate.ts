// Does an object fit its schema, and what is stored of it?

import { isObject, type JsonObject } from "../model/object.ts";
import { check } from "./check.ts";
import { shape } from "./shape.ts";
import type { Cause, JsonSchema } from "./types.ts";

export type Admission = {
  /** The object with unknown fields pruned and defaults filled in. */
  readonly object: JsonObject;
  /** Why the object is refused (422); empty when it fits. */
  readonly causes: readonly Cause[];
  /** Paths of unknown fields, such as `spec.replcas`: for mode "strict" a reason to refuse (400), for "warn" to warn. */
  readonly unknownFields: readonly string[];
};

/**
 * Prunes, fills defaults, then validates. The object given is not changed. `mode` is the request's `fieldValidation`, in lower
 * case: "ignore" reports no unknown fields (they are pruned all the same).
 */
export const admit = (schema: JsonSchema | undefined, object: JsonObject, mode: "strict" | "warn" | "ignore"): Admission => {
  if (schema === undefined) return { object, causes: [], unknownFields: [] };
  const shaped = shape(schema, object);
  const value = isObject(shaped.value) ? shaped.value : {};
  return { object: value, causes: check(schema, value), unknownFields: mode === "ignore" ? [] : shaped.unknown };
};
