// What bytes make a certificate signed by the cluster's CA? (RFC 5280; ECDSA P-256, which node-forge itself lacks)

import { createHash, createPublicKey, type KeyObject, sign } from "node:crypto";
import forge from "node-forge";

const { asn1 } = forge;
type Node = forge.asn1.Asn1;

const OID = {
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  commonName: "2.5.4.3",
  organization: "2.5.4.10",
  subjectKeyId: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyId: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",
} as const;

export type Subject = { readonly commonName: string; readonly organizations?: readonly string[] };

export type CertificateRequest = {
  readonly subject: Subject;
  /** The key that is certified. */
  readonly publicKey: KeyObject;
  readonly use: "ca" | "server" | "client";
  readonly dnsNames?: readonly string[];
  /** Raw address bytes, 4 or 16. */
  readonly addresses?: readonly Uint8Array[];
  /** Positive, at most 20 bytes. */
  readonly serial: Uint8Array;
  /** "YYYY-MM-DDThh:mm:ssZ". */
  readonly notBefore: string;
  readonly notAfter: string;
};

export type Issuer = { readonly subject: Subject; readonly key: KeyObject };

const node = (type: number, constructed: boolean, value: string | Node[], tagClass = asn1.Class.UNIVERSAL): Node =>
  asn1.create(tagClass, type, constructed, value);
const seq = (...items: Node[]): Node => node(asn1.Type.SEQUENCE, true, items);
const set = (...items: Node[]): Node => node(asn1.Type.SET, true, items);
const oid = (text: string): Node => node(asn1.Type.OID, false, asn1.oidToDer(text).getBytes());
const octets = (bytes: string): Node => node(asn1.Type.OCTETSTRING, false, bytes);
const utf8 = (text: string): Node => node(asn1.Type.UTF8, false, forge.util.encodeUtf8(text));
const binary = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");
const der = (n: Node): string => asn1.toDer(n).getBytes();

const nameOf = (s: Subject): Node =>
  seq(...(s.organizations ?? []).map((o) => set(seq(oid(OID.organization), utf8(o)))), set(seq(oid(OID.commonName), utf8(s.commonName))));

/** GeneralizedTime from 2050 on, UTCTime before (RFC 5280 §4.1.2.5); `iso` is "YYYY-MM-DDThh:mm:ssZ". */
const timeOf = (iso: string): Node => {
  const digits = iso.replace(/[-:T]/g, "");
  return iso < "2050" ? node(asn1.Type.UTCTIME, false, digits.slice(2)) : node(asn1.Type.GENERALIZEDTIME, false, digits);
};

const extension = (id: string, critical: boolean, value: Node): Node =>
  seq(oid(id), ...(critical ? [node(asn1.Type.BOOLEAN, false, "\xff")] : []), octets(der(value)));

/** SHA-1 of the subject public key's bits: RFC 5280 §4.2.1.2 method 1, an identifier and no security measure. */
const keyId = (key: KeyObject): string => {
  const { x = "", y = "" } = key.export({ format: "jwk" });
  const point = Buffer.concat([Buffer.from([4]), Buffer.from(x, "base64url"), Buffer.from(y, "base64url")]);
  return createHash("sha1").update(point).digest("latin1");
};

const CA_USAGE = "\x01\x06"; // keyCertSign, cRLSign: bits 5 and 6, one unused bit
const LEAF_USAGE = "\x07\x80"; // digitalSignature: bit 0, seven unused bits

const extensions = (r: CertificateRequest, issuer: Issuer): Node[] => {
  const alt = [
    ...(r.dnsNames ?? []).map((d) => node(2, false, d, asn1.Class.CONTEXT_SPECIFIC)),
    ...(r.addresses ?? []).map((a) => node(7, false, binary(a), asn1.Class.CONTEXT_SPECIFIC)),
  ];
  const ca = r.use === "ca";
  return [
    extension(OID.keyUsage, true, node(asn1.Type.BITSTRING, false, ca ? CA_USAGE : LEAF_USAGE)),
    ...(ca ? [] : [extension(OID.extendedKeyUsage, false, seq(oid(r.use === "server" ? OID.serverAuth : OID.clientAuth)))]),
    extension(OID.basicConstraints, true, seq(...(ca ? [node(asn1.Type.BOOLEAN, false, "\xff")] : []))),
    extension(OID.subjectKeyId, false, octets(keyId(r.publicKey))),
    extension(OID.authorityKeyId, false, seq(node(0, false, keyId(createPublicKey(issuer.key)), asn1.Class.CONTEXT_SPECIFIC))),
    ...(alt.length === 0 ? [] : [extension(OID.subjectAltName, false, seq(...alt))]),
  ];
};

/** The signed certificate as PEM. */
export const signCertificate = (r: CertificateRequest, issuer: Issuer): string => {
  const algorithm = seq(oid(OID.ecdsaWithSha256));
  const tbs = seq(
    node(0, true, [node(asn1.Type.INTEGER, false, "\x02")], asn1.Class.CONTEXT_SPECIFIC), // version 3
    node(asn1.Type.INTEGER, false, binary(r.serial)),
    algorithm,
    nameOf(issuer.subject),
    seq(timeOf(r.notBefore), timeOf(r.notAfter)),
    nameOf(r.subject),
    asn1.fromDer(forge.util.createBuffer(binary(r.publicKey.export({ type: "spki", format: "der" })))),
    node(3, true, [seq(...extensions(r, issuer))], asn1.Class.CONTEXT_SPECIFIC),
  );
  const signature = sign("sha256", Buffer.from(der(tbs), "latin1"), { key: issuer.key, dsaEncoding: "der" });
  const whole = seq(tbs, algorithm, node(asn1.Type.BITSTRING, false, `\0${signature.toString("latin1")}`));
  const body = Buffer.from(der(whole), "latin1")
    .toString("base64")
    .replace(/(.{64})(?!$)/g, "$1\n");
  return `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`;
};
