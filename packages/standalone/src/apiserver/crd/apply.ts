// How do definitions take effect: registered when durable, their objects deleted before they go?

import type { KubeObject } from "../model/object.ts";
import type { Api } from "../rest/api.ts";
import { StorageError } from "../storage/log.ts";
import type { Change } from "../storage/store.ts";
import { planDelete } from "../write/delete.ts";
import { bucketOfCrd, CLEANUP_FINALIZER, CRD_BUCKET, isEnding, resourcesOf } from "./define.ts";

const BACKGROUND = { dryRun: false, graceSeconds: undefined, propagation: undefined, uid: undefined, resourceVersion: undefined };

/** Registers the stored definitions and follows changes until the returned function is called. */
export const applyDefinitions = (api: Pick<Api, "store" | "registry" | "writeEnv" | "log">): (() => void) => {
  const { store, registry } = api;

  const told = (p: Promise<void>): void => {
    p.catch((e: unknown) => {
      // The store has reported the failed commit; the next change or start tries again.
      if (!(e instanceof StorageError)) throw e;
    });
  };

  /** Deletes what is left of an ending definition's objects; when nothing is, lets the definition go. */
  const sweep = (name: string): void => {
    const crd = store.latest.get(CRD_BUCKET, name);
    if (crd === undefined || !isEnding(crd) || !(crd.metadata.finalizers ?? []).includes(CLEANUP_FINALIZER)) return;
    const bucket = bucketOfCrd(crd);
    const left = store.latest.list(bucket);
    const [resource] = resourcesOf(crd);
    if (left.length === 0 || resource === undefined) {
      const finalizers = (crd.metadata.finalizers ?? []).filter((f) => f !== CLEANUP_FINALIZER);
      const next: KubeObject = { ...crd, metadata: { ...crd.metadata, finalizers } };
      if (finalizers.length === 0) delete next.metadata.finalizers;
      told(store.stage(CRD_BUCKET, name, finalizers.length === 0 ? undefined : next).durable);
      return;
    }
    const env = api.writeEnv();
    for (const o of left) {
      const { write } = planDelete({ resource, namespace: o.metadata.namespace, name: o.metadata.name ?? "" }, BACKGROUND, env);
      if (write !== undefined) told(store.stage(write.bucket, write.key, write.object).durable);
    }
  };

  const watching = new Map<string, () => void>();
  const register = (crd: KubeObject): void => {
    const name = crd.metadata.name ?? "";
    registry.define(name, resourcesOf(crd));
    if (!isEnding(crd) || watching.has(name)) return;
    // Objects with finalizers of their own go later; each that goes may be the last.
    watching.set(
      name,
      store.subscribe(bucketOfCrd(crd), (changes) => {
        if (changes.some((c) => c.type === "DELETED")) sweep(name);
      }),
    );
    sweep(name);
  };
  const remove = (crd: KubeObject): void => {
    const name = crd.metadata.name ?? "";
    registry.define(name, []);
    watching.get(name)?.();
    watching.delete(name);
  };
  const follow = (c: Change): void => {
    if (c.type === "DELETED") {
      remove(c.object);
      return;
    }
    const same =
      c.prev !== undefined && c.prev.metadata.generation === c.object.metadata.generation && isEnding(c.prev) === isEnding(c.object);
    if (!same) register(c.object);
  };

  for (const crd of store.committed.list(CRD_BUCKET)) register(crd);
  const unsubscribe = store.subscribe(CRD_BUCKET, (changes) => {
    for (const c of changes) follow(c);
  });
  return () => {
    unsubscribe();
    for (const stop of watching.values()) stop();
  };
};
