// Where is the mesh's root kept, and how does the first controller make it?

import { X509Certificate } from "node:crypto";
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

/** Reads the root from the Secret's data. */
export const readRoot = (secret: Secret): Result<Root> => {
  const text = (key: string) => Buffer.from(secret.data?.[key] ?? "", "base64").toString("utf8");
  const root = { certPem: text(CERT), keyPem: text(KEY) };
  const where = `Secret ${secret.metadata.namespace}/${secret.metadata.name}`;
  if (root.certPem === "" || root.keyPem === "") return err(`${where} lacks ${root.certPem === "" ? CERT : KEY}`);
  try {
    return ok({ ...root, notAfter: new X509Certificate(root.certPem).validToDate.getTime() });
  } catch (cause) {
    return err(`${where}: ${CERT} is not a certificate (${cause instanceof Error ? cause.message : String(cause)})`);
  }
};

/** The root in the Secret; made first if there is none. Of several controllers that start at once, all end with the same root. */
export const loadOrCreateRoot = async (
  client: Pick<KubeClient, "get" | "create">,
  who: { readonly namespace: string; readonly trustDomain: string },
  world: Pick<World, "now">,
): Promise<Root> => {
  const key = { namespace: who.namespace, name: ROOT_SECRET };
  const parsed = (secret: Secret): Root => {
    const root = readRoot(secret);
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
