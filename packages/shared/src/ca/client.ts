// How is a certificate fetched from the CA? (istio.v1.auth.IstioCertificateService/CreateCertificate)

import type { Channel } from "../grpc/channel.ts";
import type { SpiffeId } from "../identity/spiffe.ts";
import type { IssuedCert } from "./types.ts";

export type CaClientOptions = {
  readonly channel: Channel;
  readonly ttlMs: number;
  /** True for a ztunnel: the identity asked for is named in the metadata. False: the caller's own. */
  readonly impersonate: boolean;
};
export type CaClient = { fetch(id: SpiffeId, signal: AbortSignal): Promise<IssuedCert> };
export const createCaClient = (_options: CaClientOptions): CaClient => {
  throw new Error("not written yet");
};
