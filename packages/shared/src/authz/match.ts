// Does one match hold for one connection or request? (ztunnel rbac.rs; waypoint-l7 section 3.5)

import { type Cidr, cidrContains } from "../addr/cidr.ts";
import { principal } from "../identity/spiffe.ts";
import type { AuthzSubject, Clause, HeaderMatch, HttpAttributes, Match, Rule, StringMatch } from "./types.ts";

/** Path templates: `{*}` is exactly one non-empty segment, `{**}` (last only) is the rest, which may be empty of segments. */
export const matchTemplate = (template: string, path: string): boolean => {
  const want = template.split("/");
  const have = path.split("/");
  for (const [i, part] of want.entries()) {
    if (part === "{**}") return i === want.length - 1 && have.length > i;
    const segment = have[i];
    if (segment === undefined) return false;
    if (part === "{*}" ? segment === "" : segment !== part) return false;
  }
  return want.length === have.length;
};

const matchString = (m: StringMatch, value: string): boolean => {
  switch (m.kind) {
    case "exact":
      return value === m.value;
    case "prefix":
      return value.startsWith(m.value);
    case "suffix":
      return value.endsWith(m.value);
    case "presence":
      return value !== "";
    case "template":
      return matchTemplate(m.value, value);
  }
};

/** One attribute with its positive and negative values: OR over the positive (none: true), and none of the negative. */
const holds = <T>(yes: readonly T[], not: readonly T[], test: (candidate: T) => boolean): boolean =>
  (yes.length === 0 || yes.some(test)) && !not.some(test);

const lower = (m: StringMatch): StringMatch => (m.kind === "presence" ? m : { ...m, value: m.value.toLowerCase() });

/** A header that is there without a value is present, as to Envoy: a backend may act on it. */
const headerHolds = (h: HeaderMatch, http: HttpAttributes): boolean => {
  const value = http.headers[h.name];
  return holds(h.values, h.notValues, (m) => value !== undefined && (m.kind === "presence" || matchString(m, value)));
};

/** A policy that asks for HTTP attributes of a connection that has none: positive ones cannot hold, negative ones cannot exclude. */
const httpHolds = (m: Match, http: HttpAttributes | undefined): boolean => {
  const on = (yes: readonly StringMatch[], not: readonly StringMatch[], value: string | undefined): boolean =>
    holds(yes, not, (s) => value !== undefined && matchString(s, value));
  if (!on(m.methods, m.notMethods, http?.method)) return false;
  if (!on(m.paths, m.notPaths, http?.path)) return false;
  const host = http?.host.toLowerCase();
  if (!on(m.hosts.map(lower), m.notHosts.map(lower), host)) return false;
  if (http === undefined) return m.headers.every((h) => h.values.length === 0);
  return m.headers.every((h) => headerHolds(h, http));
};

const ipHolds = (yes: readonly Cidr[], not: readonly Cidr[], ip: AuthzSubject["sourceIp"]): boolean =>
  holds(yes, not, (c) => cidrContains(c, ip));

/** True when no field is set: such a match is skipped, that is, it counts as no match. */
export const isEmptyMatch = (m: Match): boolean => Object.values(m).every((v) => v.length === 0);

/**
 * AND over the fields of a match. Without a peer identity every positive principal, namespace and service-account
 * matcher is false and every negative one holds: `not_principals: [presence]` is how STRICT is written.
 */
export const matches = (m: Match, s: AuthzSubject): boolean => {
  const id = s.identity;
  if (!holds(m.principals, m.notPrincipals, (p) => id !== undefined && matchString(p, principal(id)))) return false;
  if (!holds(m.namespaces, m.notNamespaces, (n) => id !== undefined && matchString(n, id.namespace))) return false;
  const isAccount = (a: { namespace: string; serviceAccount: string }): boolean =>
    id !== undefined && id.namespace === a.namespace && id.serviceAccount === a.serviceAccount;
  if (!holds(m.serviceAccounts, m.notServiceAccounts, isAccount)) return false;
  if (!ipHolds(m.sourceIps, m.notSourceIps, s.sourceIp)) return false;
  if (!ipHolds(m.destinationIps, m.notDestinationIps, s.destinationIp)) return false;
  if (!holds(m.destinationPorts, m.notDestinationPorts, (p) => p === s.destinationPort)) return false;
  return httpHolds(m, s.http);
};

/** OR over the matches of a clause; a clause without any holds; empty matches in a list count as no match. */
const clauseMatches = (c: Clause, s: AuthzSubject): boolean =>
  c.matches.length === 0 || c.matches.some((m) => !isEmptyMatch(m) && matches(m, s));

/** AND over the clauses of a rule; a rule without any holds. */
export const ruleMatches = (r: Rule, s: AuthzSubject): boolean => r.clauses.every((c) => clauseMatches(c, s));
