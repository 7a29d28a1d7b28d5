// How is a certificate made: a root, and a leaf signed by it?

import type { KeyObject } from "node:crypto";

/** PEM texts. */
export type CertificateAuthority = { readonly certPem: string; readonly keyPem: string };
export type Validity = { readonly notBefore: number; readonly notAfter: number };
export type LeafRequest = Validity & {
  readonly publicKey: KeyObject;
  readonly uris: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly ips?: readonly string[];
  readonly commonName?: string;
  readonly organizations?: readonly string[];
};
/** A self-signed ECDSA P-256 root. Times in milliseconds since the epoch. */
export const createRoot = (_who: Validity & { readonly commonName?: string; readonly organization: string }): CertificateAuthority => {
  throw new Error("not written yet");
};
/** A leaf for client and server, as PEM. */
export const issueLeaf = (_ca: CertificateAuthority, _leaf: LeafRequest): string => {
  throw new Error("not written yet");
};
/** A fresh P-256 key pair: the private half as PKCS#8 PEM. */
export const createKey = (): { readonly keyPem: string; readonly publicKey: KeyObject } => {
  throw new Error("not written yet");
};
