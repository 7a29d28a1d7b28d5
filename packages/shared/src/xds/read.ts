// Which resources of an update can be read whole, and why not the others?

import type { Result } from "../runtime/result.ts";
import type { StateUpdate } from "../state/store.ts";
import { decodeAddress } from "../wire/address-read.ts";
import { addressName } from "../wire/types.ts";
import type { XdsRejection, XdsUpdate } from "./client.ts";

export type ReadResources<T> = { readonly read: readonly T[]; readonly rejected: readonly XdsRejection[] };

/** Half a resource is never read, and none under a name that is not its own. */
export const readUpserts = <T>(
  { upserts }: Pick<XdsUpdate, "upserts">,
  decode: (bytes: Uint8Array) => Result<T>,
  nameOf: (resource: T) => string,
): ReadResources<T> => {
  const read: T[] = [];
  const rejected: XdsRejection[] = [];
  for (const { name, value } of upserts) {
    const resource = decode(value);
    if (!resource.ok) rejected.push({ name, reason: resource.error });
    else if (nameOf(resource.value) !== name) rejected.push({ name, reason: misnamed(name, nameOf(resource.value)) });
    else read.push(resource.value);
  }
  return { read, rejected };
};

const misnamed = (name: string, own: string): string =>
  `the resource is named ${JSON.stringify(name)} but describes ${JSON.stringify(own)}`;

/** Workloads and services as updates of the mesh's state, removals first. */
export const readAddresses = (update: XdsUpdate): ReadResources<StateUpdate> => {
  const removed: StateUpdate[] = update.removed.map((name) => ({ kind: "remove-address", name }));
  const { read, rejected } = readUpserts(update, decodeAddress, addressName);
  return { read: [...removed, ...read], rejected };
};
