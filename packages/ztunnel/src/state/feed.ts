// What does the control thread keep of the mesh's state, and what does it tell the data threads?
//
// Only encoded: every resource is read whole once, so that a bad one is refused, and then kept as the bytes that came. Each
// data thread reads them into records of its own; one that starts later is told everything first.

import { policyKey } from "@ambit/shared/authz/types.ts";
import { createMeshStore, type MeshStore, type StateUpdate } from "@ambit/shared/state/store.ts";
import { serviceKey } from "@ambit/shared/state/types.ts";
import { ADDRESS_TYPE, AUTHORIZATION_TYPE } from "@ambit/shared/wire/types.ts";
import type { XdsType } from "@ambit/shared/xds/client.ts";
import { readAddresses } from "@ambit/shared/xds/read.ts";
import { readPolicies } from "./apply.ts";
import { pack } from "./packed.ts";
import { type StateMessage, updatesOf } from "./slice.ts";

export type StateFeed = {
  /** Policies first: a workload that names one should find it. */
  readonly types: readonly XdsType[];
  /** Tells everything held, then every change; returns the unsubscribe. Messages are to be applied in order. */
  subscribe(send: (message: StateMessage) => void): () => void;
  /** All that is held, as records, made for the one who asks: for dumps and explanations. */
  snapshot(): MeshStore;
};

/** So many resources a thread reads in a few milliseconds. */
const PER_SLICE = 128;

/** Services before the workloads that name them. */
type Held = { readonly services: Map<string, Buffer>; readonly workloads: Map<string, Buffer> };

type Change = { readonly removed: readonly string[]; readonly policies: readonly StateUpdate[]; readonly addresses: readonly Uint8Array[] };

function* slices({ removed, policies, addresses }: Change): Generator<StateMessage> {
  let at = 0;
  do {
    const part = addresses.slice(at, at + PER_SLICE);
    const first = at === 0;
    at += PER_SLICE;
    yield { removed: first ? removed : [], policies: first ? policies : [], addresses: pack(part), last: at >= addresses.length };
  } while (at < addresses.length);
}

/** The policy updates that rebuild what is held: a refused policy denies unless an earlier version of it is there. */
const keepPolicy = (held: Map<string, StateUpdate>, u: StateUpdate): void => {
  if (u.kind === "policy") held.set(policyKey(u.policy), u);
  else if (u.kind === "remove-policy") held.delete(u.key);
  else if (u.kind === "refuse-policy" && held.get(u.key)?.kind !== "policy") held.set(u.key, u);
};

export const createStateFeed = (): StateFeed => {
  const held: Held = { services: new Map(), workloads: new Map() };
  const policies = new Map<string, StateUpdate>();
  const listeners = new Set<(message: StateMessage) => void>();

  const tell = (change: Change): void => {
    for (const message of slices(change)) for (const send of listeners) send(message);
  };
  const everything = (): Change => ({
    removed: [],
    policies: [...policies.values()],
    addresses: [...held.services.values(), ...held.workloads.values()],
  });

  const applyPolicies: XdsType["apply"] = (update) => {
    const { read, rejected } = readPolicies(update);
    for (const u of read) keepPolicy(policies, u);
    tell({ removed: [], policies: read, addresses: [] });
    return { rejected };
  };
  const applyAddresses: XdsType["apply"] = (update) => {
    const { read, rejected } = readAddresses(update);
    const values = new Map(update.upserts.map((u) => [u.name, u.value]));
    const fresh = { services: [] as Buffer[], workloads: [] as Buffer[] };
    const keep = (kind: keyof Held, name: string): void => {
      // A copy of its own: as a part of what came it would keep the whole response alive.
      const bytes = Buffer.from(values.get(name) ?? []);
      held[kind].set(name, bytes);
      fresh[kind].push(bytes);
    };
    for (const u of read) {
      if (u.kind === "remove-address") held.services.delete(u.name) || held.workloads.delete(u.name);
      else if (u.kind === "service") keep("services", serviceKey(u.service));
      else if (u.kind === "workload") keep("workloads", u.workload.uid);
    }
    tell({ removed: update.removed, policies: [], addresses: [...fresh.services, ...fresh.workloads] });
    return { rejected };
  };

  return {
    types: [
      { typeUrl: AUTHORIZATION_TYPE, subscribe: "wildcard", apply: applyPolicies },
      { typeUrl: ADDRESS_TYPE, subscribe: "wildcard", apply: applyAddresses },
    ],
    subscribe: (send) => {
      for (const message of slices(everything())) send(message);
      listeners.add(send);
      return () => void listeners.delete(send);
    },
    snapshot: () => {
      const store = createMeshStore();
      for (const message of slices(everything())) store.commit(updatesOf(message));
      return store;
    },
  };
};
