// Which certificates did the peer of a TLS connection show?

import type { DetailedPeerCertificate, TLSSocket } from "node:tls";
import type { PeerChain } from "./revocation.ts";

/** No honest chain is longer. */
const MAX_DEPTH = 10;

/** The peer's own certificate, then each one's issuer up to the root that we trust it by. Empty when there is none. */
export const peerChain = (socket: Pick<TLSSocket, "getPeerCertificate">): PeerChain => {
  const chain: Uint8Array[] = [];
  let cert: Partial<DetailedPeerCertificate> | undefined = socket.getPeerCertificate(true);
  const seen = new Set<unknown>();
  while (cert?.raw !== undefined && !seen.has(cert) && chain.length < MAX_DEPTH) {
    seen.add(cert);
    // Copied: the bytes outlive the TLS connection's own.
    chain.push(Uint8Array.from(cert.raw));
    // A root is its own issuer.
    cert = cert.issuerCertificate === cert ? undefined : cert.issuerCertificate;
  }
  return chain;
};
