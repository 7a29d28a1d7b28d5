// How does a pod's status reach the API server, and how is its deletion completed there?

import { isNotFound } from "@ambit/shared/kube/error.ts";
import type { Pod, PodStatus } from "@ambit/shared/kube/objects/pod.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import type { PodRef } from "../container/logs.ts";
import type { KubeletDeps } from "./deps.ts";
import { createWorkLoop } from "./loop.ts";

export type StatusWriter = {
  /** The newest status; what was not written yet is passed over. */
  write(status: PodStatus): void;
  /** Ends after the last status is written (or the pod is gone from the API). */
  close(): Promise<void>;
  stop(): void;
};

/** Writes in the background, so that containers go on being run while the API server is away. */
export const createStatusWriter = (deps: Pick<KubeletDeps, "client" | "world" | "log">, pod: PodRef): StatusWriter => {
  let wanted: PodStatus | undefined;
  let written = "";
  const idle = { promise: Promise.resolve(), resolve: () => {} };
  const loop = createWorkLoop(
    deps.world,
    async () => {
      const status = wanted;
      const text = JSON.stringify(status);
      if (status !== undefined && text !== written) {
        try {
          const body = { metadata: { uid: pod.uid }, status };
          await deps.client.patch<Pod>(
            RESOURCES.pods,
            { namespace: pod.namespace, name: pod.name },
            { type: "merge", body, subresource: "status" },
          );
        } catch (e) {
          if (!isNotFound(e)) throw e; // a pod that is gone needs no status
        }
        written = text;
      }
      if (wanted === status) idle.resolve();
    },
    (e) => deps.log.warn("status not written", { pod: `${pod.namespace}/${pod.name}`, error: e instanceof Error ? e.message : String(e) }),
  );
  return {
    write: (status) => {
      if (JSON.stringify(status) === JSON.stringify(wanted)) return;
      if (wanted === undefined || JSON.stringify(wanted) === written) Object.assign(idle, Promise.withResolvers<void>());
      wanted = status;
      loop.kick();
    },
    close: () => idle.promise,
    stop: () => void loop.stop(),
  };
};

/** The kubelet's last word: everything of the pod is gone from the node, so the object may go. */
export const confirmDeletion = (deps: Pick<KubeletDeps, "client">, pod: PodRef): Promise<void> =>
  deps.client.delete(RESOURCES.pods, { namespace: pod.namespace, name: pod.name }, { gracePeriodSeconds: 0, uid: pod.uid });
