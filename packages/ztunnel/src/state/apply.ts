// How does what the controller sends become the state that decisions read?

import { policyKey } from "@ambit/shared/authz/types.ts";
import { createMeshStore, type MeshStore, type StateUpdate } from "@ambit/shared/state/store.ts";
import type { MeshView } from "@ambit/shared/state/view.ts";
import { decodeAuthorization } from "@ambit/shared/wire/authorization.ts";
import { claimedReach } from "@ambit/shared/wire/authorization-claim.ts";
import { ADDRESS_TYPE, AUTHORIZATION_TYPE } from "@ambit/shared/wire/types.ts";
import type { XdsType, XdsUpdate } from "@ambit/shared/xds/client.ts";
import { type ReadResources, readAddresses, readUpserts } from "@ambit/shared/xds/read.ts";

export type MeshState = {
  readonly view: MeshView;
  readonly store: MeshStore;
  /** Called after every commit with what it changed; returns the unsubscribe. */
  onCommit(listener: (updates: readonly StateUpdate[]) => void): () => void;
  /** Policies first: a workload that names one should find it. */
  readonly types: readonly XdsType[];
};

/** Policies as updates of the mesh's state; what cannot be read is refused and denies where it would have held. */
export const readPolicies = (update: XdsUpdate): ReadResources<StateUpdate> => {
  const removed: StateUpdate[] = update.removed.map((key) => ({ kind: "remove-policy", key }));
  const { read, rejected } = readUpserts(update, decodeAuthorization, policyKey);
  const refusals = new Set(rejected.map((r) => r.name));
  const refused = update.upserts
    .filter((u) => refusals.has(u.name))
    .map((u): StateUpdate => ({ kind: "refuse-policy", key: u.name, reach: claimedReach(u.name, u.value) }));
  return { read: [...removed, ...read.map((policy) => ({ kind: "policy", policy }) as const), ...refused], rejected };
};

export const createMeshState = (): MeshState => {
  const store = createMeshStore();
  const listeners = new Set<(updates: readonly StateUpdate[]) => void>();
  const applyWith = (readAll: (update: XdsUpdate) => ReadResources<StateUpdate>) => (update: XdsUpdate) => {
    const { read: updates, rejected } = readAll(update);
    store.commit(updates);
    for (const listener of listeners) listener(updates);
    return { rejected };
  };
  return {
    view: store.view,
    store,
    onCommit: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    types: [
      { typeUrl: AUTHORIZATION_TYPE, subscribe: "wildcard", apply: applyWith(readPolicies) },
      { typeUrl: ADDRESS_TYPE, subscribe: "wildcard", apply: applyWith(readAddresses) },
    ],
  };
};
