// The `ambit` command: arguments in, exit code out.

import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { createKubeClient, loadKubeConfig } from "@ambit/shared/kube/client.ts";
import { realWorld } from "@ambit/shared/runtime/run.ts";
import manifest from "../package.json" with { type: "json" };
import { createAdminClient } from "./client/admin.ts";
import { createMeshPods, UserError } from "./client/mesh.ts";
import type { Cluster, Context } from "./context.ts";
import { createProgram, type GlobalOptions } from "./program.ts";

const world = realWorld();
let options: GlobalOptions = { istioNamespace: "istio-system" };
let connected: Cluster | undefined;

const connect = (): Cluster => {
  const fallback = join(homedir(), ".kube", "config");
  const path = options.kubeconfig ?? process.env.KUBECONFIG ?? fallback;
  if (!existsSync(path)) throw new UserError(`there is no kubeconfig at ${path}: give --kubeconfig or set KUBECONFIG`);
  const config = loadKubeConfig({ kubeconfig: path, context: options.context });
  const client = createKubeClient(config, world);
  return {
    client,
    admin: createAdminClient({ path, context: options.context }),
    pods: createMeshPods(client, options.istioNamespace),
    namespace: options.namespace ?? config.namespace,
  };
};

const ctx: Context = {
  cluster: () => {
    connected ??= connect();
    return connected;
  },
  world,
  print: (text) => void process.stdout.write(text),
  note: (text) => void process.stderr.write(text),
};

const program = createProgram(manifest.version, ctx, (o) => {
  options = o;
});
try {
  await program.parseAsync(process.argv);
} catch (e) {
  process.stderr.write(`ambit: ${e instanceof Error ? e.message : String(e)}\n`);
  process.exitCode = 1;
}
// No process.exit: it would cut what a pipe has not taken yet.
await connected?.client.close();
