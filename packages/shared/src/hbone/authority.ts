// What does a CONNECT ask for? (its :authority, strictly)

import type { Ip } from "../addr/ip.ts";
import type { Result } from "../runtime/result.ts";

export type Authority =
  | { readonly kind: "address"; readonly ip: Ip; readonly port: number }
  /** Lower case. */
  | { readonly kind: "hostname"; readonly hostname: string; readonly port: number };
export const parseAuthority = (_text: string): Result<Authority> => {
  throw new Error("not written yet");
};
export const formatAuthority = (_a: Authority): string => {
  throw new Error("not written yet");
};
