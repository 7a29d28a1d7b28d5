// How is an L4 policy written to bytes and read back? (istio.security.Authorization)

import { httpField, type Match, NO_HTTP, type Policy, policyKey } from "../authz/types.ts";
import { codecOf } from "../proto/schema.ts";
import { allOf, err, mapOk, ok, type Result } from "../runtime/result.ts";
import { actions, readL4Match, readRules, scopes, type WireL4Match, writeL4Match } from "./policy.ts";
import { at, each, readName } from "./read.ts";

type WireMatch = WireL4Match & { extensions?: unknown[] };
type WireAuthorization = {
  name: string;
  namespace: string;
  scope: number;
  action: number;
  rules: { clauses: { matches: WireMatch[] }[] }[];
  dryRun: boolean;
  extensions?: unknown[];
};
const codec = codecOf<WireAuthorization>("istio.security.Authorization");

const notCarried = (m: Match): string | undefined => {
  const field = httpField(m);
  if (field !== undefined) return `${field} is an HTTP attribute`;
  const strings = [...m.namespaces, ...m.notNamespaces, ...m.principals, ...m.notPrincipals];
  return strings.some((s) => s.kind === "template") ? "a path template is an HTTP attribute" : undefined;
};

/** An error when the policy has HTTP attributes: istio.security.Authorization cannot carry them, and leaving them out would change what it says. */
export const encodeAuthorization = (p: Policy): Result<Uint8Array> => {
  const matches = p.rules.flatMap((r) => r.clauses.flatMap((c) => c.matches));
  const problem = matches.map(notCarried).find((x) => x !== undefined);
  if (problem !== undefined) return err(`policy ${policyKey(p)}: ${problem}, which only a waypoint can enforce`);
  return ok(
    codec.encode({
      name: p.name,
      namespace: p.namespace,
      scope: scopes.write(p.scope),
      action: actions.write(p.action),
      dryRun: p.dryRun,
      rules: p.rules.map((r) => ({ clauses: r.clauses.map((c) => ({ matches: c.matches.map(writeL4Match) })) })),
    }),
  );
};

const readMatch = (m: WireMatch): Result<Match> => {
  if (m.extensions !== undefined && m.extensions.length > 0) return err("extensions are not understood");
  return mapOk(readL4Match(m), (l4) => ({ ...l4, ...NO_HTTP }));
};

/**
 * Whole or an error that names the field. Stricter than upstream on purpose: an unknown field at any depth, an extension or
 * an empty matcher fails the policy (and so it denies where it would have held: `claimedReach`), because a policy half understood may allow too much.
 */
export const decodeAuthorization = (bytes: Uint8Array): Result<Policy> => {
  const m = codec.decodeStrict(bytes);
  if (!m.ok) return m;
  const w = m.value;
  const fields = allOf({
    name: readName("name", w.name),
    scope: scopes.read("scope", w.scope),
    action: actions.read("action", w.action),
    rules: readRules(w.rules, (clause) => each("matches", clause.matches, readMatch)),
    extensions: w.extensions !== undefined && w.extensions.length > 0 ? err("extensions are not understood") : ok(undefined),
  });
  return mapOk(at(`policy ${policyKey(w)}`, fields), ({ name, scope, action, rules }) => ({
    namespace: w.namespace,
    name,
    scope,
    action,
    dryRun: w.dryRun,
    rules,
  }));
};
