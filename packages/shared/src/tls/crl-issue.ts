// How is a revocation list made? (RFC 5280 section 5, version 2)

import { createPrivateKey, sign } from "node:crypto";
import { bits, implicit, integer, octets, oid, sequence, tagged, time, toBytes, toPem } from "./der.ts";
import { algorithmOf, type CertificateAuthority, extension, issuerOf } from "./issue.ts";
import { OID } from "./oids.ts";

export type RevokedSerial = {
  /** Hex, as certificates are listed. */
  readonly serial: string;
  /** When it was taken back, in milliseconds since the epoch. */
  readonly at: number;
};

export type CrlRequest = {
  readonly revoked: readonly RevokedSerial[];
  /** Grows with every list of the CA. */
  readonly number: number;
  /** Milliseconds since the epoch. */
  readonly thisUpdate: number;
  readonly nextUpdate: number;
};

const bytesOf = (hex: string): Uint8Array => Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex");
const numberBytes = (n: number): Uint8Array => bytesOf(n.toString(16));

/** A complete list of the CA, as PEM. Throws when the CA's own texts cannot be read. */
export const createCrl = (ca: CertificateAuthority, request: CrlRequest): string => {
  const key = createPrivateKey(ca.keyPem);
  const issuer = issuerOf(ca);
  const algorithm = algorithmOf(key);
  const entries = request.revoked.map((r) => sequence(integer(bytesOf(r.serial)), time(r.at)));
  const tbs = sequence(
    integer(Uint8Array.of(1)), // v2
    algorithm,
    issuer.name,
    time(request.thisUpdate),
    time(request.nextUpdate),
    // An empty list of entries is left out (section 5.1.2.6).
    ...(entries.length === 0 ? [] : [sequence(...entries)]),
    tagged(
      0,
      sequence(
        extension(OID.authorityKeyIdentifier, false, sequence(implicit(0, issuer.keyId))),
        sequence(oid(OID.crlNumber), octets(toBytes(integer(numberBytes(request.number))))),
      ),
    ),
  );
  return toPem("X509 CRL", toBytes(sequence(tbs, algorithm, bits(sign("sha256", toBytes(tbs), key)))));
};
