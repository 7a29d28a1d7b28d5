// With which TLS settings do proxies speak? (their material under their policy)

import { createSecureContext, type SecureContext, type SecureContextOptions } from "node:tls";
import { DEFAULT_TLS, policyOptions, type TlsPolicy } from "./policy.ts";

/** PEM texts: our key, our chain (leaf first), and the roots that peers must chain to. */
export type TlsMaterial = {
  readonly keyPem: string;
  readonly chainPem: readonly string[];
  readonly rootsPem: readonly string[];
  /** The default policy where it is not told. */
  readonly tls?: TlsPolicy;
};

/** The default policy as node:tls takes it. */
export const TLS_POLICY = policyOptions(DEFAULT_TLS);

/** For servers that build their context themselves (tls.Server). */
export const contextOptions = (m: TlsMaterial): SecureContextOptions => ({
  ...policyOptions(m.tls ?? DEFAULT_TLS),
  key: m.keyPem,
  cert: m.chainPem.join(""),
  ca: [...m.rootsPem],
});

/** Built once per certificate: building costs milliseconds. Throws when key, chain or roots cannot be read or do not fit. */
export const clientContext = (m: TlsMaterial): SecureContext => createSecureContext(contextOptions(m));

/** For clients without a certificate (gRPC to the controller). */
export const anonymousContext = (rootsPem: string | undefined, policy: TlsPolicy = DEFAULT_TLS): SecureContext =>
  createSecureContext({ ...policyOptions(policy), ...(rootsPem === undefined ? {} : { ca: rootsPem }) });
