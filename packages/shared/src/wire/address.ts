// How is an address (workload or service) written to bytes and read back? (istio.workload.Address)

import type { Result } from "../runtime/result.ts";
import type { Address } from "./types.ts";

export const encodeAddress = (_address: Address): Uint8Array => {
  throw new Error("not written yet");
};
export const decodeAddress = (_bytes: Uint8Array): Result<Address> => {
  throw new Error("not written yet");
};
