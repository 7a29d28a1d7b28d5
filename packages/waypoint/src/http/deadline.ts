// How is work aborted on its own, or at a time limit, as well as with what it is part of?

import type { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { HttpResponse } from "./message.ts";

type Linked = {
  /** Aborts with the parent, or by `abort`. */
  readonly signal: AbortSignal;
  abort(reason: MeshError): void;
  /** The work is done: the parent, which may outlive it by much, forgets it. */
  release(): void;
};

export const linked = (parent: AbortSignal): Linked => {
  const work = new AbortController();
  const onParent = (): void => work.abort(parent.reason);
  const release = (): void => parent.removeEventListener("abort", onParent);
  if (parent.aborted) onParent();
  else parent.addEventListener("abort", onParent, { once: true });
  return { signal: work.signal, abort: (reason) => work.abort(reason), release };
};

export type Deadline = {
  /** Aborts with the parent, or with the error when the time is over. */
  readonly signal: AbortSignal;
  /** The work is done: no timer stays behind. */
  clear(): void;
};

export const deadlineOf = (parent: AbortSignal, ms: number, d: { world: Pick<World, "sleep">; error: MeshError }): Deadline => {
  const work = linked(parent);
  const timer = new AbortController();
  const clear = (): void => {
    timer.abort();
    work.release();
  };
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
