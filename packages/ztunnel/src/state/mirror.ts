// How does a data thread hold the mesh's state, as the control thread tells it?

import { createMeshStore, type StateUpdate } from "@ambit/shared/state/store.ts";
import type { MeshState } from "./apply.ts";
import { type StateMessage, updatesOf } from "./slice.ts";

export type MeshMirror = MeshState & { apply(message: StateMessage): void };

export const createMeshMirror = (): MeshMirror => {
  const store = createMeshStore();
  const listeners = new Set<(updates: readonly StateUpdate[]) => void>();
  return {
    view: store.view,
    store,
    onCommit: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    apply: (message) => {
      const updates = updatesOf(message);
      store.commit(updates);
      for (const listener of listeners) listener(updates);
    },
  };
};
