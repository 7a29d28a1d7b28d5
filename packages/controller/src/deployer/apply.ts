// How does what a Gateway needs come to be there, and stay? (server-side apply by the leader)

import type { KubeClient } from "@ambit/shared/kube/client.ts";
import type { ServiceAccount } from "@ambit/shared/kube/objects/core.ts";
import type { Gateway } from "@ambit/shared/kube/objects/gateway.ts";
import type { KubeObject } from "@ambit/shared/kube/objects/meta.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { Change } from "../collections/core.ts";
import { conflictOf, invalidGateway } from "../gateway/gateways.ts";
import type { Inputs } from "../model/inputs.ts";
import { MESH_CONTROLLER } from "../model/labels.ts";
import { isWaypointGateway } from "../model/waypoints.ts";
import { createQueue } from "../work/run.ts";
import { type RenderSettings, renderWaypoint } from "./render.ts";

export type DeployerOptions = {
  readonly client: Pick<KubeClient, "get" | "patch">;
  readonly inputs: Inputs;
  readonly settings: RenderSettings;
  readonly world: World;
  readonly log: (event: string, fields: object) => void;
};

/** True when the desired part of an object may have changed: not on each change of its status. */
export const mayHaveDrifted = (c: Change<KubeObject>): boolean =>
  c.value === undefined ||
  (c.old !== undefined && (c.old.metadata.generation !== c.value.metadata.generation || c.value.metadata.generation === undefined));

export const runDeployer = async (options: DeployerOptions, signal: AbortSignal): Promise<void> => {
  const { client, inputs, settings, world, log } = options;
  /** Asked of the server where the watch knows none: an account made just now must not be taken over. */
  const accountNow = ({ metadata: { namespace = "", name } }: Gateway): Promise<ServiceAccount | undefined> =>
    client.get<ServiceAccount>(RESOURCES.serviceAccounts, { namespace, name });
  const deploy = async (gateway: Gateway): Promise<void> => {
    for (const { resource, object } of renderWaypoint(gateway, settings)) {
      const { namespace = "", name } = object.metadata;
      await client.patch(resource, { namespace, name }, { type: "apply", body: object, fieldManager: MESH_CONTROLLER, force: true });
    }
    log("waypoint_applied", { gateway: `${gateway.metadata.namespace}/${gateway.metadata.name}` });
  };
  const work = async (key: string): Promise<void> => {
    const gateway = inputs.gateways.get(key);
    if (gateway === undefined || gateway.metadata.deletionTimestamp !== undefined) return; // garbage collection takes the rest
    if (!isWaypointGateway(gateway, inputs.gatewayClasses.get(gateway.spec.gatewayClassName))) return;
    if (invalidGateway(gateway) !== undefined) return; // its status says why
    const deployed = {
      service: inputs.services.get(key),
      deployment: inputs.deployments.get(key),
      serviceAccount: inputs.serviceAccounts.get(key) ?? (await accountNow(gateway)),
    };
    if (conflictOf(gateway, deployed) !== undefined) return; // its status says why
    await deploy(gateway);
  };
  const queue = createQueue({
    world,
    work,
    onError: (gateway, error) => log("waypoint_not_applied", { gateway, error: error instanceof Error ? error.message : String(error) }),
  });
  const drift = (changes: readonly Change<KubeObject>[]): void => {
    for (const c of changes) if (mayHaveDrifted(c)) queue.add(c.key);
  };
  const stops = [
    inputs.gateways.subscribe((changes) => {
      for (const c of changes) if (c.old === undefined || mayHaveDrifted(c)) queue.add(c.key);
    }),
    inputs.gatewayClasses.subscribe(() => {
      for (const key of inputs.gateways.keys()) queue.add(key);
    }),
    inputs.deployments.subscribe(drift),
    inputs.services.subscribe(drift),
    inputs.serviceAccounts.subscribe(drift),
  ];
  await queue.run(signal);
  for (const stop of stops) stop();
};
