// Which keys follow from a traffic secret? (RFC 8446 sections 7.1 to 7.3)

import { createHmac } from "node:crypto";

export type Suite = {
  readonly name: string;
  /** OpenSSL's function that names the cipher. */
  readonly cipher: "EVP_aes_128_gcm" | "EVP_aes_256_gcm";
  readonly keyLength: 16 | 32;
  readonly hash: "sha256" | "sha384";
  readonly hashLength: 32 | 48;
};

export const SUITES: readonly Suite[] = [
  { name: "TLS_AES_128_GCM_SHA256", cipher: "EVP_aes_128_gcm", keyLength: 16, hash: "sha256", hashLength: 32 },
  { name: "TLS_AES_256_GCM_SHA384", cipher: "EVP_aes_256_gcm", keyLength: 32, hash: "sha384", hashLength: 48 },
];

export const IV_LENGTH = 12;

/** The suite by its name in RFC 8446, or undefined when it is none of ours. */
export const suiteOf = (name: string): Suite | undefined => SUITES.find((s) => s.name === name);

/**
 * HKDF-Expand-Label(secret, label, "", length) of RFC 8446 section 7.1. One round of HKDF-Expand (RFC 5869) is enough for what a record
 * layer needs, so length is at most the hash's.
 */
export const expandLabel = (suite: Suite, secret: Buffer, label: string, length: number): Buffer => {
  if (length > suite.hashLength) throw new RangeError(`${length} octets are more than one round of HKDF gives`);
  const full = `tls13 ${label}`;
  const info = Buffer.concat([Buffer.from([length >> 8, length & 0xff, full.length]), Buffer.from(full, "latin1"), Buffer.from([0, 1])]);
  const block = createHmac(suite.hash, secret).update(info).digest();
  if (block.length === length) return block;
  const out = Buffer.from(block.subarray(0, length));
  block.fill(0);
  return out;
};

/** The key and the initial vector of one direction; whoever asks zeroes them after use. */
export const trafficKeys = (suite: Suite, secret: Buffer): { readonly key: Buffer; readonly iv: Buffer } => ({
  key: expandLabel(suite, secret, "key", suite.keyLength),
  iv: expandLabel(suite, secret, "iv", IV_LENGTH),
});

/** The secret after a KeyUpdate (section 7.2). */
export const nextSecret = (suite: Suite, secret: Buffer): Buffer => expandLabel(suite, secret, "traffic upd", suite.hashLength);
