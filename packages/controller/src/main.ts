// What does the controller process do when it is started?

import { createKubeClient, loadKubeConfig } from "@ambit/shared/kube/client.ts";
import { envFrom } from "@ambit/shared/runtime/env.ts";
import { isPrepare, prepare } from "@ambit/shared/runtime/prepare.ts";
import { realWorld, stopSignal } from "@ambit/shared/runtime/run.ts";
import { createLogger, standardOutput } from "@ambit/shared/telemetry/log.ts";
import { build } from "./app.ts";
import { parseConfig } from "./config.ts";

if (isPrepare(process.argv)) {
  await prepare();
  process.exit(0);
}
const config = parseConfig(envFrom(process.env));
if (!config.ok) {
  process.stderr.write(`${config.error}\n`);
  process.exit(1);
}
const out = standardOutput();
const logger = createLogger({ ...config.value.log, out });
try {
  const world = realWorld();
  const client = createKubeClient(loadKubeConfig({ kubeconfig: config.value.kubeconfig, env: process.env }), world);
  await using app = await build(config.value, { client, world, logger });
  await app.run(stopSignal());
  await client.close();
} catch (cause) {
  logger.scope("main").error("the controller stops", { error: cause instanceof Error ? cause.message : String(cause) });
  process.exitCode = 1;
} finally {
  out.flushSync();
}
