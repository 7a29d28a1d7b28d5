// What does a certificate request ask for, and does its sender hold the key?

import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { err, ok, type Result } from "../runtime/result.ts";
import { bitsOf, children, content, type Der, fromBytes, fromPem, isContext, isSequence, oidOf, toBytes } from "./der.ts";
import { readAltNames } from "./names.ts";
import { OID } from "./oids.ts";

export type Csr = {
  readonly publicKey: KeyObject;
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  readonly ips: readonly string[];
};

/** No honest request is larger. */
const MAX_BYTES = 16_384;
const HASH: Readonly<Record<string, string>> = { [OID.ecdsaSha256]: "sha256", [OID.ecdsaSha384]: "sha384", [OID.rsaSha256]: "sha256" };

const readKey = (spki: Der): Result<KeyObject> => {
  try {
    const key = createPublicKey({ key: Buffer.from(toBytes(spki)), format: "der", type: "spki" });
    const { namedCurve, modulusLength } = key.asymmetricKeyDetails ?? {};
    const strong =
      (key.asymmetricKeyType === "ec" && (namedCurve === "prime256v1" || namedCurve === "secp384r1")) ||
      (key.asymmetricKeyType === "rsa" && modulusLength !== undefined && modulusLength >= 2048 && modulusLength <= 8192);
    return strong ? ok(key) : err("the request's key must be ECDSA P-256 or P-384, or RSA of 2048 to 8192 bits");
  } catch (e) {
    // OpenSSL reports every malformed key by throwing.
    return err(`the request's key cannot be read (${e instanceof Error ? e.message : String(e)})`);
  }
};

const requestedExtensions = (attributes: Der | undefined): readonly Der[] =>
  children(attributes)
    .filter((a) => oidOf(children(a)[0]) === OID.extensionRequest)
    .flatMap((a) => children(children(a)[1]))
    .flatMap(children);

const NO_NAMES = { uris: [], dnsNames: [], ips: [] } as const;

/**
 * Parses PEM (PKCS#10), checks that it is signed by the key it carries, and reads the names it asks for. Extensions other than
 * subjectAltName are not looked at: the issuer writes its own.
 */
export const parseCsr = (pem: string): Result<Csr> => {
  if (pem.length > 2 * MAX_BYTES) return err("the certificate request is too large");
  const bytes = fromPem(pem, "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST");
  if (!bytes.ok) return bytes;
  const der = fromBytes(bytes.value);
  if (!der.ok) return err(`the certificate request is ${der.error}`);
  const parts = children(der.value);
  const [info, algorithm] = parts;
  const signature = bitsOf(parts[2]);
  const [, , spki, ...rest] = children(info);
  const shaped = parts.length === 3 && [der.value, info, algorithm, spki].every(isSequence) && children(algorithm).length <= 2;
  if (!shaped || info === undefined || spki === undefined || signature === undefined) return err("not a certificate request");
  const key = readKey(spki);
  if (!key.ok) return key;
  const hash = HASH[oidOf(children(algorithm)[0]) ?? ""];
  if (hash === undefined) return err("the certificate request is signed with an algorithm that is not accepted");
  if (!verify(hash, toBytes(info), key.value, signature)) return err("the certificate request is not signed by its own key");
  const sans = requestedExtensions(rest.find((a) => isContext(a, 0))).filter((e) => oidOf(children(e)[0]) === OID.subjectAltName);
  if (sans.length > 1) return err("the certificate request has two subjectAltName extensions");
  const [san] = sans;
  const names = san === undefined ? NO_NAMES : readAltNames(content(children(san).at(-1)));
  return names === undefined ? err("the certificate request's subjectAltName cannot be read") : ok({ publicKey: key.value, ...names });
};
