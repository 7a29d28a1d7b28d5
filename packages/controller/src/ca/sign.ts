// What certificate does a request get, if any?

import type { KeyObject } from "node:crypto";
import type { SpiffeId } from "@ambit/shared/identity/spiffe.ts";
import { err, ok, type Result } from "@ambit/shared/runtime/result.ts";
import { issueLeaf } from "@ambit/shared/tls/issue.ts";
import { type Authority, chainAfterLeaf } from "./authority.ts";

export type Lifetimes = { readonly defaultMs: number; readonly maxMs: number };

/** Clocks differ: a certificate is valid from a little before it was made. */
const BACKDATE_MS = 120_000;

/** P-256, or RSA of 2048 bits and more: an error says what the key is instead. */
export const checkKey = (key: KeyObject): Result<void> => {
  const details = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === "ec")
    return details.namedCurve === "prime256v1" ? ok(undefined) : err(`the key is on curve ${details.namedCurve}: want P-256`);
  if (key.asymmetricKeyType === "rsa")
    return (details.modulusLength ?? 0) >= 2048 ? ok(undefined) : err(`the RSA key has ${details.modulusLength} bits: want at least 2048`);
  return err(`keys of type ${key.asymmetricKeyType} are not signed: want EC P-256 or RSA`);
};

/** From a little before now until what was asked for, within the bounds and the end of the way to the root. */
export const validityOf = (
  requestedSeconds: number,
  at: { readonly now: number; readonly caNotAfter: number; readonly lifetimes: Lifetimes },
): { readonly notBefore: number; readonly notAfter: number } => {
  const { defaultMs, maxMs } = at.lifetimes;
  const wanted = requestedSeconds > 0 ? Math.min(requestedSeconds * 1000, maxMs) : defaultMs;
  return { notBefore: at.now - BACKDATE_MS, notAfter: Math.min(at.now + wanted, at.caNotAfter) };
};

/** Leaf first, then what leads to the root, the root bundle last. */
export const signWorkload = (
  authority: Authority,
  leaf: { readonly publicKey: KeyObject; readonly identity: SpiffeId; readonly notBefore: number; readonly notAfter: number },
): readonly string[] => [
  issueLeaf(authority.signer, { publicKey: leaf.publicKey, uris: [leaf.identity.uri], notBefore: leaf.notBefore, notAfter: leaf.notAfter }),
  ...chainAfterLeaf(authority),
];
