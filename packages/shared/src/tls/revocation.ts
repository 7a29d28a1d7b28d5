// Has one of the certificates that a peer showed been taken back?

import { X509Certificate } from "node:crypto";
import { err, ok, type Result } from "../runtime/result.ts";
import { type RevocationList, signedBy } from "./crl.ts";
import { OID } from "./oids.ts";
import { contentOf, hexNumber, oidText, rawOf, TAG, type Tlv, tlvAt, wholeTlv, within } from "./tlv.ts";

/** What a peer showed, DER: its own certificate first, then each one's issuer, the root last when it is known. */
export type PeerChain = readonly Uint8Array[];

export type Revocation = {
  readonly serial: string;
  /** 0 is the peer's own certificate. */
  readonly depth: number;
};

type Names = { readonly issuer: string; readonly subject: string; readonly serial: string };

/** Who issued the certificate to whom, under which number. */
export const namesOf = (der: Uint8Array): Result<Names> => {
  const outer = wholeTlv(der);
  const parts = outer === undefined ? err("not a certificate") : within(der, outer);
  const tbs = parts.ok ? parts.value[0] : undefined;
  const fields = tbs === undefined ? err("not a certificate") : within(der, tbs);
  const list = fields.ok ? fields.value.filter((f) => f.tag !== 0xa0) : [];
  const [serial, , issuer, , subject] = list;
  if (serial?.tag !== TAG.integer || issuer?.tag !== TAG.sequence || subject?.tag !== TAG.sequence) return err("not a certificate");
  const hex = (v: typeof issuer): string => Buffer.from(rawOf(der, v)).toString("hex");
  return ok({ issuer: hex(issuer), subject: hex(subject), serial: hexNumber(contentOf(der, serial)) });
};

/** The identifier of the certified key, lower-case hex, as the certificate gives it (extension subjectKeyIdentifier). */
export const keyIdOfSubject = (cert: X509Certificate): string | undefined => {
  const der = cert.raw;
  const [tbs] = parts(der, wholeTlv(der));
  const wrapper = parts(der, tbs).find((f) => f.tag === 0xa3);
  const [list] = parts(der, wrapper);
  for (const extension of parts(der, list)) {
    const [id, ...rest] = parts(der, extension);
    const value = rest.at(-1);
    if (oidText(der, id) !== OID.subjectKeyIdentifier || value === undefined) continue;
    const inner = tlvAt(der, value.from, value.to);
    return inner === undefined ? undefined : Buffer.from(contentOf(der, inner)).toString("hex");
  }
  return undefined;
};

const parts = (der: Uint8Array, v: Tlv | undefined): readonly Tlv[] => {
  const inner = v === undefined ? err("nothing") : within(der, v);
  return inner.ok ? inner.value : [];
};

/** Lists by their issuer's name, so that a peer whose issuers have none costs next to nothing. */
export type RevocationIndex = {
  readonly size: number;
  by(issuer: string): readonly RevocationList[];
};

export const revocationIndex = (lists: readonly RevocationList[]): RevocationIndex => {
  const byIssuer = Map.groupBy(lists, (l) => l.issuer);
  return { size: lists.length, by: (issuer) => byIssuer.get(issuer) ?? [] };
};

const parsed = (der: Uint8Array): X509Certificate | undefined => {
  try {
    return new X509Certificate(Buffer.from(der));
  } catch {
    // OpenSSL has read it in the handshake; what it now cannot read is no issuer.
    return undefined;
  }
};

/**
 * The first certificate of the chain, leaf or intermediate, that a list signed by its issuer names. A certificate whose issuer has no list
 * passes (its status is unknown), as does one that only a list signed with another key names. An error: the chain cannot be read.
 */
export const revocationOf = (chain: PeerChain, index: RevocationIndex): Result<Revocation | undefined> => {
  const [leaf] = chain;
  if (leaf === undefined) return err("the peer showed no certificate");
  for (const [depth, der] of chain.entries()) {
    const names = namesOf(der);
    if (!names.ok) return names;
    const { issuer, subject, serial } = names.value;
    // The root is trusted because we say so: it is taken back by no longer trusting it.
    if (depth > 0 && issuer === subject && depth === chain.length - 1) break;
    const naming = index.by(issuer).filter((l) => l.revoked.has(serial));
    if (naming.length === 0) continue;
    const signer = parsed(chain[depth + 1] ?? der);
    if (signer !== undefined && naming.some((l) => signedBy(l, signer))) return ok({ serial, depth });
  }
  return ok(undefined);
};
