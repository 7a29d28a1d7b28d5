// What does an object look like after Kubernetes' strategic merge patch?

import { err, type Result } from "@ambit/shared/runtime/result.ts";
import type { JsonSchema } from "../schema/types.ts";

export const applyStrategicMergePatch = (_doc: unknown, _patch: unknown, _schema: JsonSchema | undefined): Result<unknown> =>
  err("not written yet");
