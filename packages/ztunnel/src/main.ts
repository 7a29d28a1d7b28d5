// ztunnel: parse, build, run.

import { existsSync, readFileSync } from "node:fs";
import { type Env, envFrom } from "@ambit/shared/runtime/env.ts";
import { isPrepare, prepare } from "@ambit/shared/runtime/prepare.ts";
import { ok, type Result } from "@ambit/shared/runtime/result.ts";
import { realWorld, stopSignal } from "@ambit/shared/runtime/run.ts";
import { createLogger, standardOutput } from "@ambit/shared/telemetry/log.ts";
import { build } from "./app.ts";
import { MESH_CONFIG_PATH, parseConfig } from "./config.ts";

if (isPrepare(process.argv)) {
  await prepare(() => import("./thread/main.ts"));
  process.exit(0);
}
/** Read only where there is something to read: YAML is not needed otherwise. */
const environment = async (): Promise<Result<Env>> => {
  const mesh = existsSync(MESH_CONFIG_PATH) ? readFileSync(MESH_CONFIG_PATH, "utf8") : undefined;
  if (mesh === undefined && process.env.PROXY_CONFIG === undefined) return ok(envFrom(process.env));
  const { withProxyConfig } = await import("./proxy-config.ts");
  return withProxyConfig(process.env, mesh);
};
const env = await environment();
const config = env.ok ? parseConfig(env.value) : env;
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
