// Whom do a policy's principals mean, when the mesh's trust domain has other names? (MeshConfig trustDomainAliases, as istiod expands them)

import type { Match, Policy, StringMatch } from "@ambit/shared/authz/types.ts";

/** To istiod, a policy that says so means the mesh's own trust domain, whatever its name. */
const LOCAL = "cluster.local";

/** The matcher and its like under every name of the trust domain that it speaks of; itself where it speaks of another, or of none. */
const expand = (m: StringMatch, names: readonly string[]): readonly StringMatch[] => {
  if (m.kind !== "exact" && m.kind !== "prefix" && m.kind !== "suffix") return [m];
  const slash = m.value.indexOf("/");
  // "*", "td*": which trust domain is meant is not said.
  if (slash < 0) return [m];
  const domain = m.value.slice(0, slash);
  const rest = m.value.slice(slash);
  if (m.kind === "suffix") {
    // "*/ns/x/sa/y" is anybody's; "*local/ns/x/sa/y" also means those of our names that do not end so, once one of them does.
    if (domain === "" || !names.some((n) => n.endsWith(domain))) return [m];
    return [m, ...names.filter((n) => !n.endsWith(domain)).map((n) => ({ kind: "exact" as const, value: `${n}${rest}` }))];
  }
  if (!names.includes(domain) && domain !== LOCAL) return [m];
  return [...new Set([domain, ...names])].map((n) => ({ kind: m.kind, value: `${n}${rest}` }));
};

const ofMatch = (m: Match, names: readonly string[]): Match => ({
  ...m,
  principals: m.principals.flatMap((p) => expand(p, names)),
  notPrincipals: m.notPrincipals.flatMap((p) => expand(p, names)),
});

/** The policy with its principals under every one of the names: our trust domain's own, and its aliases. Without aliases it stays as it is. */
export const withAliases = (policy: Policy, names: readonly string[]): Policy =>
  names.length < 2
    ? policy
    : {
        ...policy,
        rules: policy.rules.map((r) => ({ clauses: r.clauses.map((c) => ({ matches: c.matches.map((m) => ofMatch(m, names)) })) })),
      };
