// How is a DER structure put together and taken apart? (over node-forge's ASN.1)

import { createRequire } from "node:module";
import type forge from "node-forge";
import { err, ok, type Result } from "../runtime/result.ts";

// Its ASN.1 alone: the package's index loads ciphers, PKCS#12, SSH and TLS too, 3 MB that stay resident.
const load = createRequire(import.meta.url);
const asn1 = load("node-forge/lib/asn1") as typeof forge.asn1;
const util = load("node-forge/lib/util") as typeof forge.util;
export type Der = forge.asn1.Asn1;

const { Class, Type } = asn1;
const binary = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");

export const sequence = (...children: Der[]): Der => asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, children);
export const setOf = (...children: Der[]): Der => asn1.create(Class.UNIVERSAL, Type.SET, true, children);
export const oid = (dotted: string): Der => asn1.create(Class.UNIVERSAL, Type.OID, false, asn1.oidToDer(dotted).getBytes());
export const nullValue = (): Der => asn1.create(Class.UNIVERSAL, Type.NULL, false, "");
export const boolean = (value: boolean): Der => asn1.create(Class.UNIVERSAL, Type.BOOLEAN, false, value ? "\xff" : "\x00");
export const utf8 = (text: string): Der => asn1.create(Class.UNIVERSAL, Type.UTF8, false, Buffer.from(text, "utf8").toString("latin1"));
export const octets = (bytes: Uint8Array): Der => asn1.create(Class.UNIVERSAL, Type.OCTETSTRING, false, binary(bytes));
/** Whole bytes. */
export const bits = (bytes: Uint8Array, unused = 0): Der =>
  asn1.create(Class.UNIVERSAL, Type.BITSTRING, false, String.fromCharCode(unused) + binary(bytes));
/** A positive integer from big-endian bytes. */
export const integer = (bytes: Uint8Array): Der => {
  const at = bytes.findIndex((b) => b !== 0);
  const trimmed = at < 0 ? Uint8Array.of(0) : bytes.subarray(at);
  const sign = (trimmed[0] ?? 0) > 0x7f ? "\x00" : "";
  return asn1.create(Class.UNIVERSAL, Type.INTEGER, false, sign + binary(trimmed));
};
/** [tag] around children. */
export const tagged = (tag: number, ...children: Der[]): Der => asn1.create(Class.CONTEXT_SPECIFIC, tag, true, children);
/** [tag] in place of a primitive's own. */
export const implicit = (tag: number, bytes: Uint8Array): Der => asn1.create(Class.CONTEXT_SPECIFIC, tag, false, binary(bytes));
/** UTCTime until 2049, GeneralizedTime after (RFC 5280 section 4.1.2.5); whole seconds. */
export const time = (ms: number): Der => {
  const digits = new Date(Math.floor(ms / 1000) * 1000).toISOString().replace(/[-:T]|\.\d+/g, "");
  return digits < "2050"
    ? asn1.create(Class.UNIVERSAL, Type.UTCTIME, false, digits.slice(2))
    : asn1.create(Class.UNIVERSAL, Type.GENERALIZEDTIME, false, digits);
};

export const toBytes = (der: Der): Uint8Array => Buffer.from(asn1.toDer(der).getBytes(), "latin1");

/** Exactly one value and nothing after it, in DER: what would not be written the same way again is an error. */
export const fromBytes = (bytes: Uint8Array): Result<Der> => {
  // forge's types do not know decodeBitStrings; without it the contents of a BIT STRING may be read as more ASN.1.
  const options = { strict: true, parseAllBytes: true, decodeBitStrings: false } as unknown as boolean;
  try {
    const der = asn1.fromDer(util.createBuffer(binary(bytes)), options);
    return Buffer.compare(toBytes(der), bytes) === 0 ? ok(der) : err("not DER: it has another encoding than the one allowed");
  } catch (e) {
    // forge reports every malformed input by throwing.
    return err(`not DER (${e instanceof Error ? e.message : String(e)})`);
  }
};

/** The elements of a SEQUENCE or SET; none for a primitive. */
export const children = (der: Der | undefined): readonly Der[] => (der !== undefined && Array.isArray(der.value) ? der.value : []);
/** The bytes of a primitive; empty for a constructed value. */
export const content = (der: Der | undefined): Uint8Array => Buffer.from(typeof der?.value === "string" ? der.value : "", "latin1");
export const isContext = (der: Der, tag: number): boolean => der.tagClass === Class.CONTEXT_SPECIFIC && Number(der.type) === tag;
export const isSequence = (der: Der | undefined): boolean => der?.tagClass === Class.UNIVERSAL && der.type === Type.SEQUENCE;
/** The bytes of a BIT STRING of whole bytes; undefined for anything else. */
export const bitsOf = (der: Der | undefined): Uint8Array | undefined => {
  const bytes = content(der);
  return der?.tagClass === Class.UNIVERSAL && der.type === Type.BITSTRING && bytes[0] === 0 ? bytes.subarray(1) : undefined;
};
/** The dotted text of an OID; undefined when it is not one. */
export const oidOf = (der: Der | undefined): string | undefined =>
  der !== undefined && der.tagClass === Class.UNIVERSAL && der.type === Type.OID && typeof der.value === "string" && der.value !== ""
    ? asn1.derToOid(util.createBuffer(der.value))
    : undefined;

/** A PEM block of the label. */
export const toPem = (label: string, bytes: Uint8Array): string =>
  `-----BEGIN ${label}-----\n${(
    Buffer.from(bytes)
      .toString("base64")
      .match(/.{1,64}/g) ?? []
  ).join("\n")}\n-----END ${label}-----\n`;

/** The bytes of the first block that has one of the labels. */
export const fromPem = (text: string, ...labels: readonly string[]): Result<Uint8Array> => {
  for (const label of labels) {
    const m = new RegExp(`-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]*)-----END ${label}-----`).exec(text);
    if (m?.[1] !== undefined) return ok(Buffer.from(m[1], "base64"));
  }
  return err(`no PEM block ${labels.join(" or ")}`);
};
