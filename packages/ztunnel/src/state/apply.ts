// How does what the controller sends become the state that decisions read?

import { policyKey } from "@ambit/shared/authz/types.ts";
import { createMeshStore, type MeshStore, type StateUpdate } from "@ambit/shared/state/store.ts";
import type { MeshView } from "@ambit/shared/state/view.ts";
import { decodeAddress } from "@ambit/shared/wire/address.ts";
import { decodeAuthorization } from "@ambit/shared/wire/authorization.ts";
import { ADDRESS_TYPE, AUTHORIZATION_TYPE, addressName } from "@ambit/shared/wire/types.ts";
import type { XdsRejection, XdsType, XdsUpdate } from "@ambit/shared/xds/client.ts";

export type MeshState = {
  readonly view: MeshView;
  readonly store: MeshStore;
  /** Called after every commit with what it changed; returns the unsubscribe. */
  onCommit(listener: (updates: readonly StateUpdate[]) => void): () => void;
  /** Policies first: a workload that names one should find it. */
  readonly types: readonly XdsType[];
};

type Read = { readonly updates: readonly StateUpdate[]; readonly rejected: readonly XdsRejection[] };

const misnamed = (name: string, own: string): string =>
  `the resource is named ${JSON.stringify(name)} but describes ${JSON.stringify(own)}`;

/** Every address that can be read, and the name and reason of every one that cannot. */
export const readAddresses = (update: XdsUpdate): Read => {
  const updates: StateUpdate[] = update.removed.map((name) => ({ kind: "remove-address", name }));
  const rejected: XdsRejection[] = [];
  for (const { name, value } of update.upserts) {
    const address = decodeAddress(value);
    if (!address.ok) rejected.push({ name, reason: address.error });
    else if (addressName(address.value) !== name) rejected.push({ name, reason: misnamed(name, addressName(address.value)) });
    else updates.push(address.value);
  }
  return { updates, rejected };
};

/** Every policy that can be read whole, and the name and reason of every one that cannot: half a policy is never applied. */
export const readPolicies = (update: XdsUpdate): Read => {
  const updates: StateUpdate[] = update.removed.map((key) => ({ kind: "remove-policy", key }));
  const rejected: XdsRejection[] = [];
  for (const { name, value } of update.upserts) {
    const policy = decodeAuthorization(value);
    if (!policy.ok) rejected.push({ name, reason: policy.error });
    else if (policyKey(policy.value) !== name) rejected.push({ name, reason: misnamed(name, policyKey(policy.value)) });
    else updates.push({ kind: "policy", policy: policy.value });
  }
  return { updates, rejected };
};

export const createMeshState = (): MeshState => {
  const store = createMeshStore();
  const listeners = new Set<(updates: readonly StateUpdate[]) => void>();
  const applyWith = (read: (update: XdsUpdate) => Read) => (update: XdsUpdate) => {
    const { updates, rejected } = read(update);
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
