// How is a certificate fetched from the CA? (istio.v1.auth.IstioCertificateService/CreateCertificate)

import type { Channel } from "../grpc/channel.ts";
import { describeCall } from "../grpc/status.ts";
import type { SpiffeId } from "../identity/spiffe.ts";
import { unwrap } from "../runtime/result.ts";
import { createCsr } from "../tls/csr.ts";
import { CREATE_CERTIFICATE_PATH, decodeCreateCertificateResponse, encodeCreateCertificateRequest } from "../wire/ca.ts";
import type { CreateCertificateRequest, CreateCertificateResponse } from "../wire/types.ts";
import type { IssuedCert } from "./types.ts";

export type CaClientOptions = {
  readonly channel: Channel;
  readonly ttlMs: number;
  /** True for a ztunnel: the identity asked for is named in the metadata. False: the caller's own. */
  readonly impersonate: boolean;
};
export type CaClient = {
  /** A fresh key and its chain; throws an Error that says what the CA answered. Not checked: that is the store's. */
  fetch(id: SpiffeId, signal: AbortSignal): Promise<IssuedCert>;
};

const TIMEOUT_MS = 10_000;

export const createCaClient = ({ channel, ttlMs, impersonate }: CaClientOptions): CaClient => {
  const call = async (request: CreateCertificateRequest, signal: AbortSignal): Promise<CreateCertificateResponse> => {
    const [client, metadata] = await Promise.all([channel.client(), channel.metadata()]);
    const cut = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
    return new Promise((resolve, reject) => {
      if (cut.aborted) return reject(cut.reason);
      const unary = client.makeUnaryRequest(
        CREATE_CERTIFICATE_PATH,
        (r: CreateCertificateRequest) => Buffer.from(encodeCreateCertificateRequest(r)),
        (bytes) => unwrap(decodeCreateCertificateResponse(bytes)),
        request,
        metadata,
        (error, response) => {
          cut.removeEventListener("abort", onAbort);
          if (error === null && response !== undefined) resolve(response);
          else reject(cut.aborted ? cut.reason : new Error(`the CA refused or failed: ${describeCall(error)}`, { cause: error }));
        },
      );
      const onAbort = (): void => unary.cancel();
      cut.addEventListener("abort", onAbort, { once: true });
    });
  };

  const fetch: CaClient["fetch"] = async (id, signal) => {
    const { keyPem, csrPem } = createCsr(id.uri);
    const metadata = impersonate ? { ImpersonatedIdentity: id.uri } : {};
    const { certChain } = await call({ csr: csrPem, validitySeconds: Math.round(ttlMs / 1000), metadata }, signal);
    return { keyPem, certChain };
  };
  return { fetch };
};
