// How do a pod's readers learn what happened to it (kubectl describe)?

import type { KubeClient } from "@ambit/shared/kube/client.ts";
import type { Event } from "@ambit/shared/kube/objects/core.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { KubeletDeps, Log } from "./deps.ts";

const QUEUE = 200;

/** Writes Events one after the other in the background; equal ones are counted up. What the API does not take is logged and dropped. */
export const createEventWriter = (deps: {
  readonly client: KubeClient;
  readonly world: World;
  readonly log: Log;
  readonly node: string;
}): KubeletDeps["event"] => {
  const queue: Event[] = [];
  const counts = new Map<string, { readonly name: string; count: number }>();
  let working = false;
  const work = async (): Promise<void> => {
    for (let event = queue.shift(); event !== undefined; event = queue.shift()) {
      const key = { namespace: event.metadata.namespace ?? "default", name: event.metadata.name };
      try {
        if ((event.count ?? 1) > 1)
          await deps.client.patch<Event>(RESOURCES.events, key, {
            type: "merge",
            body: { count: event.count, lastTimestamp: event.lastTimestamp },
          });
        else await deps.client.create<Event>(RESOURCES.events, event);
      } catch (e) {
        deps.log.info("event not written", { event: event.reason, error: e instanceof Error ? e.message : String(e) });
      }
    }
    working = false;
  };
  return (pod, e) => {
    const id = `${pod.uid} ${e.reason} ${e.message}`;
    const now = deps.world.now();
    const held = counts.get(id) ?? { name: `${pod.name}.${Math.floor(now * 1e6 + deps.world.random() * 1e6).toString(16)}`, count: 0 };
    held.count += 1;
    counts.set(id, held);
    if (counts.size > 1000) counts.delete(counts.keys().next().value ?? "");
    if (queue.length >= QUEUE) return;
    const stamp = new Date(now).toISOString().replace(/\.\d+Z$/, "Z");
    queue.push({
      metadata: { namespace: pod.namespace, name: held.name },
      involvedObject: { apiVersion: "v1", kind: "Pod", namespace: pod.namespace, name: pod.name, uid: pod.uid },
      reason: e.reason,
      message: e.message,
      type: e.type,
      count: held.count,
      firstTimestamp: stamp,
      lastTimestamp: stamp,
      source: { component: "kubelet", host: deps.node },
      reportingComponent: "kubelet",
    });
    if (!working) {
      working = true;
      void work();
    }
  };
};
