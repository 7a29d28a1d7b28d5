// The node agent's process: environment in, exit code out.

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
  process.stderr.write(`ambit cni: ${config.error}\n`);
  process.exit(2);
}
const out = standardOutput();
const logger = createLogger({ format: config.value.logFormat, level: config.value.logLevel, out });
try {
  const client = createKubeClient(loadKubeConfig({ kubeconfig: process.env.KUBECONFIG, env: process.env }));
  await build(config.value, { client, world: realWorld(), logger }).run(stopSignal());
  out.flushSync();
  process.exit(0);
} catch (e) {
  logger.scope("cni-agent").error("stopped", { error: e instanceof Error ? e.message : String(e) });
  out.flushSync();
  process.exit(1);
}
