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

const SHAPE = /^spiffe:\/\/([^/]+)\/ns\/([^/]+)\/sa\/([^/]+)$/;

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
