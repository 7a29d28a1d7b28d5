// What are policies asked about a connection or request at a waypoint?

import type { SocketAddr } from "@ambit/shared/addr/socket.ts";
import type { PolicySet } from "@ambit/shared/authz/authorize.ts";
import { isEmptyMatch } from "@ambit/shared/authz/match.ts";
import { type AuthzSubject, type Clause, httpField, NO_HTTP, type Policy, type Rule } from "@ambit/shared/authz/types.ts";
import type { SpiffeId } from "@ambit/shared/identity/spiffe.ts";
import type { WaypointService } from "@ambit/shared/route/types.ts";
import { asRecord } from "../http/fields.ts";
import type { HeaderFields } from "../http/message.ts";
import { normalisePath, splitPath } from "./path.ts";

export type Caller = { readonly peer: SpiffeId | undefined; readonly source: SocketAddr; readonly destination: SocketAddr };

/** A policy that could not be compiled is missing: the service denies while there is one. */
export const policySet = (s: Pick<WaypointService, "policies" | "brokenPolicies">): PolicySet => ({
  policies: s.policies,
  missing: s.brokenPolicies.map((b) => b.key),
});

/** A match that asked for HTTP only now always holds; left empty it would count as no match at all. */
const widened = (c: Clause): Clause => {
  const matches = c.matches.map((m) => ({ ...m, ...NO_HTTP }));
  return c.matches.some((m, i) => httpField(m) !== undefined && isEmptyMatch(matches[i] ?? m)) ? { matches: [] } : { matches };
};

const tcpRules = (p: Policy): readonly Rule[] =>
  p.action === "ALLOW"
    ? p.rules.filter((r) => !r.clauses.some((c) => c.matches.some((m) => httpField(m) !== undefined)))
    : p.rules.map((r) => ({ clauses: r.clauses.map(widened) }));

/**
 * The policies as they hold for a connection that has no HTTP attributes: an ALLOW rule that asks for one is dropped, a
 * DENY rule only loses that condition. Both ways less is allowed (waypoint-l7 section 3.5).
 */
export const tcpPolicySet = (s: Pick<WaypointService, "policies" | "brokenPolicies">): PolicySet => {
  const set = policySet(s);
  return { ...set, policies: set.policies.map((p) => ({ ...p, rules: tcpRules(p) })) };
};

export const tcpSubject = (c: Caller): AuthzSubject => ({
  identity: c.peer,
  sourceIp: c.source.ip,
  destinationIp: c.destination.ip,
  destinationPort: c.destination.port,
});

/** The path is normalised and without its query; the host also answers to `:authority` and `host` in header conditions. */
export const httpSubject = (c: Caller, r: { method: string; path: string; authority: string; headers: HeaderFields }): AuthzSubject => {
  const headers = asRecord(r.headers);
  headers[":authority"] = r.authority;
  headers.host = r.authority;
  headers[":method"] = r.method;
  headers[":path"] = r.path;
  return {
    ...tcpSubject(c),
    http: { method: r.method, path: normalisePath(splitPath(r.path).path), host: r.authority.toLowerCase(), headers },
  };
};
