// How is a certificate asked for? (PKCS#10, ECDSA P-256, empty subject, critical URI SAN)

import { createPrivateKey, sign } from "node:crypto";
import { unwrap } from "../runtime/result.ts";
import { bits, boolean, fromBytes, integer, octets, oid, sequence, setOf, tagged, toBytes, toPem } from "./der.ts";
import { createKey } from "./issue.ts";
import { altNames } from "./names.ts";
import { OID } from "./oids.ts";

/** PEM texts; the key is PKCS#8. */
export type KeyAndCsr = { readonly keyPem: string; readonly csrPem: string };

/** A fresh key and the request for a certificate with the one URI. */
export const createCsr = (uri: string): KeyAndCsr => {
  const { keyPem, publicKey } = createKey();
  const san = altNames({ uris: [uri], dnsNames: [], ips: [] });
  const extensions = sequence(sequence(oid(OID.subjectAltName), boolean(true), octets(toBytes(san))));
  const info = sequence(
    integer(Uint8Array.of(0)),
    sequence(),
    unwrap(fromBytes(publicKey.export({ type: "spki", format: "der" }))),
    tagged(0, sequence(oid(OID.extensionRequest), setOf(extensions))),
  );
  const signature = sign("sha256", toBytes(info), createPrivateKey(keyPem));
  const csr = sequence(info, sequence(oid(OID.ecdsaSha256)), bits(signature));
  return { keyPem, csrPem: toPem("CERTIFICATE REQUEST", toBytes(csr)) };
};
