// Who is a workload? The SPIFFE id is the only identity type.

import { err, ok, type Result } from "../runtime/result.ts";

export type SpiffeId = {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  /** "spiffe://td/ns/x/sa/y": equal identities have equal uris. */
  readonly uri: string;
};

export const spiffeId = (trustDomain: string, namespace: string, serviceAccount: string): SpiffeId => ({
  trustDomain,
  namespace,
  serviceAccount,
  uri: `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}`,
});

// The characters that SPIFFE allows in a trust domain and in a path segment: no comma, quote, space or control character.
const SHAPE = /^spiffe:\/\/([A-Za-z0-9._-]+)\/ns\/([A-Za-z0-9._-]+)\/sa\/([A-Za-z0-9._-]+)$/;

/** Parses an Istio-shaped SPIFFE id; anything else is an error, never a guess. */
export const parseSpiffeId = (uri: string): Result<SpiffeId> => {
  const m = SHAPE.exec(uri);
  const [, td, ns, sa] = m ?? [];
  return td !== undefined && ns !== undefined && sa !== undefined
    ? ok(spiffeId(td, ns, sa))
    : err(`${JSON.stringify(uri)} is not a SPIFFE id of the form spiffe://<trust domain>/ns/<namespace>/sa/<service account>`);
};

/** The principal as policies write it: the id without its scheme. */
export const principal = (id: SpiffeId): string => id.uri.slice("spiffe://".length);
