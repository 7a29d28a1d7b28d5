// Is what the CA answered a certificate for the identity that was asked for?

import { createPrivateKey, createPublicKey } from "node:crypto";
import type { SecureContext } from "node:tls";
import type { SpiffeId } from "../identity/spiffe.ts";
import { err, ok, type Result } from "../runtime/result.ts";
import { type Certificate, parseBundle, spiffeIdOf } from "../tls/certificate.ts";
import { clientContext, type TlsMaterial } from "../tls/context.ts";
import { DEFAULT_TLS, type TlsPolicy } from "../tls/policy.ts";
import type { IssuedCert, WorkloadCert } from "./types.ts";

const holdsKey = (leaf: Certificate, keyPem: string): boolean => leaf.x509.publicKey.equals(createPublicKey(createPrivateKey(keyPem)));

const contextOf = (material: TlsMaterial): Result<SecureContext> => {
  try {
    return ok(clientContext(material));
  } catch (e) {
    // OpenSSL reports material that does not fit together by throwing.
    return err(`the certificate cannot be used (${e instanceof Error ? e.message : String(e)})`);
  }
};

/**
 * The answer as a certificate ready for use: at least a leaf and roots, the leaf for exactly this identity and for our key.
 * Its time is not looked at: that changes while it is held. With it TLS is spoken under the policy.
 */
export const workloadCert = (identity: SpiffeId, issued: IssuedCert, tls: TlsPolicy = DEFAULT_TLS): Result<WorkloadCert> => {
  const rootsText = issued.certChain.at(-1);
  if (rootsText === undefined || issued.certChain.length < 2)
    return err(`the CA answered with ${issued.certChain.length} certificates: want a leaf and the roots`);
  const chain = parseBundle(issued.certChain.slice(0, -1).join("\n"));
  if (!chain.ok) return err(`the CA's certificate chain: ${chain.error}`);
  const roots = parseBundle(rootsText);
  if (!roots.ok) return err(`the CA's roots: ${roots.error}`);
  const [leaf] = chain.value;
  if (leaf === undefined) return err("the CA answered with no leaf certificate");
  const id = spiffeIdOf(leaf);
  if (!id.ok) return err(`the CA's certificate: ${id.error}`);
  if (id.value.uri !== identity.uri) return err(`the CA answered with a certificate for ${id.value.uri}, not for ${identity.uri}`);
  if (!holdsKey(leaf, issued.keyPem)) return err("the CA answered with a certificate for another key");
  const material = { keyPem: issued.keyPem, chainPem: chain.value.map((c) => c.pem), rootsPem: roots.value.map((c) => c.pem), tls };
  const context = contextOf(material);
  if (!context.ok) return context;
  return ok({ identity, ...material, leaf, notBefore: leaf.notBefore, notAfter: leaf.notAfter, clientContext: context.value });
};
