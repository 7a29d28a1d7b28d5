// How is one action carried out against the API server, and what do we then know before the watch tells us?

import { createHash } from "node:crypto";
import type { KubeClient } from "@ambit/shared/kube/client.ts";
import { isAlreadyExists } from "@ambit/shared/kube/error.ts";
import type { Event } from "@ambit/shared/kube/objects/core.ts";
import type { KubeObject } from "@ambit/shared/kube/objects/meta.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import { RESOURCES, type Resource } from "@ambit/shared/kube/resources.ts";
import type { Action } from "./plan.ts";

export type Effects = {
  wrote(resource: Resource, object: KubeObject): void;
  deleting(resource: Resource, object: KubeObject): void;
};

/** Throws KubeError for a refusal; a conflict means the object changed and the whole plan is to be made anew. */
export const carryOut = async (action: Action, client: KubeClient, { effects, now }: { effects: Effects; now: number }): Promise<void> => {
  switch (action.do) {
    case "create":
      effects.wrote(action.resource, await client.create(action.resource, action.object));
      return;
    case "update":
      effects.wrote(
        action.resource,
        await client.update(action.resource, action.object, action.subresource === undefined ? {} : { subresource: action.subresource }),
      );
      return;
    case "patch":
      effects.wrote(action.resource, await client.patch(action.resource, action.key, action.patch));
      return;
    case "delete": {
      const { namespace, name, uid } = action.object.metadata;
      await client.delete(action.resource, namespace === undefined ? { name } : { namespace, name }, { ...action.opts, uid });
      effects.deleting(action.resource, action.object);
      return;
    }
    case "bind":
      await bind(client, action.pod as Pod, action.node);
      effects.wrote(RESOURCES.pods, { ...action.pod, spec: { ...(action.pod as Pod).spec, nodeName: action.node } } as Pod);
      return;
    case "event":
      await tell(client, action, now);
      return;
    default:
      throw new Error(`no such action: ${JSON.stringify(action satisfies never)}`);
  }
};

const bind = async (client: KubeClient, pod: Pod, node: string): Promise<void> => {
  const { namespace, name, uid } = pod.metadata;
  const binding = {
    apiVersion: "v1",
    kind: "Binding",
    metadata: { name, ...(namespace === undefined ? {} : { namespace }), ...(uid === undefined ? {} : { uid }) },
    target: { apiVersion: "v1", kind: "Node", name: node },
  };
  await client.create(RESOURCES.pods, binding, { subresource: "binding", parent: name });
};

/** One Event object per (object, reason, message), counted up. */
const tell = async (client: KubeClient, action: Extract<Action, { do: "event" }>, now: number): Promise<void> => {
  const { about, type, reason, message } = action;
  const namespace = about.metadata.namespace ?? "default";
  const digest = createHash("sha256").update(`${about.metadata.uid}${reason}${message}`).digest("hex").slice(0, 16);
  const at = new Date(now).toISOString().replace(/\.\d+Z$/, "Z");
  const event: Event = {
    metadata: { name: `${about.metadata.name}.${digest}`, namespace },
    involvedObject: {
      ...(about.apiVersion === undefined ? {} : { apiVersion: about.apiVersion }),
      ...(about.kind === undefined ? {} : { kind: about.kind }),
      namespace,
      name: about.metadata.name,
      ...(about.metadata.uid === undefined ? {} : { uid: about.metadata.uid }),
    },
    reason,
    message,
    type,
    count: 1,
    firstTimestamp: at,
    lastTimestamp: at,
    source: { component: "ambit-controllers" },
  };
  try {
    await client.create(RESOURCES.events, event);
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
    const key = { namespace, name: event.metadata.name };
    const known = await client.get<Event>(RESOURCES.events, key);
    await client.patch(RESOURCES.events, key, { type: "merge", body: { count: (known?.count ?? 0) + 1, lastTimestamp: at } });
  }
};
