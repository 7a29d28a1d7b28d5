// Which certificates do the peers have? (the mesh's own kind: ECDSA P-256, one root)
import { createKey, createRoot, issueLeaf } from "@ambit/shared/tls/issue.ts";

const HOUR_MS = 3_600_000;

export type SideCertificate = { readonly keyPem: string; readonly certPem: string };
export type PairCertificates = { readonly rootPem: string; readonly client: SideCertificate; readonly server: SideCertificate };

/** A root and one leaf for each side, named "client.bench" and "server.bench". */
export const pairCertificates = (): PairCertificates => {
  const now = Date.now();
  const validity = { notBefore: now - HOUR_MS, notAfter: now + 24 * HOUR_MS };
  const root = createRoot({ ...validity, organization: "bench" });
  const leaf = (side: string): SideCertificate => {
    const { keyPem, publicKey } = createKey();
    return {
      keyPem,
      certPem: issueLeaf(root, { ...validity, publicKey, uris: [], dnsNames: [`${side}.bench`], commonName: side }),
    };
  };
  return { rootPem: root.certPem, client: leaf("client"), server: leaf("server") };
};
