// Which pods are served by this very process, so that their neighbours need no tunnel to reach them?

import type { Workload } from "@ambit/shared/state/types.ts";
import type { LocalWorkload } from "@ambit/shared/state/view.ts";
import type { IncomingRequest } from "../../inbound/types.ts";
import type { Pod } from "../../pod.ts";

export type LocalPod = {
  readonly pod: Pod;
  /** Decides and carries as if the request had come through a tunnel. Never rejects. */
  serve(request: IncomingRequest): Promise<void>;
  /** True while the pod could prove its identity in a handshake. */
  certified(): boolean;
};

export type LocalPods = {
  /** From now until disposed: when the pod is told to leave, neighbours go through its tunnel and hear what that says. */
  add(pod: LocalPod): Disposable;
  /** The pod of the workload, when both it and the caller are served here and both could complete a handshake. */
  find(from: Pod, to: Workload): LocalPod | undefined;
  /** Whether `find` would, for the pod of that name. */
  areNeighbours(from: LocalWorkload, to: Workload): boolean;
};

const keyOf = (who: LocalWorkload): string => `${who.namespace}/${who.name}/${who.serviceAccount}`;

/** One per data thread: both pods of a pair are served by every thread. */
export const createLocalPods = (): LocalPods => {
  const pods = new Map<string, LocalPod>();
  const pair = (from: LocalWorkload, to: Workload): { readonly here: LocalPod; readonly there: LocalPod } | undefined => {
    const there = pods.get(keyOf(to));
    const here = pods.get(keyOf(from));
    return here?.certified() === true && there?.certified() === true ? { here, there } : undefined;
  };
  return {
    add: (local) => {
      const key = keyOf(local.pod.who);
      pods.set(key, local);
      return {
        [Symbol.dispose]: () => {
          if (pods.get(key) === local) pods.delete(key);
        },
      };
    },
    find: (from, to) => {
      const found = pair(from.who, to);
      return found?.here.pod === from ? found.there : undefined;
    },
    areNeighbours: (from, to) => pair(from, to) !== undefined,
  };
};
