// The controllers process: what turns Deployments into pods, pods into endpoints, and deleted owners into nothing.

import { createKubeClient, loadKubeConfig } from "@ambit/shared/kube/client.ts";
import { envFrom } from "@ambit/shared/runtime/env.ts";
import { realWorld, stopSignal } from "@ambit/shared/runtime/run.ts";
import { createLogger, standardOutput } from "@ambit/shared/telemetry/log.ts";
import { runControllers } from "./app.ts";
import { parseConfig } from "./config.ts";

const config = parseConfig(envFrom(process.env));
if (!config.ok) {
  process.stderr.write(`controllers: ${config.error}\n`);
  process.exit(1);
}
const out = standardOutput();
const logger = createLogger({ format: config.value.logFormat, level: config.value.logLevel, out }).scope("controllers");
const kubeconfig = loadKubeConfig({ kubeconfig: config.value.kubeconfig });
const world = realWorld();
const client = createKubeClient(kubeconfig, world);
const log = (event: string, fields: object): void => {
  const { message, ...rest } = fields as { message?: string };
  const line = message ?? event;
  if (event.endsWith("_failed")) logger.warn(line, { event, ...rest });
  else if (event === "action") logger.debug(line, { event, ...rest });
  else logger.info(line, { event, ...rest });
};
await runControllers({ client, rootCa: String(kubeconfig.tls().ca ?? ""), world, log }, stopSignal());
await client.close();
out.flushSync();
