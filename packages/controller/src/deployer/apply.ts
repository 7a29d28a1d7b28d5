// How does what a Gateway needs come to be there, and stay? (server-side apply by the leader)

import type { KubeClient } from "@ambit/shared/kube/client.ts";
import type { Gateway, KubeObject } from "@ambit/shared/kube/objects.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { Change } from "../collections/core.ts";
import { conflictOf, invalidGateway } from "../gateway/gateways.ts";
import type { Inputs } from "../model/inputs.ts";
import { MESH_CONTROLLER } from "../model/labels.ts";
import { isWaypointGateway } from "../model/waypoints.ts";
import { createQueue } from "../work/run.ts";
import { type RenderSettings, renderWaypoint } from "./render.ts";

export type DeployerOptions = {
  readonly client: Pick<KubeClient, "patch">;
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
    const deployed = { service: inputs.services.get(key), deployment: inputs.deployments.get(key) };
    if (invalidGateway(gateway) !== undefined || conflictOf(gateway, deployed) !== undefined) return; // its status says why
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
  ];
  await queue.run(signal);
  for (const stop of stops) stop();
};
