// What does a data thread learn of the mesh's state in one message?

import { unwrap } from "@ambit/shared/runtime/result.ts";
import type { StateUpdate } from "@ambit/shared/state/store.ts";
import { decodeAddress } from "@ambit/shared/wire/address-read.ts";
import { unpack } from "./packed.ts";

/** Plain data. The messages of one change follow each other; what they say is applied in order. */
export type StateMessage = {
  /** Names of addresses that are gone. */
  readonly removed: readonly string[];
  readonly policies: readonly StateUpdate[];
  /** Encoded addresses (istio.workload.Address), packed; services come before the workloads that name them. */
  readonly addresses: Uint8Array;
  /** The change ends with this message. */
  readonly last: boolean;
};

/** The updates of a message. Throws when an address cannot be read: the control thread has read it before it sent it. */
export const updatesOf = ({ removed, policies, addresses }: StateMessage): StateUpdate[] => [
  ...policies,
  ...removed.map((name): StateUpdate => ({ kind: "remove-address", name })),
  ...unpack(addresses).map((bytes) => unwrap(decodeAddress(bytes))),
];
