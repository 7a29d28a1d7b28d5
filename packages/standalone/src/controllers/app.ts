// How do all controllers run together on one picture of the cluster?

import type { KubeClient } from "@ambit/shared/kube/client.ts";
import type { KubeObject } from "@ambit/shared/kube/objects/meta.ts";
import type { ReflectorEvent } from "@ambit/shared/kube/relist.ts";
import { RESOURCES, type Resource, resourceName } from "@ambit/shared/kube/resources.ts";
import { backoffMs } from "@ambit/shared/runtime/backoff.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import { daemonSetController } from "./daemonset/reconcile.ts";
import { deploymentController } from "./deployment/reconcile.ts";
import { discover } from "./discovery/client.ts";
import { endpointSliceController } from "./endpointslice/reconcile.ts";
import type { Effects } from "./engine/apply.ts";
import type { Cache } from "./engine/cache.ts";
import { createInformers } from "./engine/informers.ts";
import { createLoop, type Loop } from "./engine/run.ts";
import type { Controller, KindName, View } from "./engine/view.ts";
import { type Caches, createCaches, kindOf, viewOf } from "./engine/world-view.ts";
import { createCollector } from "./gc/run.ts";
import { jobController } from "./job/reconcile.ts";
import { nodeController } from "./nodes/reconcile.ts";
import { podGcController } from "./podgc/reconcile.ts";
import { replicaSetController } from "./replicaset/reconcile.ts";
import { schedulerController } from "./scheduler/reconcile.ts";
import { serviceAccountController } from "./serviceaccount/reconcile.ts";

export type ControllersDeps = {
  readonly client: KubeClient;
  /** PEM of the API server's CA, for kube-root-ca.crt. */
  readonly rootCa: string;
  readonly world: World;
  readonly log: (event: string, fields: object) => void;
};

const OWN_WRITE_MS = 30_000;

/** Runs until the signal aborts; the API server may come and go meanwhile. */
export const runControllers = async (deps: ControllersDeps, signal: AbortSignal): Promise<void> => {
  const { client, world, log } = deps;
  const caches = createCaches();
  const view = viewOf(caches, () => world.now());
  const effects = effectsOn(caches, world);
  const controllers: readonly Controller[] = [
    schedulerController,
    deploymentController,
    replicaSetController,
    daemonSetController,
    jobController,
    endpointSliceController,
    serviceAccountController(deps.rootCa),
    podGcController,
    nodeController,
  ];
  const loops = controllers.map((c) => ({
    controller: c,
    loop: createLoop({ name: c.name, plan: (key) => c.reconcile(view, key), client, effects, world, log }),
  }));
  const informers = createInformers({ client, world, log }, (resource, events) => told(resource, events));
  const collector = createCollector({ client, view, served: () => informers.served() });
  const collecting = createLoop({ name: "gc", plan: (uid) => collector.planObject(uid), client, effects, world, log });
  const namespaces = createLoop({ name: "namespace", plan: (name) => collector.planNamespace(name), client, effects, world, log });
  // One key: discover anew. The CRD just changed may not be served yet, so look twice.
  const discovery = createLoop({
    name: "discovery",
    plan: async (key) => {
      informers.serve(await discover(client, signal));
      if (key === "first") discovery.look(["second"]);
      return { actions: [] };
    },
    client,
    effects,
    world,
    log,
  });

  const told = (resource: Resource, events: readonly ReflectorEvent<KubeObject>[]): void => {
    const kind = kindOf(resource);
    if (kind !== undefined) {
      (caches[kind] as Cache<KubeObject>).apply(events, world.now());
      for (const { controller, loop } of loops) loop.look(keysFor({ controller, kind, view }, events));
    }
    const { uids, namespaces: names } = collector.apply(resource, events);
    collecting.look(uids);
    namespaces.look(names);
    if (resourceName(resource) === resourceName(RESOURCES.customResourceDefinitions)) discovery.look(["crds"]);
  };

  await firstDiscovery({ client, world, log, signal }, (resources) => informers.serve(resources));
  if (signal.aborted) return;
  const all: readonly Loop[] = [...loops.map((l) => l.loop), collecting, namespaces, discovery];
  try {
    await informers.synced(signal);
    log("synced", { message: `${informers.served().length} resources listed; controllers start` });
    await Promise.all([...all.map((l) => l.run(signal)), expireOwnWrites({ caches, world, view, loops }, signal)]);
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await informers.stop();
  }
};

/** A trigger sees the object as it is, and as it was where it changed: a pod that left a service's selector concerns that service. */
const keysFor = <K extends KindName>(
  { controller, kind, view }: { controller: Controller; kind: K; view: View },
  events: readonly ReflectorEvent<KubeObject>[],
): string[] => {
  const trigger = controller.triggers[kind] as ((object: KubeObject, view: View) => readonly string[]) | undefined;
  if (trigger === undefined) return [];
  const keys = new Set<string>();
  for (const e of events) {
    const states = e.type === "delete" ? [e.old] : e.old === undefined ? [e.object] : [e.old, e.object];
    for (const state of states) for (const key of trigger(state, view)) keys.add(key);
  }
  return [...keys];
};

const effectsOn = (caches: Caches, world: World): Effects => {
  const cacheOf = (resource: Resource): Cache<KubeObject> | undefined => {
    const kind = kindOf(resource);
    return kind === undefined ? undefined : (caches[kind] as Cache<KubeObject>);
  };
  return {
    wrote: (resource, object) => cacheOf(resource)?.wrote(object, world.now()),
    deleting: (resource, object) => cacheOf(resource)?.deleting(object, world.now()),
  };
};

type Expiry = {
  readonly caches: Caches;
  readonly world: World;
  readonly view: View;
  readonly loops: readonly { readonly controller: Controller; readonly loop: Loop }[];
};

/** What we wrote and never saw come back (lost between two lists) is forgotten, and everybody looks again at that kind. */
const expireOwnWrites = async ({ caches, world, view, loops }: Expiry, signal: AbortSignal): Promise<void> => {
  while (!signal.aborted) {
    try {
      await world.sleep(OWN_WRITE_MS / 3, signal);
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    for (const [name, cache] of Object.entries(caches)) {
      if (cache.expire(world.now() - OWN_WRITE_MS).length === 0) continue;
      const events = (cache.list() as readonly KubeObject[]).map((object) => ({ type: "upsert" as const, object, old: undefined }));
      for (const { controller, loop } of loops) loop.look(keysFor({ controller, kind: name as KindName, view }, events));
    }
  }
};

const firstDiscovery = async (
  at: { client: KubeClient; world: World; log: (event: string, fields: object) => void; signal: AbortSignal },
  serve: (resources: readonly Resource[]) => void,
): Promise<void> => {
  for (let failures = 0; !at.signal.aborted; failures++) {
    try {
      serve(await discover(at.client, at.signal));
      return;
    } catch (error) {
      if (at.signal.aborted) return;
      if (failures === 0) at.log("discovery_failed", { message: `${error instanceof Error ? error.message : String(error)}; retrying` });
      await at.world.sleep(backoffMs(failures, at.world.random, { baseMs: 100, maxMs: 5_000 }), at.signal);
    }
  }
};
