// ztunnel: parse, build, run.

import { envFrom } from "@ambit/shared/runtime/env.ts";
import { isPrepare, prepare } from "@ambit/shared/runtime/prepare.ts";
import { realWorld, stopSignal } from "@ambit/shared/runtime/run.ts";
import { createLogger, standardOutput } from "@ambit/shared/telemetry/log.ts";
import { build } from "./app.ts";
import { parseConfig } from "./config.ts";

if (isPrepare(process.argv)) {
  await prepare(() => import("./thread/main.ts"));
  process.exit(0);
}
const config = parseConfig(envFrom(process.env));
if (!config.ok) {
  process.stderr.write(`ztunnel: ${config.error}\n`);
  process.exit(1);
}
const out = standardOutput();
const stop = stopSignal();
try {
  await using app = await build({ config: config.value, world: realWorld(), logger: createLogger({ ...config.value.log, out }) });
  await app.run(stop);
} catch (e) {
  process.stderr.write(`ztunnel: ${e instanceof Error ? e.message : String(e)}\n`);
  process.exitCode = 1;
} finally {
  await out.drained(500);
  out.flushSync();
}
