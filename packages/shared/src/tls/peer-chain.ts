// Which certificates did the peer of a TLS connection show?

import type { X509Certificate } from "node:crypto";
import type { DetailedPeerCertificate, TLSSocket } from "node:tls";
import type { PeerChain } from "./revocation.ts";

/** As OpenSSL verifies: no chain that it accepts is longer. */
const MAX_DEPTH = 100;

const isRoot = (cert: X509Certificate): boolean => cert.subject === cert.issuer;

/** Without the root where the peer sent intermediates; quick. */
const shown = (socket: Pick<TLSSocket, "getPeerX509Certificate">): { readonly chain: Uint8Array[]; readonly whole: boolean } => {
  const chain: Uint8Array[] = [];
  let cert: X509Certificate | undefined = socket.getPeerX509Certificate();
  let whole = cert === undefined;
  while (cert !== undefined && chain.length < MAX_DEPTH) {
    chain.push(cert.raw);
    whole = isRoot(cert);
    cert = cert.issuerCertificate;
  }
  return { chain, whole };
};

/** The peer's own certificate, then each one's issuer up to the root that we trust it by. Empty when there is none. */
export const peerChain = (socket: Pick<TLSSocket, "getPeerX509Certificate" | "getPeerCertificate">): PeerChain => {
  const quick = shown(socket);
  if (quick.whole) return quick.chain;
  const chain: Uint8Array[] = [];
  let cert: Partial<DetailedPeerCertificate> | undefined = socket.getPeerCertificate(true);
  while (cert?.raw !== undefined && chain.length < MAX_DEPTH) {
    // Copied: the bytes outlive the TLS connection's own.
    chain.push(Uint8Array.from(cert.raw));
    // A root is its own issuer.
    cert = cert.issuerCertificate === cert ? undefined : cert.issuerCertificate;
  }
  return chain;
};
