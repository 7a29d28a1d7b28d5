// How is a policy with HTTP attributes written and read? (ambit.waypoint.v1.Policy)

import { type HeaderMatch, type Match, type Policy, policyKey } from "../authz/types.ts";
import { allOf, mapOk, type Result } from "../runtime/result.ts";
import {
  actions,
  readL4Match,
  readRules,
  readString,
  scopes,
  type WireL4Match,
  type WireStringMatch,
  writeL4Match,
  writeString,
} from "./policy.ts";
import { at, each, readName } from "./read.ts";

type WireHeader = { name: string; values: WireStringMatch[]; notValues: WireStringMatch[] };
type WireMatch = WireL4Match & {
  hosts: WireStringMatch[];
  notHosts: WireStringMatch[];
  methods: WireStringMatch[];
  notMethods: WireStringMatch[];
  paths: WireStringMatch[];
  notPaths: WireStringMatch[];
  headers: WireHeader[];
};
export type WirePolicy = {
  name: string;
  namespace: string;
  scope: number;
  action: number;
  rules: { clauses: { matches: WireMatch[] }[] }[];
  dryRun: boolean;
};

const writeMatch = (m: Match): WireMatch => ({
  ...writeL4Match(m),
  hosts: m.hosts.map(writeString),
  notHosts: m.notHosts.map(writeString),
  methods: m.methods.map(writeString),
  notMethods: m.notMethods.map(writeString),
  paths: m.paths.map(writeString),
  notPaths: m.notPaths.map(writeString),
  headers: m.headers.map((h) => ({ name: h.name, values: h.values.map(writeString), notValues: h.notValues.map(writeString) })),
});

const readHeader = (h: WireHeader): Result<HeaderMatch> =>
  allOf({
    name: readName("name", h.name),
    values: each("values", h.values, readString),
    notValues: each("not_values", h.notValues, readString),
  });

const readMatch = (m: WireMatch): Result<Match> => {
  const l4 = readL4Match(m);
  if (!l4.ok) return l4;
  const http = allOf({
    hosts: each("hosts", m.hosts, readString),
    notHosts: each("not_hosts", m.notHosts, readString),
    methods: each("methods", m.methods, readString),
    notMethods: each("not_methods", m.notMethods, readString),
    paths: each("paths", m.paths, readString),
    notPaths: each("not_paths", m.notPaths, readString),
    headers: each("headers", m.headers, readHeader),
  });
  return mapOk(http, (h) => ({ ...l4.value, ...h }));
};

export const writePolicy = (p: Policy): WirePolicy => ({
  name: p.name,
  namespace: p.namespace,
  scope: scopes.write(p.scope),
  action: actions.write(p.action),
  dryRun: p.dryRun,
  rules: p.rules.map((r) => ({ clauses: r.clauses.map((c) => ({ matches: c.matches.map(writeMatch) })) })),
});

export const readPolicy = (p: WirePolicy): Result<Policy> =>
  mapOk(
    at(
      `policy ${policyKey(p)}`,
      allOf({
        name: readName("name", p.name),
        scope: scopes.read("scope", p.scope),
        action: actions.read("action", p.action),
        rules: readRules(p.rules, (clause) => each("matches", clause.matches, readMatch)),
      }),
    ),
    (read) => ({ ...read, namespace: p.namespace, dryRun: p.dryRun }),
  );
