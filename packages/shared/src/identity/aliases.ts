// Which identities are the same one under another name of the trust domain? (MeshConfig trustDomainAliases)

import { err, ok, type Result } from "../runtime/result.ts";
import { type SpiffeId, spiffeId } from "./spiffe.ts";

/** As SPIFFE writes trust domains; policies may not smuggle wildcards or paths in by an alias. */
const TRUST_DOMAIN = /^[a-z0-9](?:[a-z0-9._-]{0,253}[a-z0-9])?$/;

/** One name, or what is wrong with it. */
export const trustDomain = (text: string): Result<string> =>
  TRUST_DOMAIN.test(text)
    ? ok(text)
    : err(`${JSON.stringify(text)} is not a trust domain: want lower-case letters, digits, dots, dashes and underscores`);

/** Names separated by commas; one that is malformed refuses them all. Each name once, in the order given. */
export const trustDomains = (text: string): Result<readonly string[]> => {
  const names = text
    .split(",")
    .map((n) => n.trim())
    .filter((n) => n !== "");
  for (const name of names) {
    const read = trustDomain(name);
    if (!read.ok) return read;
  }
  return ok([...new Set(names)]);
};

/**
 * The identities, and each one of the mesh's own trust domain (any of its names) under every name. Those of other trust domains stay as
 * they are: they are somebody else.
 */
export const expandAliases = (ids: readonly SpiffeId[], names: readonly string[]): readonly SpiffeId[] => {
  if (names.length < 2) return ids;
  const all = ids.flatMap((id) =>
    names.includes(id.trustDomain) ? [id, ...names.map((td) => spiffeId(td, id.namespace, id.serviceAccount))] : [id],
  );
  return [...new Map(all.map((id) => [id.uri, id])).values()];
};
