// Does an object fit its schema, and what is stored of it?

import type { Cause, JsonObject, JsonSchema } from "./types.ts";

export type Admission = {
  /** The object with unknown fields pruned and defaults filled in. */
  readonly object: JsonObject;
  readonly causes: readonly Cause[];
  /** Paths of unknown and duplicate fields; in mode "strict" the caller refuses them, in "warn" it sends Warning headers. */
  readonly unknownFields: readonly string[];
};

export const admit = (_schema: JsonSchema | undefined, object: JsonObject, _mode: "strict" | "warn" | "ignore"): Admission => ({
  object,
  causes: [],
  unknownFields: [],
});
