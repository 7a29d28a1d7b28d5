// How does the class istio-waypoint come to be there, and come back when somebody deletes it?

import type { KubeClient } from "@ambit/shared/kube/client.ts";
import { isAlreadyExists } from "@ambit/shared/kube/error.ts";
import type { GatewayClass } from "@ambit/shared/kube/objects/gateway.ts";
import { RESOURCES, resourceName } from "@ambit/shared/kube/resources.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { Collection } from "../collections/core.ts";
import { WAYPOINT_CLASS } from "../model/labels.ts";
import { createQueue } from "../work/run.ts";
import { missingClass } from "./classes.ts";

export type ClassOptions = {
  readonly client: Pick<KubeClient, "create">;
  readonly served: Collection<string>;
  readonly classes: Collection<GatewayClass>;
  readonly world: World;
  readonly log: (event: string, fields: object) => void;
};

export const keepWaypointClass = async (options: ClassOptions, signal: AbortSignal): Promise<void> => {
  const { client, served, classes, world, log } = options;
  const kind = resourceName(RESOURCES.gatewayClasses);
  const work = async (): Promise<void> => {
    const missing = missingClass({ served: served.get(kind) !== undefined, there: classes.get(WAYPOINT_CLASS) });
    if (missing === undefined) return;
    try {
      await client.create<GatewayClass>(RESOURCES.gatewayClasses, missing);
      log("gateway_class_created", { name: WAYPOINT_CLASS });
    } catch (error) {
      if (!isAlreadyExists(error)) throw error; // ours is not the only hand that makes it
    }
  };
  const queue = createQueue({
    world,
    work,
    onError: (name, error) => log("gateway_class_not_created", { name, error: error instanceof Error ? error.message : String(error) }),
    workers: 1,
  });
  const look = (): void => queue.add(WAYPOINT_CLASS);
  const stops = [served.subscribe(look), classes.subscribe(look)];
  await queue.run(signal);
  for (const stop of stops) stop();
};
