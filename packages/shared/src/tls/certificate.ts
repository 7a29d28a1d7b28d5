// What does a certificate say: who, until when?

import { X509Certificate } from "node:crypto";
import { parseSpiffeId, type SpiffeId } from "../identity/spiffe.ts";
import { all, err, ok, type Result } from "../runtime/result.ts";

export type Certificate = {
  readonly pem: string;
  readonly x509: X509Certificate;
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  /** Upper-case hex. */
  readonly serial: string;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
};

export type AltName = { readonly type: string; readonly value: string };

const quoted = (text: string): { value: string; rest: string } | undefined => {
  const m = /^"(?:[^"\\]|\\.)*"/.exec(text);
  if (m === null) return undefined;
  try {
    return { value: String(JSON.parse(m[0])), rest: text.slice(m[0].length) };
  } catch {
    // Not JSON: the caller reports the whole text as unreadable.
    return undefined;
  }
};

/**
 * Node's text form of subjectAltName: "URI:a, DNS:b". A value with a comma, quote, backslash or control character is written as
 * a JSON string, so that it cannot pass for two names (CVE-2021-44532). Anything else than that form is an error.
 */
export const parseSubjectAltName = (text: string | undefined): Result<AltName[]> => {
  const out: AltName[] = [];
  let rest = text ?? "";
  while (rest !== "") {
    const type = /^([A-Za-z0-9 ]+):/.exec(rest)?.[1];
    if (type === undefined) return err(`subjectAltName cannot be read: ${JSON.stringify(text)}`);
    const after = rest.slice(type.length + 1);
    const entry = after.startsWith('"') ? quoted(after) : { value: /^[^,]*/.exec(after)?.[0] ?? "", rest: after.replace(/^[^,]*/, "") };
    if (entry === undefined || (entry.rest !== "" && !/^, ./.test(entry.rest)))
      return err(`subjectAltName cannot be read: ${JSON.stringify(text)}`);
    out.push({ type, value: entry.value });
    rest = entry.rest.slice(2);
  }
  return ok(out);
};

const ofX509 = (x509: X509Certificate): Result<Certificate> => {
  const names = parseSubjectAltName(x509.subjectAltName);
  if (!names.ok) return names;
  const of = (type: string) => names.value.filter((n) => n.type === type).map((n) => n.value);
  return ok({
    pem: x509.toString(),
    x509,
    uris: of("URI"),
    dnsNames: of("DNS"),
    serial: x509.serialNumber,
    notBefore: x509.validFromDate.getTime(),
    notAfter: x509.validToDate.getTime(),
  });
};

/** One certificate from PEM text or DER bytes. */
export const parseCertificate = (source: string | Uint8Array | X509Certificate): Result<Certificate> => {
  if (source instanceof X509Certificate) return ofX509(source);
  try {
    return ofX509(new X509Certificate(typeof source === "string" ? source : Buffer.from(source)));
  } catch (e) {
    // OpenSSL reports every malformed certificate by throwing.
    return err(`not a certificate (${e instanceof Error ? e.message : String(e)})`);
  }
};

/** The PEM blocks of a bundle, one certificate each. */
export const splitPem = (bundle: string): string[] =>
  (bundle.match(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]*-----END CERTIFICATE-----/g) ?? []).map((block) => `${block}\n`);

/** Every certificate of a bundle; none, or one that cannot be read, is an error. */
export const parseBundle = (bundle: string): Result<Certificate[]> => {
  const blocks = splitPem(bundle);
  const begun = bundle.split("-----BEGIN CERTIFICATE-----").length - 1;
  if (blocks.length !== begun) return err("the bundle has a PEM block that cannot be read");
  return blocks.length === 0 ? err("the bundle has no certificate") : all(blocks.map(parseCertificate));
};

/** The certificate's one SPIFFE id of Istio's form; no URI or several is an error (SPIFFE X509-SVID section 2). */
export const spiffeIdOf = (cert: Pick<Certificate, "uris">): Result<SpiffeId> => {
  const [uri] = cert.uris;
  if (uri === undefined) return err("the certificate has no SPIFFE id");
  return cert.uris.length === 1 ? parseSpiffeId(uri) : err(`the certificate has ${cert.uris.length} URIs: a SPIFFE certificate has one`);
};
