// Has a certificate of our own pods been revoked? (what spares neighbours the handshake must not spare them its checks)

import { X509Certificate } from "node:crypto";
import type { WorkloadCert } from "@ambit/shared/ca/types.ts";
import type { PeerChain } from "@ambit/shared/tls/revocation.ts";
import type { PeerCheck } from "@ambit/shared/tls/revocations.ts";

const chains = new WeakMap<WorkloadCert, PeerChain>();

/** What a peer would be shown and what it would add: leaf, intermediates, the root that the last of them is issued by. */
const chainOf = (cert: WorkloadCert): PeerChain => {
  const known = chains.get(cert);
  if (known !== undefined) return known;
  const shown = cert.chainPem.map((pem) => new X509Certificate(pem));
  const last = shown.at(-1);
  const root = cert.rootsPem.map((pem) => new X509Certificate(pem)).find((r) => last?.checkIssued(r) === true);
  const chain = [...shown, ...(root === undefined ? [] : [root])].map((c) => c.raw);
  chains.set(cert, chain);
  return chain;
};

/** True: a peer that holds the lists would refuse the certificate. */
export const isRevoked = (cert: WorkloadCert, check: PeerCheck | undefined): boolean =>
  check !== undefined && check.refuse(chainOf(cert)) !== undefined;
