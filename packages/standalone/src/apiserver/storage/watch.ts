// When does an object appear?

import type { World } from "@ambit/shared/runtime/world.ts";
import type { Store } from "./store.ts";

/** Resolves when the object is there, the time is over or the signal aborts; the caller looks for itself. */
export const appeared = async (
  store: Pick<Store, "latest" | "subscribe">,
  { bucket, key, ms }: { bucket: string; key: string; ms: number },
  { world, signal }: { world: World; signal: AbortSignal },
): Promise<void> => {
  if (store.latest.get(bucket, key) !== undefined) return;
  const done = new AbortController();
  const unsubscribe = store.subscribe(bucket, (changes) => {
    if (changes.some((c) => c.key === key)) done.abort();
  });
  const over = AbortSignal.any([signal, done.signal]);
  try {
    await world.sleep(ms, over);
  } catch (e) {
    if (!over.aborted) throw e;
  } finally {
    unsubscribe();
  }
};
