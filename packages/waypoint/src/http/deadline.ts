// How is work given a time limit that aborts it?

import type { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { HttpResponse } from "./message.ts";

export type Deadline = {
  /** Aborts with the parent, or with the error when the time is over. */
  readonly signal: AbortSignal;
  /** The work is done: no timer stays behind. */
  clear(): void;
};

export const deadlineOf = (parent: AbortSignal, ms: number, d: { world: Pick<World, "sleep">; error: MeshError }): Deadline => {
  const work = new AbortController();
  const timer = new AbortController();
  const onParent = (): void => work.abort(parent.reason);
  const clear = (): void => {
    timer.abort();
    parent.removeEventListener("abort", onParent);
  };
  if (parent.aborted) onParent();
  else parent.addEventListener("abort", onParent, { once: true });
  // sleep rejects only when the timer is cleared.
  d.world.sleep(ms, timer.signal).then(
    () => {
      clear();
      work.abort(d.error);
    },
    () => undefined,
  );
  return { signal: work.signal, clear };
};

/** The response, with `done` called when its body has been read, has failed, or was given up. */
export const untilBodyEnd = (r: HttpResponse, done: () => void): HttpResponse => {
  const { body } = r;
  if (body.length === 0) {
    done();
    return r;
  }
  return {
    ...r,
    body: {
      length: body.length,
      trailers: body.trailers,
      read: async () => {
        try {
          const chunk = await body.read();
          if (chunk === undefined) done();
          return chunk;
        } catch (e) {
          done();
          throw e;
        }
      },
      cancel: () => {
        done();
        body.cancel();
      },
    },
  };
};
