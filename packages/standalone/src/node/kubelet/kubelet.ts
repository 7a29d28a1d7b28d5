// Which pods belong to this node, and who works on each?

import type { ConfigMap, Secret } from "@ambit/shared/kube/objects/core.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import type { Reflector } from "@ambit/shared/kube/reflector.ts";
import { freePodNumber } from "../network/addresses.ts";
import type { PodRecord } from "../pod/record.ts";
import type { KubeletDeps } from "./deps.ts";
import type { RecordStore } from "./records.ts";
import { createPodWorker, type PodWorker } from "./worker.ts";

export type Kubelet = {
  /** The worker of a pod by namespace and name; the newest where an older pod of that name is still ending. */
  find(namespace: string, name: string): PodWorker | undefined;
  workers(): readonly PodWorker[];
  /** Lets go of everything and leaves the pods running. */
  leave(): Promise<void>;
};

export type KubeletSources = {
  readonly pods: Reflector<Pod>;
  readonly configMaps: Reflector<ConfigMap>;
  readonly secrets: Reflector<Secret>;
};

/**
 * Takes over what an earlier kubelet left (from the records), then follows the API: a worker for every pod bound to this node;
 * pods that the API no longer has are ended, once the first list is in.
 */
export const startKubelet = (deps: KubeletDeps, sources: KubeletSources, records: RecordStore): Kubelet => {
  const workers = new Map<string, PodWorker>();

  const add = (record: PodRecord, fresh: boolean): PodWorker => {
    const worker = createPodWorker({ deps, records, record, fresh });
    workers.set(record.uid, worker);
    worker.gone
      .then(() => {
        workers.delete(record.uid);
        // A pod that waited for a free address gets its turn.
        for (const pod of sources.pods.list()) if (!workers.has(pod.metadata.uid ?? "")) upsert(pod);
      })
      .catch((e: unknown) => deps.log.warn("pod worker failed", { pod: record.name, error: String(e) }));
    return worker;
  };
  const numbers = (): ReadonlySet<number> => new Set([...workers.values()].flatMap((w) => w.record().number ?? []));

  const upsert = (pod: Pod): void => {
    const uid = pod.metadata.uid ?? "";
    const held = workers.get(uid);
    if (held !== undefined) {
      held.update(pod);
      return;
    }
    const ended = pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
    if (ended && pod.metadata.deletionTimestamp === undefined) return;
    const hostNetwork = pod.spec.hostNetwork === true;
    const number = hostNetwork || ended ? undefined : freePodNumber(numbers());
    const ref = { namespace: pod.metadata.namespace ?? "default", name: pod.metadata.name, uid };
    if (!hostNetwork && !ended && number === undefined) {
      deps.event(ref, { type: "Warning", reason: "FailedCreatePodSandBox", message: "no pod address is free on this node" });
      return;
    }
    const record: PodRecord = {
      ...ref,
      number,
      startTime: deps.world.now(),
      graceSeconds: pod.spec.terminationGracePeriodSeconds ?? 30,
      containers: {},
    };
    records.save(record);
    add(record, true).update(pod);
  };

  for (const record of records.load()) add(record, false);

  const notify = (
    kind: "configMap" | "secret",
    events: readonly ({ type: "upsert"; object: ConfigMap } | { type: "delete"; old: ConfigMap })[],
  ): void => {
    for (const e of events) {
      const { namespace, name } = (e.type === "upsert" ? e.object : e.old).metadata;
      for (const w of workers.values()) if (w.ref.namespace === namespace) w.changed(kind, name);
    }
  };
  const unsubscribe: (() => void)[] = [];
  let left = false;
  // Pods wait for the first list of what they read: before it an optional ConfigMap would look absent, and its files be taken away.
  const follow = async (): Promise<void> => {
    await Promise.all([sources.configMaps.synced(), sources.secrets.synced()]);
    if (left) return;
    unsubscribe.push(
      sources.configMaps.subscribe((events) => notify("configMap", events)),
      sources.secrets.subscribe((events) => notify("secret", events)),
      sources.pods.subscribe((events) => {
        for (const e of events) {
          if (e.type === "upsert") upsert(e.object);
          else workers.get(e.old.metadata.uid ?? "")?.removed();
        }
      }),
    );
    await sources.pods.synced();
    const wanted = new Set(sources.pods.list().map((p) => p.metadata.uid));
    for (const [uid, w] of workers) if (!wanted.has(uid)) w.removed();
  };
  follow().catch((e: unknown) => deps.log.warn("the pods were never listed", { error: String(e) }));

  return {
    find: (namespace, name) => [...workers.values()].findLast((w) => w.ref.namespace === namespace && w.ref.name === name),
    workers: () => [...workers.values()],
    leave: async () => {
      left = true;
      for (const u of unsubscribe) u();
      await Promise.all([...workers.values()].map((w) => w.leave()));
    },
  };
};
