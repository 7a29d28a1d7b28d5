// Which schema has a built-in kind?

import type { Gvk, JsonSchema } from "./types.ts";

export const schemaFor = (_gvk: Gvk): JsonSchema | undefined => undefined;
