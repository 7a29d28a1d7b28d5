// How is an L4 policy written to bytes and read back? (istio.security.Authorization)

import type { Policy } from "../authz/types.ts";
import type { Result } from "../runtime/result.ts";

/** An error when the policy has HTTP attributes: istio.security.Authorization cannot carry them. */
export const encodeAuthorization = (_policy: Policy): Result<Uint8Array> => {
  throw new Error("not written yet");
};
export const decodeAuthorization = (_bytes: Uint8Array): Result<Policy> => {
  throw new Error("not written yet");
};
