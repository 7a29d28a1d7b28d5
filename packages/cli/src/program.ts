// Which commands are there?

import { Command } from "commander";
import { addCa } from "./commands/ca.ts";
import { addExplain } from "./commands/explain.ts";
import { addUp } from "./commands/up.ts";
import { addWaypoint } from "./commands/waypoint.ts";
import { addZtunnelConfig } from "./commands/ztunnel-config.ts";
import type { Context } from "./context.ts";

export type GlobalOptions = { kubeconfig?: string; context?: string; namespace?: string; istioNamespace: string };

/** The whole command line. `connect` is called once the global flags are known, before the first command runs. */
export const createProgram = (version: string, ctx: Context, connect: (o: GlobalOptions) => void): Command => {
  const program = new Command("ambit")
    .description("An ambient-mode service mesh: deploy waypoints, see what proxies know, ask why a request goes where it goes")
    .version(version)
    .option("-c, --kubeconfig <file>", "the kubeconfig; else KUBECONFIG, else ~/.kube/config")
    .option("--context <name>", "the kubeconfig's context")
    .option("-n, --namespace <namespace>", "the namespace; else the context's")
    .option("-i, --istioNamespace <namespace>", "where the mesh is installed", "istio-system")
    .showHelpAfterError("(add --help for what is there)")
    .hook("preAction", (root) => connect(root.opts<GlobalOptions>()));
  addUp(program, ctx);
  addWaypoint(program, ctx);
  addZtunnelConfig(program, ctx);
  addExplain(program, ctx);
  addCa(program, ctx);
  return program;
};
