// Which certificate does an identity have now, fetched once and renewed in time?

import type { SpiffeId } from "../identity/spiffe.ts";
import type { World } from "../runtime/world.ts";
import type { CertStore, IssuedCert } from "./types.ts";

export type CertStoreOptions = {
  readonly fetch: (id: SpiffeId, signal: AbortSignal) => Promise<IssuedCert>;
  readonly world: World;
  readonly log: (event: string, fields: object) => void;
  readonly maxConcurrent?: number;
};
export const createCertStore = (_options: CertStoreOptions): CertStore => {
  throw new Error("not written yet");
};
