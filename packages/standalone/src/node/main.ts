// argv and environment → one running node.

import { envFrom } from "@ambit/shared/runtime/env.ts";
import { realWorld, stopSignal } from "@ambit/shared/runtime/run.ts";
import { createLogger, standardOutput } from "@ambit/shared/telemetry/log.ts";
import { runNode } from "./app.ts";
import { parseConfig } from "./config.ts";

const config = parseConfig(envFrom(process.env));
if (!config.ok) {
  process.stderr.write(`${config.error}\n`);
  process.exit(1);
}
const out = standardOutput();
const log = createLogger({ format: config.value.logJson ? "json" : "text", level: config.value.logLevel, out }).scope("node");
try {
  await runNode(config.value, {
    world: realWorld(),
    log: { info: (event, fields) => log.info(event, { ...fields }), warn: (event, fields) => log.warn(event, { ...fields }) },
    stop: stopSignal(),
  });
  out.flushSync();
  process.exit(0);
} catch (e) {
  out.flushSync();
  process.stderr.write(`node ${config.value.number}: ${e instanceof Error ? e.message : String(e)}\n`);
  process.exit(1);
}
