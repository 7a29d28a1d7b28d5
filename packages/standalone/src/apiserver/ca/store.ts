// Where do the cluster's keys and certificates live, and when are they made anew?

import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { chmodSync, closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, statSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { unwrap } from "@ambit/shared/runtime/result.ts";
import { parseCertificate, parseSubjectAltName } from "@ambit/shared/tls/certificate.ts";
import { type CertificateAuthority, createKey, createRoot, issueLeaf, type Usage } from "@ambit/shared/tls/issue.ts";

const DAY = 86_400_000;
const CA_DAYS = 3650;
const LEAF_DAYS = 365;
/** Clocks of clients may be a little behind. */
const BACKDATE_MS = 5 * 60_000;

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

const keyAt = (path: string): string => {
  const held = readIfThere(path);
  if (held !== undefined) return held;
  const { keyPem } = createKey();
  writeSecret(path, keyPem);
  return keyPem;
};

/** The authority of the directory, made anew where its key or its certificate is not there. */
const authorityAt = (dir: string, now: number): CertificateAuthority => {
  const paths = { key: join(dir, "ca.key"), cert: join(dir, "ca.crt") };
  const [keyPem, certPem] = [readIfThere(paths.key), readIfThere(paths.cert)];
  if (keyPem !== undefined && certPem !== undefined) return { keyPem, certPem };
  const made = createRoot({ commonName: "ambit-ca", notBefore: now - BACKDATE_MS, notAfter: now + CA_DAYS * DAY });
  writeSecret(paths.key, made.keyPem);
  writeSecret(paths.cert, made.certPem);
  return made;
};

type Wanted = {
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly usages: readonly Usage[];
  readonly dnsNames: readonly string[];
  readonly ips: readonly string[];
};

/** Is the certificate still the one we would make: by our CA, for this key and these names, with a third of its life left? */
const stillGood = (pem: string, wanted: Wanted, by: { caPem: string; keyPem: string; now: number }): boolean => {
  const { x509, dnsNames, notBefore, notAfter } = unwrap(parseCertificate(pem));
  const names = unwrap(parseSubjectAltName(x509.subjectAltName));
  const subject = [...wanted.organizations.map((o) => `O=${o}`), `CN=${wanted.commonName}`].join("\n");
  return (
    x509.verify(unwrap(parseCertificate(by.caPem)).x509.publicKey) &&
    x509.checkPrivateKey(createPrivateKey(by.keyPem)) &&
    x509.subject === subject &&
    names.length === wanted.dnsNames.length + wanted.ips.length &&
    wanted.dnsNames.every((n) => dnsNames.includes(n)) &&
    wanted.ips.every((a) => x509.checkIP(a) !== undefined) &&
    by.now > notBefore &&
    notAfter - by.now > (notAfter - notBefore) / 3
  );
};

/** Loads the PKI from the directory, making what is missing. Throws what the file system throws. */
export const openPki = ({ dir, now, dnsNames, addresses }: PkiOptions): Pki => {
  makeDirs(dir);
  chmodSync(dir, 0o700);
  const ca = authorityAt(dir, now);
  const make = (keyPem: string, wanted: Wanted): string =>
    issueLeaf(ca, {
      ...wanted,
      publicKey: createPublicKey(keyPem),
      uris: [],
      notBefore: now - BACKDATE_MS,
      notAfter: now + LEAF_DAYS * DAY,
    });
  const pair = (file: string, wanted: Wanted): KeyAndCertificate => {
    const keyPem = keyAt(join(dir, `${file}.key`));
    const path = join(dir, `${file}.crt`);
    const held = readIfThere(path);
    if (held !== undefined && stillGood(held, wanted, { caPem: ca.certPem, keyPem, now })) return { keyPem, certificatePem: held };
    const certificatePem = make(keyPem, wanted);
    writeSecret(path, certificatePem);
    return { keyPem, certificatePem };
  };
  return {
    caPem: ca.certPem,
    server: pair("server", { commonName: "kube-apiserver", organizations: [], usages: ["server"], dnsNames, ips: addresses }),
    tokenKey: createPrivateKey(keyAt(join(dir, "sa.key"))),
    client: (file, user, groups) => pair(file, { commonName: user, organizations: groups, usages: ["client"], dnsNames: [], ips: [] }),
  };
};
