// What does every kind of object look like now: one reflector per served resource, shared by all controllers?

import type { KubeClient } from "@ambit/shared/kube/client.ts";
import type { KubeObject } from "@ambit/shared/kube/objects/meta.ts";
import { createReflector, type ReflectorEvent } from "@ambit/shared/kube/reflector.ts";
import { type Resource, resourceName } from "@ambit/shared/kube/resources.ts";
import type { World } from "@ambit/shared/runtime/world.ts";

export type Informers = {
  /** Starts what is missing and stops what is no longer served (its objects are reported deleted). */
  serve(resources: readonly Resource[]): void;
  served(): readonly Resource[];
  /** Resolves when all those now served have been listed; rejects with the signal's reason. */
  synced(signal: AbortSignal): Promise<void>;
  /** Ends all reflectors. */
  stop(): Promise<void>;
};

export type Told = (resource: Resource, events: readonly ReflectorEvent<KubeObject>[]) => void;

type Running = {
  readonly resource: Resource;
  readonly stop: AbortController;
  readonly done: Promise<void>;
  readonly synced: (signal: AbortSignal) => Promise<void>;
  readonly list: () => readonly KubeObject[];
};

export const createInformers = (
  deps: { client: KubeClient; world: World; log: (event: string, fields: object) => void },
  told: Told,
): Informers => {
  const running = new Map<string, Running>();
  const start = (resource: Resource): Running => {
    const stop = new AbortController();
    const reflector = createReflector<KubeObject>({ ...deps, resource });
    reflector.subscribe((events) => {
      if (!stop.signal.aborted) told(resource, events);
    });
    return {
      resource,
      stop,
      done: reflector.run(stop.signal),
      synced: (signal) => reflector.synced(AbortSignal.any([signal, stop.signal])),
      list: () => reflector.list(),
    };
  };
  const end = (r: Running): Promise<void> => {
    r.stop.abort(new Error(`${resourceName(r.resource)} is no longer watched`));
    return r.done;
  };
  return {
    serve: (resources) => {
      const names = new Set(resources.map(resourceName));
      for (const [name, r] of running) {
        if (names.has(name)) continue;
        running.delete(name);
        void end(r);
        told(
          r.resource,
          r.list().map((old) => ({ type: "delete", old })),
        );
      }
      for (const r of resources) if (!running.has(resourceName(r))) running.set(resourceName(r), start(r));
    },
    served: () => [...running.values()].map((r) => r.resource),
    synced: async (signal) => {
      await Promise.all([...running.values()].map((r) => r.synced(signal)));
    },
    stop: async () => {
      await Promise.all([...running.values()].map(end));
    },
  };
};
