// With what does the mesh's CA sign, and which roots does it tell everybody to trust?

import { createPrivateKey, X509Certificate } from "node:crypto";
import { err, ok, type Result } from "@ambit/shared/runtime/result.ts";
import { parseBundle } from "@ambit/shared/tls/certificate.ts";
import type { CertificateAuthority } from "@ambit/shared/tls/issue.ts";

export type Authority = {
  /** The CA that signs: a root, or one under it. */
  readonly signer: CertificateAuthority;
  /** What leads from the signer to a root, the signer's own certificate first; empty when the signer is a root. */
  readonly chainPem: readonly string[];
  /** What peers trust: the root of the signer first. */
  readonly rootsPem: readonly string[];
  /** Milliseconds since the epoch: when the first certificate of the signer's own chain ends. */
  readonly notAfter: number;
};

/** The roots as they are published and sent: one text. */
export const rootsText = (a: Pick<Authority, "rootsPem">): string => a.rootsPem.join("");

/** What follows the leaf in an answer: intermediates, then the roots as the last element. */
export const chainAfterLeaf = (a: Authority): readonly string[] => [...a.chainPem, rootsText(a)];

const why = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));

/** A valid CA's certificate and its own key; a pair that is mixed up would issue certificates that nobody can verify. The end of its validity. */
export const checkPair = (
  { certPem, keyPem }: CertificateAuthority,
  now: number,
  names = { cert: "ca-cert.pem", key: "ca-key.pem" },
): Result<number> => {
  let cert: X509Certificate;
  try {
    cert = new X509Certificate(certPem);
  } catch (cause) {
    return err(`${names.cert} is not a certificate (${why(cause)})`);
  }
  let matches: boolean;
  try {
    matches = cert.checkPrivateKey(createPrivateKey(keyPem));
  } catch (cause) {
    return err(`${names.key} is not a private key (${why(cause)})`);
  }
  if (!matches) return err(`${names.key} is not the key of ${names.cert}`);
  if (!cert.ca) return err(`${names.cert} is not a CA's certificate`);
  const notAfter = cert.validToDate.getTime();
  return notAfter > now
    ? ok(notAfter)
    : err(`${names.cert} has expired at ${cert.validToDate.toISOString()}: remove the Secret to have a new root`);
};

const isRoot = (c: X509Certificate): boolean => c.checkIssued(c) && c.verify(c.publicKey);

/** The certificates of a bundle, each once, or what is wrong with it. */
const bundle = (text: string, name: string): Result<X509Certificate[]> => {
  const parsed = parseBundle(text);
  if (!parsed.ok) return err(`${name}: ${parsed.error}`);
  return ok([...new Map(parsed.value.map((c) => [c.x509.fingerprint256, c.x509])).values()]);
};

export type PluggedFiles = { readonly caCert: string; readonly caKey: string; readonly certChain: string; readonly rootCert: string };

/**
 * The CA that an operator brings (Secret cacerts, as Istio has it): ca-cert.pem and ca-key.pem sign, cert-chain.pem leads to a root of
 * root-cert.pem. Every step of that way is verified here, for a chain with a gap would be found out by every peer of the mesh at once.
 */
export const pluggedAuthority = (files: PluggedFiles, now: number): Result<Authority> => {
  const signer = { certPem: files.caCert, keyPem: files.caKey };
  const pair = checkPair(signer, now);
  if (!pair.ok) return pair;
  const given = files.certChain.trim() === "" ? ok([]) : bundle(files.certChain, "cert-chain.pem");
  if (!given.ok) return given;
  const roots = bundle(files.rootCert, "root-cert.pem");
  if (!roots.ok) return roots;
  const odd = roots.value.find((r) => !r.ca);
  if (odd !== undefined) return err(`root-cert.pem holds ${odd.subject.replaceAll("\n", ", ")}, which is not a CA's certificate`);
  const chain: X509Certificate[] = [];
  let at = new X509Certificate(files.caCert);
  while (!roots.value.some((r) => r.fingerprint256 === at.fingerprint256)) {
    if (isRoot(at)) return err("ca-cert.pem leads to a root that root-cert.pem does not hold");
    chain.push(at);
    const issuedBy = (c: X509Certificate): boolean => at.checkIssued(c) && at.verify(c.publicKey);
    const next = roots.value.find(issuedBy) ?? given.value.find(issuedBy);
    if (next === undefined)
      return err(
        `cert-chain.pem does not lead from ca-cert.pem to a root of root-cert.pem: it has no issuer of ${at.subject.replaceAll("\n", ", ")}`,
      );
    if (chain.some((c) => c.fingerprint256 === next.fingerprint256)) return err("cert-chain.pem leads in a circle");
    at = next;
  }
  const ends = [...chain, at].map((c) => c.validToDate.getTime());
  const notAfter = Math.min(...ends);
  if (notAfter <= now) return err(`the way from ca-cert.pem to its root has ended at ${new Date(notAfter).toISOString()}`);
  const first = at;
  const rest = roots.value.filter((r) => r.fingerprint256 !== first.fingerprint256);
  return ok({ signer, chainPem: chain.map(String), rootsPem: [first, ...rest].map(String), notAfter });
};
