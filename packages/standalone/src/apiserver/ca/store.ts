// Where do the cluster's keys and certificates live, and when are they made anew?

import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, X509Certificate } from "node:crypto";
import { chmodSync, closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, statSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { ipBytes, parseIp } from "@ambit/shared/addr/ip.ts";
import { unwrap } from "@ambit/shared/runtime/result.ts";
import { rfc3339 } from "../runtime/time.ts";
import { type CertificateRequest, type Issuer, signCertificate } from "./certificate.ts";

const DAY = 86_400_000;
const CA_DAYS = 3650;
const LEAF_DAYS = 365;
const CA_SUBJECT = { commonName: "ambit-ca" };

export type KeyAndCertificate = { readonly keyPem: string; readonly certificatePem: string };

export type Pki = {
  readonly caPem: string;
  readonly server: KeyAndCertificate;
  /** Signs ServiceAccount tokens (ES256). */
  readonly tokenKey: KeyObject;
  /** The client certificate kept under that file name, made when absent, of another subject, or near its end. */
  client(file: string, user: string, groups: readonly string[]): KeyAndCertificate;
};

export type PkiOptions = {
  readonly dir: string;
  readonly now: number;
  readonly dnsNames: readonly string[];
  readonly addresses: readonly string[];
};

const readIfThere = (path: string): string | undefined => {
  try {
    return readFileSync(path, "utf8");
  } catch (e) {
    if (e instanceof Error && "code" in e && e.code === "ENOENT") return undefined;
    throw e;
  }
};

/** Replaces a file whole and durably, readable by its owner only. */
export const writeSecret = (path: string, text: string): void => {
  if (readIfThere(path) === text) {
    chmodSync(path, 0o600);
    return;
  }
  const temporary = `${path}.new`;
  const fd = openSync(temporary, "w", 0o600);
  try {
    writeSync(fd, text);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  chmodSync(temporary, 0o600);
  renameSync(temporary, path);
};

/** As `mkdir -p`. Node's own recursive mkdir never returns where a directory cannot be made for ENOENT (below /proc). */
export const makeDirs = (dir: string): void => {
  const kind = statSync(dir, { throwIfNoEntry: false });
  if (kind?.isDirectory() === true) return;
  if (dirname(dir) !== dir) makeDirs(dirname(dir));
  mkdirSync(dir, { mode: 0o700 });
};

const newKey = (): KeyObject => generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;

const keyAt = (path: string): KeyObject => {
  const pem = readIfThere(path);
  if (pem !== undefined) return createPrivateKey(pem);
  const key = newKey();
  writeSecret(path, String(key.export({ type: "pkcs8", format: "pem" })));
  return key;
};

const serial = (): Uint8Array => {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40; // positive, and no leading zero byte
  return bytes;
};

const addressBytes = (text: string): Uint8Array => ipBytes(unwrap(parseIp(text)));

type Wanted = Pick<CertificateRequest, "subject" | "use" | "dnsNames"> & { readonly addresses?: readonly string[] };

/** Is the certificate still the one we would make: by our CA, for this key and these names, with a third of its life left? */
const stillGood = (pem: string, key: KeyObject, wanted: Wanted, { caPem, now }: { caPem: string; now: number }): boolean => {
  const c = new X509Certificate(pem);
  const [from, to] = [Date.parse(c.validFrom), Date.parse(c.validTo)];
  const names = (c.subjectAltName ?? "").split(", ").filter((n) => n !== "");
  const subject = [...(wanted.subject.organizations ?? []).map((o) => `O=${o}`), `CN=${wanted.subject.commonName}`].join("\n");
  return (
    c.verify(new X509Certificate(caPem).publicKey) &&
    c.checkPrivateKey(key) &&
    c.subject === subject &&
    names.length === (wanted.dnsNames ?? []).length + (wanted.addresses ?? []).length &&
    (wanted.dnsNames ?? []).every((n) => names.includes(`DNS:${n}`)) &&
    (wanted.addresses ?? []).every((a) => c.checkIP(a) !== undefined) &&
    now > from &&
    to - now > (to - from) / 3
  );
};

/** Loads the PKI from the directory, making what is missing. Throws what the file system throws. */
export const openPki = ({ dir, now, dnsNames, addresses }: PkiOptions): Pki => {
  makeDirs(dir);
  chmodSync(dir, 0o700);
  const caKey = keyAt(join(dir, "ca.key"));
  const issuer: Issuer = { subject: CA_SUBJECT, key: caKey };
  const make = (key: KeyObject, wanted: Wanted, days: number): string =>
    signCertificate(
      {
        subject: wanted.subject,
        use: wanted.use,
        ...(wanted.dnsNames === undefined ? {} : { dnsNames: wanted.dnsNames }),
        publicKey: createPublicKey(key),
        addresses: (wanted.addresses ?? []).map(addressBytes),
        serial: serial(),
        notBefore: rfc3339(now - 5 * 60_000), // clocks of clients may be a little behind
        notAfter: rfc3339(now + days * DAY),
      },
      issuer,
    );
  const caPath = join(dir, "ca.crt");
  let caPem = readIfThere(caPath);
  if (caPem === undefined) {
    caPem = make(caKey, { subject: CA_SUBJECT, use: "ca" }, CA_DAYS);
    writeSecret(caPath, caPem);
  }
  const ca = caPem;
  const pair = (file: string, wanted: Wanted): KeyAndCertificate => {
    const key = keyAt(join(dir, `${file}.key`));
    const path = join(dir, `${file}.crt`);
    let certificatePem = readIfThere(path);
    if (certificatePem === undefined || !stillGood(certificatePem, key, wanted, { caPem: ca, now })) {
      certificatePem = make(key, wanted, LEAF_DAYS);
      writeSecret(path, certificatePem);
    }
    return { keyPem: String(key.export({ type: "pkcs8", format: "pem" })), certificatePem };
  };
  return {
    caPem: ca,
    server: pair("server", { subject: { commonName: "kube-apiserver" }, use: "server", dnsNames, addresses }),
    tokenKey: keyAt(join(dir, "sa.key")),
    client: (file, user, groups) => pair(file, { subject: { commonName: user, organizations: groups }, use: "client" }),
  };
};
