// With which TLS settings do proxies speak? (TLS 1.3 only, post-quantum key exchange first)

import { constants } from "node:crypto";
import { createSecureContext, type SecureContext, type SecureContextOptions } from "node:tls";

/** PEM texts: our key, our chain (leaf first), and the roots that peers must chain to. */
export type TlsMaterial = { readonly keyPem: string; readonly chainPem: readonly string[]; readonly rootsPem: readonly string[] };

/** ambient-l4 section 4. No session tickets: a resumed session would skip the check of the peer's certificate. */
export const TLS_POLICY = {
  minVersion: "TLSv1.3",
  maxVersion: "TLSv1.3",
  ciphers: "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256",
  ecdhCurve: "X25519MLKEM768:X25519:P-256",
  secureOptions: constants.SSL_OP_NO_TICKET,
} as const satisfies SecureContextOptions;

/** For servers that build their context themselves (tls.Server). */
export const contextOptions = (m: TlsMaterial): SecureContextOptions => ({
  ...TLS_POLICY,
  key: m.keyPem,
  cert: m.chainPem.join(""),
  ca: [...m.rootsPem],
});

/** Built once per certificate: building costs milliseconds. Throws when key, chain or roots cannot be read or do not fit. */
export const clientContext = (m: TlsMaterial): SecureContext => createSecureContext(contextOptions(m));

/** For clients without a certificate (gRPC to the controller). */
export const anonymousContext = (rootsPem: string | undefined): SecureContext =>
  createSecureContext({ ...TLS_POLICY, ...(rootsPem === undefined ? {} : { ca: rootsPem }) });
