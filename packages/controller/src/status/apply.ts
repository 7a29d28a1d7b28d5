// Who writes statuses, and when? (the leader, on change, again after a failure)

import type { KubeClient } from "@ambit/shared/kube/client.ts";
import { isConflict, isNotFound } from "@ambit/shared/kube/error.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { Collection } from "../collections/core.ts";
import type { StatusKind, WantedStatus } from "../gateway/conditions.ts";
import type { Inputs } from "../model/inputs.ts";
import { createQueue } from "../work/run.ts";
import { statusPatch, type WithStatus } from "./diff.ts";

export type StatusWriterOptions = {
  readonly client: Pick<KubeClient, "patch">;
  readonly statuses: Collection<WantedStatus>;
  readonly inputs: Inputs;
  readonly world: World;
  readonly log: (event: string, fields: object) => void;
};

const KINDS: readonly StatusKind[] = ["services", "authorizationPolicies", "gatewayClasses", "gateways", "httpRoutes"];

const nameOf = (object: string): { readonly namespace?: string; readonly name: string } => {
  const [first = "", second] = object.split("/");
  return second === undefined ? { name: first } : { namespace: first, name: second };
};

/** Writes until the signal aborts. What others change in our part of a status is put back. */
export const writeStatuses = async (options: StatusWriterOptions, signal: AbortSignal): Promise<void> => {
  const { client, statuses, inputs, world, log } = options;
  const work = async (key: string): Promise<void> => {
    const wanted = statuses.get(key);
    const object: WithStatus | undefined = wanted === undefined ? undefined : inputs[wanted.resource].get(wanted.object);
    if (wanted === undefined || object === undefined) return;
    const status = statusPatch(object, wanted, new Date(world.now()).toISOString().replace(/\.\d+Z$/, "Z"));
    if (status === undefined) return;
    // The version makes a stale read a conflict instead of a lost condition of somebody else's.
    const { resourceVersion } = object.metadata;
    try {
      await client.patch(RESOURCES[wanted.resource], nameOf(wanted.object), {
        type: "merge",
        body: { metadata: { resourceVersion }, status },
        fieldManager: wanted.fieldManager,
        subresource: "status",
      });
    } catch (error) {
      if (!isNotFound(error)) throw error; // deleted meanwhile: nothing to say any more
    }
  };
  const queue = createQueue({
    world,
    work,
    onError: (object, error) => {
      if (isConflict(error)) return; // somebody else wrote first: the next try reads what they wrote
      log("status_not_written", { object, error: error instanceof Error ? error.message : String(error) });
    },
  });
  const stops = [
    statuses.subscribe((changes) => {
      for (const c of changes) queue.add(c.key);
    }),
    ...KINDS.map((kind) =>
      inputs[kind].subscribe((changes) => {
        for (const c of changes) if (c.value !== undefined) queue.add(`${kind}/${c.key}`);
      }),
    ),
  ];
  await queue.run(signal);
  for (const stop of stops) stop();
};
