// How does a data thread hold the mesh's state? (as the control thread sends it)

import { createMeshStore, type StateUpdate } from "@ambit/shared/state/store.ts";
import type { MeshState } from "./apply.ts";

export type ThreadState = Pick<MeshState, "view" | "onCommit"> & {
  /** Applies a batch at once and tells the listeners. */
  commit(updates: readonly StateUpdate[]): void;
};

export const createThreadState = (): ThreadState => {
  const store = createMeshStore();
  const listeners = new Set<(updates: readonly StateUpdate[]) => void>();
  return {
    view: store.view,
    commit: (updates) => {
      store.commit(updates);
      for (const listener of listeners) listener(updates);
    },
    onCommit: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
};
