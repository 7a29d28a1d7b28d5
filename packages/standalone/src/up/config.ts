// What did the person ask `ambit up` for?

import { parseArgs } from "node:util";
import { integer } from "@ambit/shared/runtime/env.ts";
import { allOf, err, ok, type Result } from "@ambit/shared/runtime/result.ts";

export type UpConfig = {
  readonly nodes: number;
  /** As given; need not exist. */
  readonly dataDir: string;
  /** On 127.0.0.1; 0 means any free one. */
  readonly port: number;
};

const UP_USAGE = "ambit up [--nodes N] [--data DIR] [--port P]";

const named =
  (option: string) =>
  <T>(r: Result<T>, given: string): Result<T> =>
    r.ok ? r : err(`--${option} ${given}: ${r.error}`);

/** `home` is where the default data directory lives. Every mistake at once, in clear sentences. */
export const parseUp = (args: readonly string[], home: string): Result<UpConfig> => {
  let values: { nodes?: string; data?: string; port?: string };
  try {
    values = parseArgs({
      args: [...args],
      options: { nodes: { type: "string" }, data: { type: "string" }, port: { type: "string" } },
      strict: true,
    }).values;
  } catch (error) {
    return err(`${error instanceof Error ? error.message : String(error)} (usage: ${UP_USAGE})`);
  }
  const { nodes = "2", port = "6443", data = `${home}/.ambit` } = values;
  return allOf({
    nodes: named("nodes")(integer(1, 16)(nodes), nodes),
    port: named("port")(integer(0, 65535)(port), port),
    dataDir: data === "" ? err("--data needs a directory") : ok(data),
  });
};
