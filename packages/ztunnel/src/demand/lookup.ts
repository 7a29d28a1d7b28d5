// How does a connection wait until the controller has said what its destination is? (on-demand xDS, a data thread's side)

import { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import type { LocalWorkload, MeshView } from "@ambit/shared/state/view.ts";
import { type LookUp, namesToAsk } from "./names.ts";

/** Asks the control thread; resolves when the state that answers has been applied here. */
export type Ask = (names: readonly string[], signal: AbortSignal) => Promise<void>;

export type Lookups = {
  /** Everything a plan for the destination may look at is there, or known not to be. Throws MeshError when the controller does not say. */
  destination(what: LookUp, signal: AbortSignal): Promise<void>;
  /** A pod that is served here. */
  own(who: LocalWorkload, signal: AbortSignal): Promise<void>;
  /** Resources by name: "ns/hostname" of services, with their endpoints. */
  named(names: readonly string[], signal: AbortSignal): Promise<void>;
};

/** A service names a waypoint, which is a service with endpoints behind gateways: no chain is longer. */
const MAX_ROUNDS = 6;

export const createLookups = ({ view, ask, clusterId }: { view: MeshView; ask: Ask; clusterId: string }): Lookups => ({
  destination: async (what, signal) => {
    const asked = new Set<string>();
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const names = namesToAsk(view, what, asked);
      if (names.length === 0) return;
      for (const n of names) asked.add(n);
      await ask(names, signal);
    }
  },
  own: (who, signal) => ask([`${clusterId}//Pod/${who.namespace}/${who.name}`], signal),
  named: (names, signal) => ask(names, signal),
});

export type Questions = {
  readonly ask: Ask;
  /** The control thread's answer; with an error nothing is known. */
  answered(id: number, error: string | undefined): void;
};

/** Questions under way to the control thread, which remembers the answers: it hears of every change. */
export const createQuestions = (tell: (question: { readonly id: number; readonly names: readonly string[] }) => void): Questions => {
  const waiting = new Map<number, PromiseWithResolvers<void>>();
  let next = 0;
  return {
    ask: async (names, signal) => {
      signal.throwIfAborted();
      const id = next++;
      const answer = Promise.withResolvers<void>();
      waiting.set(id, answer);
      const onAbort = (): void => answer.reject(signal.reason);
      signal.addEventListener("abort", onAbort, { once: true });
      try {
        tell({ id, names });
        await answer.promise;
      } finally {
        waiting.delete(id);
        signal.removeEventListener("abort", onAbort);
      }
    },
    answered: (id, error) => {
      if (error === undefined) waiting.get(id)?.resolve();
      else waiting.get(id)?.reject(new MeshError("CONNECT", error));
    },
  };
};
