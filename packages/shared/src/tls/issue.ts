// How is a certificate made: a root, a CA under it, and a leaf signed by either?

import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { unwrap } from "../runtime/result.ts";
import {
  bits,
  boolean,
  children,
  content,
  type Der,
  fromBytes,
  fromPem,
  implicit,
  integer,
  isContext,
  nullValue,
  octets,
  oid,
  oidOf,
  sequence,
  setOf,
  tagged,
  time,
  toBytes,
  toPem,
  utf8,
} from "./der.ts";
import { altNames } from "./names.ts";
import { OID } from "./oids.ts";

/** PEM texts. */
export type CertificateAuthority = { readonly certPem: string; readonly keyPem: string };
/** Milliseconds since the epoch; certificates have whole seconds. */
export type Validity = { readonly notBefore: number; readonly notAfter: number };
export type LeafRequest = Validity & {
  readonly publicKey: KeyObject;
  readonly uris: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly ips?: readonly string[];
  readonly commonName?: string;
  readonly organizations?: readonly string[];
  /** What the key may prove itself for; both unless told: the mesh's workloads are client and server. */
  readonly usages?: readonly Usage[];
};
export type Usage = "server" | "client";

const USAGE_OID: Readonly<Record<Usage, string>> = { server: OID.serverAuth, client: OID.clientAuth };

const distinguishedName = (commonName: string | undefined, organizations: readonly string[]): Der =>
  sequence(
    ...organizations.map((o) => setOf(sequence(oid(OID.organization), utf8(o)))),
    ...(commonName === undefined ? [] : [setOf(sequence(oid(OID.commonName), utf8(commonName)))]),
  );

/** An Extension; `critical` when who does not know it must refuse the whole. */
export const extension = (id: string, critical: boolean, value: Der): Der =>
  sequence(oid(id), ...(critical ? [boolean(true)] : []), octets(toBytes(value)));

/** SHA-256 of the key's bits, the first 20 bytes (RFC 7093 section 2, method 1). */
const keyId = (spki: Der): Uint8Array =>
  createHash("sha256")
    .update(content(children(spki)[1]).subarray(1))
    .digest()
    .subarray(0, 20);

const spkiOf = (key: KeyObject): Der => unwrap(fromBytes(key.export({ type: "spki", format: "der" })));

/** How the key signs. */
export const algorithmOf = (key: KeyObject): Der =>
  key.asymmetricKeyType === "rsa" ? sequence(oid(OID.rsaSha256), nullValue()) : sequence(oid(OID.ecdsaSha256));

type Tbs = Validity & {
  readonly issuer: Der;
  readonly subject: Der;
  readonly spki: Der;
  readonly extensions: readonly Der[];
  readonly key: KeyObject;
};

const signed = (t: Tbs): string => {
  const algorithm = algorithmOf(t.key);
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40; // positive, and always 16 bytes long
  const tbs = sequence(
    tagged(0, integer(Uint8Array.of(2))), // v3
    integer(serial),
    algorithm,
    t.issuer,
    sequence(time(t.notBefore), time(t.notAfter)),
    t.subject,
    t.spki,
    tagged(3, sequence(...t.extensions)),
  );
  const signature = sign("sha256", toBytes(tbs), t.key);
  return toPem("CERTIFICATE", toBytes(sequence(tbs, algorithm, bits(signature))));
};

/** A fresh P-256 key pair: the private half as PKCS#8 PEM. */
export const createKey = (): { readonly keyPem: string; readonly publicKey: KeyObject } => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  return { keyPem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(), publicKey };
};

type Named = Validity & { readonly commonName?: string; readonly organization?: string };

const nameOf = (who: Named): Der => distinguishedName(who.commonName, who.organization === undefined ? [] : [who.organization]);

/** What makes a certificate a CA's; `pathLength` CAs may follow below it. */
const caExtensions = (spki: Der, pathLength?: number): Der[] => [
  extension(OID.basicConstraints, true, sequence(boolean(true), ...(pathLength === undefined ? [] : [integer(Uint8Array.of(pathLength))]))),
  extension(OID.keyUsage, true, bits(Uint8Array.of(0b0000_0110), 1)), // keyCertSign, cRLSign
  extension(OID.subjectKeyIdentifier, false, octets(keyId(spki))),
];

