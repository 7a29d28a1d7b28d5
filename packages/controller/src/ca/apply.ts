// How does every namespace learn the roots and the revocation lists? (ConfigMaps istio-ca-root-cert and istio-ca-crl)

import type { KubeClient } from "@ambit/shared/kube/client.ts";
import { KubeError } from "@ambit/shared/kube/error.ts";
import type { ConfigMap, Namespace } from "@ambit/shared/kube/objects/core.ts";
import { createReflector } from "@ambit/shared/kube/reflector.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { Collection } from "../collections/core.ts";
import { createQueue } from "../work/run.ts";

/** Names and keys as Istio's proxies mount them; the field manager is named after the ConfigMap. */
export const ROOT_CERT = { name: "istio-ca-root-cert", key: "root-cert.pem" } as const;
export const CRL = { name: "istio-ca-crl", key: "ca-crl.pem" } as const;

export type PublishOptions = {
  readonly client: KubeClient;
  readonly namespaces: Collection<Namespace>;
  readonly map: { readonly name: string; readonly key: string };
  /** What stands in it now; undefined: it is not kept (one that is there stays as it is). */
  readonly content: () => string | undefined;
  /** Calls the listener when the content is another one. */
  readonly onChange: (listener: () => void) => () => void;
  readonly world: World;
  readonly log: (event: string, fields: object) => void;
};

/** A namespace that is going away takes no new objects. */
const takesObjects = (ns: Namespace): boolean => ns.metadata.deletionTimestamp === undefined && ns.status?.phase !== "Terminating";

/** Keeps the ConfigMap right in every namespace until the signal aborts: what somebody changes or deletes is put back. */
export const publishToNamespaces = async (options: PublishOptions, signal: AbortSignal): Promise<void> => {
  const { client, namespaces, map, content, world, log } = options;
  const maps = createReflector<ConfigMap>({
    client,
    resource: RESOURCES.configMaps,
    fieldSelector: `metadata.name=${map.name}`,
    world,
    log,
  });
  const work = async (name: string): Promise<void> => {
    const ns = namespaces.get(name);
    const text = content();
    if (ns === undefined || text === undefined || !takesObjects(ns)) return;
    if (maps.get(`${name}/${map.name}`)?.data?.[map.key] === text) return;
    const body = { metadata: { name: map.name, namespace: name, labels: { "istio.io/config": "true" } }, data: { [map.key]: text } };
    try {
      const key = { namespace: name, name: map.name };
      await client.patch(RESOURCES.configMaps, key, { type: "apply", body, fieldManager: map.name, force: true });
    } catch (error) {
      // The namespace went away between our look and our write.
      if (error instanceof KubeError && (error.status === 404 || (error.status === 403 && namespaces.get(name) === undefined))) return;
      throw error;
    }
  };
  const queue = createQueue({
    world,
    work,
    onError: (namespace, error) =>
      log("config_map_not_written", { name: map.name, namespace, error: error instanceof Error ? error.message : String(error) }),
  });
  const running = maps.run(signal);
  await maps.synced(signal);
  maps.subscribe((events) => {
    for (const e of events) queue.add((e.type === "delete" ? e.old : e.object).metadata.namespace ?? "");
  });
  const stops = [
    namespaces.subscribe((changes) => {
      for (const c of changes) queue.add(c.key);
    }),
    options.onChange(() => {
      for (const ns of namespaces.list()) queue.add(ns.metadata.name);
    }),
  ];
  await queue.run(signal);
  for (const stop of stops) stop();
  await running;
};
