// The API server's process: environment in, exit code out.

import { openNetns } from "@ambit/shared/linux/netns.ts";
import { listenSocket } from "@ambit/shared/linux/socket.ts";
import { envFrom } from "@ambit/shared/runtime/env.ts";
import { realWorld, stopSignal } from "@ambit/shared/runtime/run.ts";
import { build, StartError } from "./app.ts";
import { type FabricListener, parseConfig } from "./config.ts";
import { StorageError } from "./storage/log.ts";

const fail = (sentence: string): never => {
  process.stderr.write(`ambit apiserver: ${sentence}\n`);
  process.exit(1);
};

const log = (event: string, fields: { readonly [key: string]: unknown }): void => {
  process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), component: "apiserver", event, ...fields })}\n`);
};

const listenIn = ({ netns, address, port }: FabricListener): number => {
  using ns = openNetns(netns);
  return listenSocket({ netns: ns.fd, family: address.includes(":") ? "ipv6" : "ipv4", reuseAddr: true, bind: { ip: address, port } });
};

const config = parseConfig(envFrom(process.env));
if (!config.ok) fail(config.error);
else {
  try {
    const signal = stopSignal();
    await using app = await build(config.value, { world: realWorld(), log, listenIn });
    log("ready", { url: app.url, kubeconfig: app.kubeconfig });
    process.send?.({ event: "ready", url: app.url, kubeconfig: app.kubeconfig });
    await app.run(signal);
  } catch (e) {
    if (e instanceof StartError || e instanceof StorageError) fail(e.message);
    throw e;
  }
}
