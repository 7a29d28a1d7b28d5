// How long does a connection wait for its pod's own workload to arrive?

import { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { Workload } from "@ambit/shared/state/types.ts";
import type { LocalWorkload } from "@ambit/shared/state/view.ts";
import type { MeshState } from "./apply.ts";

const WAIT_MS = 5_000;

/** The workload that was announced by name, at once when it is known. Throws MeshError UNKNOWN_SOURCE after 5 s, or the signal's reason. */
export const ownWorkload = (
  state: Pick<MeshState, "view" | "onCommit">,
  who: LocalWorkload,
  how: { world: World; signal: AbortSignal },
): Promise<Workload> => {
  const now = state.view.workloadByName(who);
  if (now !== undefined) return Promise.resolve(now);
  return new Promise((resolve, reject) => {
    const timer = new AbortController();
    const settle = (): void => {
      timer.abort();
      off();
      how.signal.removeEventListener("abort", onAbort);
    };
    const onAbort = (): void => {
      settle();
      reject(how.signal.reason);
    };
    const off = state.onCommit(() => {
      const found = state.view.workloadByName(who);
      if (found === undefined) return;
      settle();
      resolve(found);
    });
    if (how.signal.aborted) return onAbort();
    how.signal.addEventListener("abort", onAbort, { once: true });
    how.world.sleep(WAIT_MS, timer.signal).then(
      () => {
        settle();
        reject(
          new MeshError(
            "UNKNOWN_SOURCE",
            `the workload of pod ${who.namespace}/${who.name} (service account ${who.serviceAccount}) is not known`,
          ),
        );
      },
      () => {}, // the timer was stopped: it is settled
    );
  });
};
