// How long may a peer keep us waiting, when that changes all the time?

import type { World } from "@ambit/shared/runtime/world.ts";

type Patience = Disposable & {
  /** From now on the peer has so long; undefined: it is not the peer who is waited for. */
  wait(ms: number | undefined): void;
};

/** Calls `late` once when the time was over. One timer, set anew only when it would ring too late: waits may change at every request. */
export const patience = (world: Pick<World, "now" | "sleep">, late: () => void): Patience => {
  let due: number | undefined;
  let timer: { readonly rings: number; readonly stop: AbortController } | undefined;
  const clear = (): void => {
    timer?.stop.abort();
    timer = undefined;
  };
  const ring = (): void => {
    timer = undefined;
    if (due === undefined) return;
    if (world.now() >= due) {
      due = undefined;
      late();
    } else set(due);
  };
  const set = (rings: number): void => {
    clear();
    const stop = new AbortController();
    timer = { rings, stop };
    // The only rejection of sleep is our own abort.
    world.sleep(Math.max(1, rings - world.now()), stop.signal).then(ring, () => undefined);
  };
  return {
    wait: (ms) => {
      due = ms === undefined ? undefined : world.now() + ms;
      if (due !== undefined && (timer === undefined || timer.rings > due)) set(due);
    },
    [Symbol.dispose]: () => {
      due = undefined;
      clear();
    },
  };
};
