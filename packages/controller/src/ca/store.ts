// Where is the mesh's root kept, and how does the first controller make it?

import { createPrivateKey, X509Certificate } from "node:crypto";
import type { KubeClient } from "@ambit/shared/kube/client.ts";
import { isAlreadyExists } from "@ambit/shared/kube/error.ts";
import type { Secret } from "@ambit/shared/kube/objects/core.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import { err, ok, type Result } from "@ambit/shared/runtime/result.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import { type CertificateAuthority, createRoot } from "@ambit/shared/tls/issue.ts";

export type Root = CertificateAuthority & { readonly notAfter: number };

const ROOT_SECRET = "istio-ca-secret";
const CERT = "ca-cert.pem";
const KEY = "ca-key.pem";
const TEN_YEARS_MS = 10 * 365 * 24 * 3_600_000;
const BACKDATE_MS = 120_000;

const why = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));

/** A valid CA's certificate and its own key; a pair that is mixed up would issue certificates that nobody can verify. */
const checkPair = ({ certPem, keyPem }: CertificateAuthority, now: number): Result<number> => {
  let cert: X509Certificate;
  try {
    cert = new X509Certificate(certPem);
  } catch (cause) {
    return err(`${CERT} is not a certificate (${why(cause)})`);
  }
  let matches: boolean;
  try {
    matches = cert.checkPrivateKey(createPrivateKey(keyPem));
  } catch (cause) {
    return err(`${KEY} is not a private key (${why(cause)})`);
  }
  if (!matches) return err(`${KEY} is not the key of ${CERT}`);
  if (!cert.ca) return err(`${CERT} is not a CA's certificate`);
  const notAfter = cert.validToDate.getTime();
  return notAfter > now
    ? ok(notAfter)
    : err(`${CERT} has expired at ${cert.validToDate.toISOString()}: remove the Secret to have a new root`);
};

/** Reads the root from the Secret's data. */
export const readRoot = (secret: Secret, now: number): Result<Root> => {
  const text = (key: string) => Buffer.from(secret.data?.[key] ?? "", "base64").toString("utf8");
  const root = { certPem: text(CERT), keyPem: text(KEY) };
  const where = `Secret ${secret.metadata.namespace}/${secret.metadata.name}`;
  if (root.certPem === "" || root.keyPem === "") return err(`${where} lacks ${root.certPem === "" ? CERT : KEY}`);
  const notAfter = checkPair(root, now);
  return notAfter.ok ? ok({ ...root, notAfter: notAfter.value }) : err(`${where}: ${notAfter.error}`);
};

/** The root in the Secret; made first if there is none. Of several controllers that start at once, all end with the same root. */
export const loadOrCreateRoot = async (
  client: Pick<KubeClient, "get" | "create">,
  who: { readonly namespace: string; readonly trustDomain: string },
  world: Pick<World, "now">,
): Promise<Root> => {
  const key = { namespace: who.namespace, name: ROOT_SECRET };
  const parsed = (secret: Secret): Root => {
    const root = readRoot(secret, world.now());
    if (!root.ok) throw new Error(root.error);
    return root.value;
  };
  const there = await client.get<Secret>(RESOURCES.secrets, key);
  if (there !== undefined) return parsed(there);
  const now = world.now();
  const root = createRoot({ notBefore: now - BACKDATE_MS, notAfter: now + TEN_YEARS_MS, organization: who.trustDomain });
  const encode = (pem: string) => Buffer.from(pem, "utf8").toString("base64");
  try {
    const made = await client.create<Secret>(RESOURCES.secrets, {
      metadata: key,
      type: "istio.io/ca-root",
      data: { [CERT]: encode(root.certPem), [KEY]: encode(root.keyPem) },
    });
    return parsed(made);
  } catch (cause) {
    if (!isAlreadyExists(cause)) throw cause;
    const theirs = await client.get<Secret>(RESOURCES.secrets, key);
    if (theirs === undefined) throw new Error(`Secret ${key.namespace}/${key.name} was made and removed while we looked`, { cause });
    return parsed(theirs);
  }
};
