// How is a wait given a time limit that also ends the work?

import { deadline } from "@ambit/shared/runtime/deadline.ts";
import type { World } from "@ambit/shared/runtime/world.ts";

export type Limit = Disposable & { readonly signal: AbortSignal };

/** Aborts with `late()` after ms, or as the given signal does; dispose when the work is done. Without ms it is the signal itself. */
export const within = (
  world: World,
  ms: number | undefined,
  { signal, late }: { readonly signal: AbortSignal; readonly late: () => Error },
): Limit => {
  if (ms === undefined) return { signal, [Symbol.dispose]: () => {} };
  const limit = new AbortController();
  const onAbort = (): void => limit.abort(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  const done = deadline(world, ms, () => limit.abort(late()));
  return {
    signal: limit.signal,
    [Symbol.dispose]: () => {
      signal.removeEventListener("abort", onAbort);
      done();
    },
  };
};
