// With what does the controllers process start?

import { type Env, oneOf, text } from "@ambit/shared/runtime/env.ts";
import { allOf, type Result } from "@ambit/shared/runtime/result.ts";

export type ControllersConfig = { readonly kubeconfig: string; readonly logFormat: "text" | "json"; readonly logLevel: string };

export const parseConfig = (env: Env): Result<ControllersConfig> =>
  allOf({
    kubeconfig: env.required("KUBECONFIG", text),
    logFormat: env.optional("LOG_FORMAT", oneOf("text", "json"), "text" as const),
    logLevel: env.optional("LOG_LEVEL", text, "info"),
  });
