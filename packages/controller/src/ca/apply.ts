// How does every namespace learn the root? (ConfigMap istio-ca-root-cert)

import type { KubeClient } from "@ambit/shared/kube/client.ts";
import { KubeError } from "@ambit/shared/kube/error.ts";
import type { ConfigMap, Namespace } from "@ambit/shared/kube/objects/core.ts";
import { createReflector } from "@ambit/shared/kube/reflector.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { Collection } from "../collections/core.ts";
import { createQueue } from "../work/run.ts";

const ROOT_CONFIG_MAP = "istio-ca-root-cert";
const KEY = "root-cert.pem";
const FIELD_MANAGER = "istio-ca-root-cert";

export type RootCertOptions = {
  readonly client: KubeClient;
  readonly namespaces: Collection<Namespace>;
  readonly rootPem: string;
  readonly world: World;
  readonly log: (event: string, fields: object) => void;
};

/** A namespace that is going away takes no new objects. */
const wantsRootCert = (ns: Namespace): boolean => ns.metadata.deletionTimestamp === undefined && ns.status?.phase !== "Terminating";

const isCurrent = (map: ConfigMap | undefined, rootPem: string): boolean => map?.data?.[KEY] === rootPem;

/** Keeps the ConfigMap right in every namespace until the signal aborts: what somebody changes or deletes is put back. */
export const publishRootCert = async (options: RootCertOptions, signal: AbortSignal): Promise<void> => {
  const { client, namespaces, rootPem, world, log } = options;
  const fieldSelector = `metadata.name=${ROOT_CONFIG_MAP}`;
  const maps = createReflector<ConfigMap>({ client, resource: RESOURCES.configMaps, fieldSelector, world, log });
  const work = async (name: string): Promise<void> => {
    const ns = namespaces.get(name);
    if (ns === undefined || !wantsRootCert(ns) || isCurrent(maps.get(`${name}/${ROOT_CONFIG_MAP}`), rootPem)) return;
    const body = { metadata: { name: ROOT_CONFIG_MAP, namespace: name, labels: { "istio.io/config": "true" } }, data: { [KEY]: rootPem } };
    try {
      const key = { namespace: name, name: ROOT_CONFIG_MAP };
      await client.patch(RESOURCES.configMaps, key, { type: "apply", body, fieldManager: FIELD_MANAGER, force: true });
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
      log("root_cert_not_written", { namespace, error: error instanceof Error ? error.message : String(error) }),
  });
  const running = maps.run(signal);
  await maps.synced(signal);
  maps.subscribe((events) => {
    for (const e of events) queue.add((e.type === "delete" ? e.old : e.object).metadata.namespace ?? "");
  });
  const stop = namespaces.subscribe((changes) => {
    for (const c of changes) queue.add(c.key);
  });
  await queue.run(signal);
  stop();
  await running;
};
