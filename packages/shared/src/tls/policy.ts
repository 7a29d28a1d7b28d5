// With which versions, ciphers and key exchanges does the mesh speak TLS? (ambient-l4 section 4; COMPLIANCE_POLICY, TLS12_ENABLED)

import { constants } from "node:crypto";
import type { SecureContextOptions } from "node:tls";
import { err, ok, type Result } from "../runtime/result.ts";

/** "pqc": nobody is spoken with who has no post-quantum key exchange. */
export type Compliance = "none" | "pqc";

/** Plain data: it travels between threads. */
export type TlsPolicy = {
  readonly compliance: Compliance;
  readonly minVersion: "TLSv1.2" | "TLSv1.3";
  readonly maxVersion: "TLSv1.3";
  readonly ciphers: string;
  readonly ecdhCurve: string;
  readonly secureOptions: number;
};

// Both as Istio has them; the shorter key first, for it is faster and enough.
const TLS13_CIPHERS = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384";
const TLS12_CIPHERS = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256";

/** ML-KEM with X25519 is offered first by everybody, and is all that is offered under "pqc". */
const GROUPS: Readonly<Record<Compliance, string>> = { none: "X25519MLKEM768:X25519:P-256", pqc: "X25519MLKEM768" };

/** TLS 1.3 alone unless TLS 1.2 is allowed, which has no post-quantum key exchange. */
export const tlsPolicy = (wanted: { readonly compliance: Compliance; readonly tls12: boolean }): Result<TlsPolicy> => {
  const { compliance, tls12 } = wanted;
  if (compliance === "pqc" && tls12)
    return err("COMPLIANCE_POLICY=pqc needs TLS 1.3, where alone there is ML-KEM: leave TLS12_ENABLED unset");
  return ok({
    compliance,
    minVersion: tls12 ? "TLSv1.2" : "TLSv1.3",
    maxVersion: "TLSv1.3",
    ciphers: tls12 ? `${TLS13_CIPHERS}:${TLS12_CIPHERS}` : TLS13_CIPHERS,
    ecdhCurve: GROUPS[compliance],
    // No session tickets: a resumed session would skip the check of the peer's certificate.
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  });
};

/** What is spoken where nothing else is told. */
export const DEFAULT_TLS: TlsPolicy = {
  compliance: "none",
  minVersion: "TLSv1.3",
  maxVersion: "TLSv1.3",
  ciphers: TLS13_CIPHERS,
  ecdhCurve: GROUPS.none,
  secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
};

/** COMPLIANCE_POLICY as Istio's proxies take it; what we cannot keep is refused, never taken for nothing. */
export const parseCompliance = (text: string): Result<Compliance> => {
  if (text === "pqc") return ok("pqc");
  if (/fips/i.test(text)) return err("the OpenSSL that we run on is not a FIPS 140 validated module: want pqc, or leave it unset");
  return err("want pqc, or leave it unset");
};

/** What node:tls takes of it. */
export const policyOptions = ({ compliance: _, ...options }: TlsPolicy): SecureContextOptions => options;

const NO_COMMON = /no suitable key share|no suitable groups|handshake failure|no shared (group|curve)|insufficient security|bad key share/i;

/** The failure of a handshake in words that name its cause, where the policy is what it failed on. */
export const handshakeFailure = (error: string, policy: TlsPolicy): string =>
  policy.compliance === "pqc" && NO_COMMON.test(error)
    ? `the peer has no post-quantum key exchange, and COMPLIANCE_POLICY=pqc allows X25519MLKEM768 only (${error})`
    : error;
