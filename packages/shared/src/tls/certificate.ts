// What does a certificate say: who, until when?

import type { X509Certificate } from "node:crypto";
import type { SpiffeId } from "../identity/spiffe.ts";
import type { Result } from "../runtime/result.ts";

export type Certificate = {
  readonly pem: string;
  readonly x509: X509Certificate;
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  /** Upper-case hex. */
  readonly serial: string;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
};

export const parseCertificate = (_pem: string | Uint8Array): Result<Certificate> => {
  throw new Error("not written yet");
};
/** The PEM blocks of a bundle, one certificate each. */
export const splitPem = (_bundle: string): string[] => {
  throw new Error("not written yet");
};
export const parseBundle = (_bundle: string): Result<Certificate[]> => {
  throw new Error("not written yet");
};
/** The certificate's one SPIFFE id of Istio's form; none or several is an error. */
export const spiffeIdOf = (_cert: Certificate): Result<SpiffeId> => {
  throw new Error("not written yet");
};
