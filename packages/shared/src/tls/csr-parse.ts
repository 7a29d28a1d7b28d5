// What does a certificate request ask for, and does its sender hold the key?

import type { KeyObject } from "node:crypto";
import type { Result } from "../runtime/result.ts";

export type Csr = { readonly publicKey: KeyObject; readonly uris: readonly string[]; readonly dnsNames: readonly string[] };
export const parseCsr = (_pem: string): Result<Csr> => {
  throw new Error("not written yet");
};
