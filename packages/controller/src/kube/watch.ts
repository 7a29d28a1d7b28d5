// How do Kubernetes objects get into the graph, also of kinds that are installed later?

import type { KubeClient } from "@ambit/shared/kube/client.ts";
import { type KubeObject, keyOf } from "@ambit/shared/kube/objects/meta.ts";
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

const createFeed = <T extends KubeObject>(
  options: SourcesOptions,
  to: { readonly resource: Resource; readonly into: StaticCollection<T>; readonly wanted: (object: T) => boolean },
): Feed => {
  const { client, graph, world, log } = options;
  const { resource, into, wanted } = to;
  return {
    resource,
    start: (signal) => {
      const source = createReflector<T>({ client, resource, world, log });
      const stop = source.subscribe((events) =>
        graph.batch(() => {
          for (const e of events) pour(e, into, wanted);
        }),
      );
      // What is held stays when we stop: proxies must not be told that everything has gone.
      return { synced: firstList(source, signal), done: source.run(signal).finally(stop) };
    },
    clear: () => into.replace([]),
  };
};

/** An object that is not (or no longer) wanted is as good as deleted. */
const pour = <T extends KubeObject>(e: ReflectorEvent<T>, into: StaticCollection<T>, wanted: (object: T) => boolean): void => {
  if (e.type === "upsert" && wanted(e.object)) into.set(keyOf(e.object), e.object);
  else into.delete(keyOf(e.type === "upsert" ? e.object : e.old));
};

/** Resolves also when the kind stops being served meanwhile. */
const firstList = <T extends KubeObject>(source: Reflector<T>, signal: AbortSignal): Promise<void> =>
  Promise.race([source.synced(), aborted(signal)]);

const feedsOf = (options: SourcesOptions): { readonly builtIn: readonly Feed[]; readonly custom: readonly Feed[] } => {
  const { inputs, revision } = options;
  const any = <T extends KubeObject>(resource: Resource, into: StaticCollection<T>): Feed =>
    createFeed(options, { resource, into, wanted: () => true });
  const ours = <T extends KubeObject>(resource: Resource, into: StaticCollection<T>): Feed =>
    createFeed(options, { resource, into, wanted: (o) => isOurs(o, revision) });
  return {
    builtIn: [
      any(RESOURCES.namespaces, inputs.namespaces),
      any(RESOURCES.nodes, inputs.nodes),
      any(RESOURCES.services, inputs.services),
      any(RESOURCES.pods, inputs.pods),
      any(RESOURCES.endpointSlices, inputs.endpointSlices),
      any(RESOURCES.deployments, inputs.deployments),
      any(RESOURCES.serviceAccounts, inputs.serviceAccounts),
    ],
    custom: [
      any(RESOURCES.gatewayClasses, inputs.gatewayClasses),
      ours(RESOURCES.gateways, inputs.gateways),
      ours(RESOURCES.httpRoutes, inputs.httpRoutes),
      ours(RESOURCES.authorizationPolicies, inputs.authorizationPolicies),
      ours(RESOURCES.peerAuthentications, inputs.peerAuthentications),
      ours(RESOURCES.requestAuthentications, inputs.requestAuthentications),
    ],
  };
};

/** Starts and stops the feeds of custom kinds as their definitions come and go. */
const followCustom = (feeds: readonly Feed[], signal: AbortSignal) => {
  const running = new Map<Feed, Running & { readonly stop: AbortController }>();
  const ended: Promise<void>[] = [];
  return {
    follow: (served: ReadonlySet<string>): void => {
      for (const feed of feeds) {
        const name = resourceName(feed.resource);
        const at = running.get(feed);
        if (served.has(name) && at === undefined) {
          const stop = new AbortController();
          running.set(feed, { stop, ...feed.start(AbortSignal.any([signal, stop.signal])) });
        } else if (!served.has(name) && at !== undefined) {
          at.stop.abort(new Error(`${name} is no longer served`));
          running.delete(feed);
          ended.push(at.done.then(feed.clear));
        }
      }
    },
    synced: () => Promise.all([...running.values()].map((r) => r.synced)),
    done: () => Promise.all([...[...running.values()].map((r) => r.done), ...ended]),
  };
};

export const createSources = (options: SourcesOptions): Sources => {
  const { client, world, log } = options;
  const { builtIn, custom } = feedsOf(options);
  const ready = Promise.withResolvers<void>();
  ready.promise.catch(() => undefined); // whoever waits in synced() hears of it
  const run = async (signal: AbortSignal): Promise<void> => {
    const crds = createReflector<CustomResourceDefinition>({ client, resource: RESOURCES.customResourceDefinitions, world, log });
    const customs = followCustom(custom, signal);
    const follow = (): void => {
      const served = servedNames(crds.list());
      options.served.replace([...served].map((name) => [name, name]));
      customs.follow(served);
    };
    crds.subscribe(follow);
    const always = builtIn.map((f) => f.start(signal));
    const everything = async (): Promise<void> => {
      await crds.synced(signal);
      follow();
      await Promise.all([...always.map((r) => r.synced), customs.synced()]);
    };
    everything().then(ready.resolve, ready.reject);
    await Promise.all([crds.run(signal), ...always.map((r) => r.done)]);
    await customs.done();
  };
  return {
    run,
    synced: (signal) => Promise.race([ready.promise, aborted(signal).then(() => Promise.reject(signal.reason))]),
  };
};
