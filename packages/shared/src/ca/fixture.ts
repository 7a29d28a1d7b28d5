// A certificate authority in memory (used by tests only).

import type { SpiffeId } from "../identity/spiffe.ts";
import { unwrap } from "../runtime/result.ts";
import { createKey, createRoot, issueLeaf, type Validity } from "../tls/issue.ts";
import type { IssuedCert, WorkloadCert } from "./types.ts";
import { workloadCert } from "./workload-cert.ts";

const HOUR = 3_600_000;

export type TestAuthority = {
  readonly rootPem: string;
  issue(id: SpiffeId, validity?: Partial<Validity>): IssuedCert;
  cert(id: SpiffeId, validity?: Partial<Validity>): WorkloadCert;
  /** For a server that is known by DNS name. */
  serving(dnsName: string): { readonly certPem: string; readonly keyPem: string };
};

export const testAuthority = (now: number = Date.now()): TestAuthority => {
  const validity = { notBefore: now - HOUR, notAfter: now + HOUR };
  const root = createRoot({ organization: "test", notBefore: now - 24 * HOUR, notAfter: now + 24 * HOUR });
  const issue: TestAuthority["issue"] = (id, own = {}) => {
    const { keyPem, publicKey } = createKey();
    return { keyPem, certChain: [issueLeaf(root, { publicKey, uris: [id.uri], ...validity, ...own }), root.certPem] };
  };
  return {
    rootPem: root.certPem,
    issue,
    cert: (id, own) => unwrap(workloadCert(id, issue(id, own))),
    serving: (dnsName) => {
      const { keyPem, publicKey } = createKey();
      return { keyPem, certPem: issueLeaf(root, { publicKey, uris: [], dnsNames: [dnsName], ...validity }) };
    },
  };
};
