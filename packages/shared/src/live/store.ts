// Which connections are in flight, and how is one ended from outside?

import type { MeshError } from "../errors/mesh-error.ts";

export type Tracked<T> = { readonly info: T; abort(reason: MeshError): void };

export type Live<T> = {
  /** Registers before deciding, so that a policy push in between is not missed. Dispose when the connection has ended. */
  track(info: T, abort: (reason: MeshError) => void): Disposable;
  list(): readonly Tracked<T>[];
  readonly size: number;
  abortAll(reason: MeshError): void;
  /** Resolves when nothing is in flight, or when the signal aborts (true: idle). */
  idle(signal: AbortSignal): Promise<boolean>;
};

export const createLive = <T>(): Live<T> => {
  const entries = new Set<Tracked<T>>();
  const waiters = new Set<() => void>();
  const release = (entry: Tracked<T>): void => {
    if (!entries.delete(entry) || entries.size > 0) return;
    for (const wake of waiters) wake();
  };
  return {
    track: (info, abort) => {
      const entry: Tracked<T> = { info, abort };
      entries.add(entry);
      return { [Symbol.dispose]: () => release(entry) };
    },
    list: () => [...entries],
    get size() {
      return entries.size;
    },
    abortAll: (reason) => {
      for (const e of [...entries]) e.abort(reason);
    },
    idle: (signal) =>
      new Promise((resolve) => {
        if (entries.size === 0 || signal.aborted) {
          resolve(entries.size === 0);
          return;
        }
        const settle = (idle: boolean): void => {
          waiters.delete(onIdle);
          signal.removeEventListener("abort", onAbort);
          resolve(idle);
        };
        const onIdle = (): void => settle(true);
        const onAbort = (): void => settle(false);
        waiters.add(onIdle);
        signal.addEventListener("abort", onAbort, { once: true });
      }),
  };
};
