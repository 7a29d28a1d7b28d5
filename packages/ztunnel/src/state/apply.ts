// How does what the controller sends become the state that decisions read?

import { policyKey } from "@ambit/shared/authz/types.ts";
import type { MeshStore, StateUpdate } from "@ambit/shared/state/store.ts";
import type { MeshView } from "@ambit/shared/state/view.ts";
import { decodeAuthorization } from "@ambit/shared/wire/authorization.ts";
import { claimedReach } from "@ambit/shared/wire/authorization-claim.ts";
import type { XdsUpdate } from "@ambit/shared/xds/client.ts";
import { type ReadResources, readUpserts } from "@ambit/shared/xds/read.ts";

/** The state as those who decide hold it. */
export type MeshState = {
  readonly view: MeshView;
  readonly store: MeshStore;
  /** Called after every commit with what it changed; returns the unsubscribe. */
  onCommit(listener: (updates: readonly StateUpdate[]) => void): () => void;
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
