// Who keeps the node's Service rules equal to the Services and EndpointSlices?

import type { Service } from "@ambit/shared/kube/objects/core.ts";
import type { EndpointSlice } from "@ambit/shared/kube/objects/discovery.ts";
import type { Reflector } from "@ambit/shared/kube/reflector.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { Log } from "../kubelet/deps.ts";
import { createWorkLoop } from "../kubelet/loop.ts";
import { runTool } from "../tools/run.ts";
import { serviceRules, virtualPorts } from "./plan.ts";

export type ServiceProxy = { stop(): Promise<void> };

export type ServiceProxyInit = {
  readonly services: Reflector<Service>;
  readonly slices: Reflector<EndpointSlice>;
  /** Addresses served otherwise. */
  readonly except: ReadonlySet<string>;
  readonly world: World;
  readonly log: Log;
  /** Applies a rule text; the node's own namespace unless told otherwise. */
  readonly apply?: (rules: string) => Promise<unknown>;
};

/** One nft transaction for each batch of changes; none while nothing changed. Nothing is applied before both lists are in. */
export const startServiceProxy = (init: ServiceProxyInit): ServiceProxy => {
  const apply = init.apply ?? ((rules: string) => runTool("nft", ["-f", "-"], rules));
  let applied = "";
  const loop = createWorkLoop(
    init.world,
    async () => {
      if (!init.services.hasSynced() || !init.slices.hasSynced()) return;
      const rules = serviceRules(virtualPorts(init.services.list(), init.slices.list(), init.except));
      if (rules === applied) return;
      await apply(rules);
      applied = rules;
    },
    (e) => init.log.warn("service rules not applied", { error: e instanceof Error ? e.message : String(e) }),
  );
  const unsubscribe = [init.services.subscribe(() => loop.kick()), init.slices.subscribe(() => loop.kick())];
  for (const source of [init.services, init.slices]) void source.synced().then(() => loop.kick());
  return {
    stop: async () => {
      for (const u of unsubscribe) u();
      await loop.stop();
    },
  };
};
