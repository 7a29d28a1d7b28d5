// How do Kubernetes objects get into the graph, also of kinds that are installed later?

import type { KubeClient } from "@ambit/shared/kube/client.ts";
import { type KubeObject, keyOf } from "@ambit/shared/kube/objects.ts";
import { createReflector, type Reflector, type ReflectorEvent } from "@ambit/shared/kube/reflector.ts";
import { RESOURCES, type Resource, resourceName } from "@ambit/shared/kube/resources.ts";
import { aborted } from "@ambit/shared/runtime/run.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { Graph } from "../collections/core.ts";
import type { StaticCollection } from "../collections/static.ts";
import type { Inputs } from "../model/inputs.ts";
import { isOurs } from "../model/settings.ts";
import { type CustomResourceDefinition, servedNames } from "./served.ts";

export type SourcesOptions = {
  readonly client: KubeClient;
  readonly graph: Graph;
  readonly inputs: Inputs;
  /** Told which custom kinds are served, by name ("gateways.gateway.networking.k8s.io"). */
  readonly served: StaticCollection<string>;
  readonly revision: string;
  readonly world: World;
  readonly log: (event: string, fields: object) => void;
};

export type Sources = {
  /** Follows all kinds until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when every kind that is served has been listed: what is not served has no objects. */
  synced(signal: AbortSignal): Promise<void>;
};

type Running = { readonly synced: Promise<void>; readonly done: Promise<void> };
type Feed = {
  readonly resource: Resource;
  start(signal: AbortSignal): Running;
  /** The kind has gone, and all its objects with it. */
  clear(): void;
};

export const createSources = (options: SourcesOptions): Sources => {
  const { client, graph, inputs, revision, world, log } = options;
  const reflector = <T extends KubeObject>(resource: Resource) => createReflector<T>({ client, resource, world, log });

  const feed = <T extends KubeObject>(
    resource: Resource,
    into: StaticCollection<T>,
    wanted: (object: T) => boolean = () => true,
  ): Feed => ({
    resource,
    start: (signal) => {
      const source = reflector<T>(resource);
      const stop = source.subscribe((events) =>
        graph.batch(() => {
          for (const e of events) pour(e, into, wanted);
        }),
      );
      // What is held stays when we stop: proxies must not be told that everything has gone.
      const done = source.run(signal).finally(stop);
      return { synced: firstList(source, signal), done };
    },
    clear: () => into.replace([]),
  });
  const ours = (o: KubeObject): boolean => isOurs(o, revision);

  const builtIn: readonly Feed[] = [
    feed(RESOURCES.namespaces, inputs.namespaces),
    feed(RESOURCES.nodes, inputs.nodes),
    feed(RESOURCES.services, inputs.services),
    feed(RESOURCES.pods, inputs.pods),
    feed(RESOURCES.endpointSlices, inputs.endpointSlices),
    feed(RESOURCES.deployments, inputs.deployments),
  ];
  const custom: readonly Feed[] = [
    feed(RESOURCES.gatewayClasses, inputs.gatewayClasses),
    feed(RESOURCES.gateways, inputs.gateways, ours),
    feed(RESOURCES.httpRoutes, inputs.httpRoutes, ours),
    feed(RESOURCES.authorizationPolicies, inputs.authorizationPolicies, ours),
    feed(RESOURCES.peerAuthentications, inputs.peerAuthentications, ours),
    feed(RESOURCES.serviceEntries, inputs.serviceEntries, ours),
    feed(RESOURCES.workloadEntries, inputs.workloadEntries, ours),
  ];

  const ready = Promise.withResolvers<void>();
  const run = async (signal: AbortSignal): Promise<void> => {
    const crds = reflector<CustomResourceDefinition>(RESOURCES.customResourceDefinitions);
    const running = new Map<string, Running & { readonly stop: AbortController }>();
    const ended: Promise<void>[] = [];
    const follow = (): void => {
      const served = servedNames(crds.list());
      options.served.replace([...served].map((name) => [name, name]));
      for (const f of custom) {
        const name = resourceName(f.resource);
        const at = running.get(name);
        if (served.has(name) && at === undefined) {
          const stop = new AbortController();
          running.set(name, { stop, ...f.start(AbortSignal.any([signal, stop.signal])) });
        } else if (!served.has(name) && at !== undefined) {
          at.stop.abort(new Error(`${name} is no longer served`));
          running.delete(name);
          ended.push(at.done.then(f.clear));
        }
      }
    };
    crds.subscribe(follow);
    const followingCrds = crds.run(signal);
    const always = builtIn.map((f) => f.start(signal));
    const everything = async (): Promise<void> => {
      await crds.synced(signal);
      follow();
      await Promise.all([...always, ...running.values()].map((r) => r.synced));
    };
    everything().then(ready.resolve, (cause: unknown) => {
      if (signal.aborted) ready.reject(cause);
      else ready.reject(new Error("the first list of Kubernetes objects failed", { cause }));
    });
    ready.promise.catch(() => undefined); // whoever waits in synced() hears of it
    await Promise.all([followingCrds, ...always.map((r) => r.done)]);
    await Promise.all([...[...running.values()].map((r) => r.done), ...ended]);
  };
  return {
    run,
    synced: (signal) => Promise.race([ready.promise, aborted(signal).then(() => Promise.reject(signal.reason))]),
  };
};

/** Resolves also when the kind stops being served meanwhile. */
const firstList = <T extends KubeObject>(source: Reflector<T>, signal: AbortSignal): Promise<void> =>
  Promise.race([source.synced(), aborted(signal)]);

/** An object that is not (or no longer) wanted is as good as deleted. */
const pour = <T extends KubeObject>(e: ReflectorEvent<T>, into: StaticCollection<T>, wanted: (object: T) => boolean): void => {
  if (e.type === "upsert" && wanted(e.object)) into.set(keyOf(e.object), e.object);
  else into.delete(keyOf(e.type === "upsert" ? e.object : e.old));
};