/** A self-signed ECDSA P-256 root. */
export const createRoot = (who: Named): CertificateAuthority => {
  const { keyPem, publicKey } = createKey();
  const spki = spkiOf(publicKey);
  const name = nameOf(who);
  const { notBefore, notAfter } = who;
  const key = createPrivateKey(keyPem);
  return { certPem: signed({ notBefore, notAfter, issuer: name, subject: name, spki, key, extensions: caExtensions(spki) }), keyPem };
};

/** A CA under another one: it may sign leaves, and no further CA. Throws as issueLeaf does. */
export const createIntermediate = (parent: CertificateAuthority, who: Named): CertificateAuthority => {
  const { keyPem, publicKey } = createKey();
  const spki = spkiOf(publicKey);
  const issuer = issuerOf(parent);
  const certPem = signed({
    notBefore: who.notBefore,
    notAfter: who.notAfter,
    issuer: issuer.name,
    subject: nameOf(who),
    spki,
    key: createPrivateKey(parent.keyPem),
    extensions: [...caExtensions(spki, 0), extension(OID.authorityKeyIdentifier, false, sequence(implicit(0, issuer.keyId)))],
  });
  return { certPem, keyPem };
};

/** A CA's name as it stands in what it signs, and the identifier of its key. */
export type Issuer = { readonly name: Der; readonly keyId: Uint8Array };

/** Throws when the CA's certificate cannot be read. */
export const issuerOf = (ca: Pick<CertificateAuthority, "certPem">): Issuer => {
  const der = unwrap(fromBytes(unwrap(fromPem(ca.certPem, "CERTIFICATE"))));
  const tbs = children(children(der)[0]);
  const [, , , , , name, spki] = tbs;
  if (name === undefined || spki === undefined) throw new Error("the CA's certificate has no subject");
  const extensions = children(children(tbs.find((e) => isContext(e, 3)))[0]);
  const own = extensions.find((e) => oidOf(children(e)[0]) === OID.subjectKeyIdentifier);
  const value = own === undefined ? undefined : unwrap(fromBytes(content(children(own).at(-1))));
  // The issuer's own word for its key; only where it has none is ours used (RFC 5280 section 4.2.1.1).
  return { name, keyId: value === undefined ? keyId(spki) : content(value) };
};

/** A leaf, as PEM. Throws when the CA's own texts cannot be read: that is checked when it is loaded. */
export const issueLeaf = (ca: CertificateAuthority, leaf: LeafRequest): string => {
  const key = createPrivateKey(ca.keyPem);
  const issuer = issuerOf(ca);
  const spki = spkiOf(leaf.publicKey);
  const { organizations = [], usages = ["server", "client"] } = leaf;
  const anonymous = leaf.commonName === undefined && organizations.length === 0;
  const names = { uris: leaf.uris, dnsNames: leaf.dnsNames ?? [], ips: leaf.ips ?? [] };
  const named = names.uris.length + names.dnsNames.length + names.ips.length > 0;
  return signed({
    notBefore: leaf.notBefore,
    notAfter: leaf.notAfter,
    issuer: issuer.name,
    subject: distinguishedName(leaf.commonName, organizations),
    spki,
    key,
    extensions: [
      extension(OID.keyUsage, true, bits(Uint8Array.of(0b1010_0000), 5)), // digitalSignature, keyEncipherment
      extension(OID.extKeyUsage, false, sequence(...usages.map((u) => oid(USAGE_OID[u])))),
      extension(OID.basicConstraints, true, sequence()),
      extension(OID.subjectKeyIdentifier, false, octets(keyId(spki))),
      extension(OID.authorityKeyIdentifier, false, sequence(implicit(0, issuer.keyId))),
      // Critical where the subject is empty (RFC 5280 section 4.2.1.6).
      ...(named ? [extension(OID.subjectAltName, anonymous, altNames(names))] : []),
    ],
  });
};

/** True when the private key is the one the certificate certifies. */
export const keyMatches = (ca: CertificateAuthority): boolean => {
  const spki = (k: KeyObject) => k.export({ type: "spki", format: "der" });
  return spki(createPublicKey(ca.certPem)).equals(spki(createPublicKey(createPrivateKey(ca.keyPem))));
};
