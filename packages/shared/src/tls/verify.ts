// Is the peer who it must be? (the chain itself is checked by TLS; this is about names and time)

import type { SpiffeId } from "../identity/spiffe.ts";
import { err, ok, type Result } from "../runtime/result.ts";
import { type Certificate, spiffeIdOf } from "./certificate.ts";

type Peer = Pick<Certificate, "uris">;

/** The peer's id when it is one of those expected; an empty list expects nobody. */
export const verifyExpected = (cert: Peer, expect: readonly SpiffeId[]): Result<SpiffeId> => {
  const id = spiffeIdOf(cert);
  if (!id.ok) return id;
  if (expect.some((e) => e.uri === id.value.uri)) return id;
  return err(`the peer is ${id.value.uri}, not ${expect.map((e) => e.uri).join(" or ") || "anyone (no identity is expected)"}`);
};

/** The peer's id when its trust domain is one of these (our own and its aliases): equal to the letter. */
export const verifyTrustDomain = (cert: Peer, trustDomains: readonly string[]): Result<SpiffeId> => {
  const id = spiffeIdOf(cert);
  if (!id.ok) return id;
  const known = trustDomains.includes(id.value.trustDomain);
  return known ? id : err(`the peer is ${id.value.uri}, of another trust domain than ${trustDomains.join(" or ")}`);
};

/** Within its time: from notBefore up to, not including, notAfter. */
export const verifyTime = (cert: Pick<Certificate, "notBefore" | "notAfter">, now: number): Result<undefined> => {
  if (now < cert.notBefore) return err(`the certificate is not valid before ${new Date(cert.notBefore).toISOString()}`);
  return now < cert.notAfter ? ok(undefined) : err(`the certificate expired at ${new Date(cert.notAfter).toISOString()}`);
};
