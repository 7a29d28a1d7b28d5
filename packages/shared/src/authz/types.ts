// What is an authorization policy, and what is asked of it? (istio.security.Authorization, with HTTP attributes for waypoints)

import type { Cidr } from "../addr/cidr.ts";
import type { Ip } from "../addr/ip.ts";
import type { SpiffeId } from "../identity/spiffe.ts";

export type StringMatch =
  | { readonly kind: "exact"; readonly value: string }
  | { readonly kind: "prefix"; readonly value: string }
  | { readonly kind: "suffix"; readonly value: string }
  | { readonly kind: "presence" }
  /** A path template: `{*}` is one segment, `{**}` the rest (only in paths). */
  | { readonly kind: "template"; readonly value: string };

export type ServiceAccountMatch = { readonly namespace: string; readonly serviceAccount: string };
export type HeaderMatch = { readonly name: string; readonly values: readonly StringMatch[]; readonly notValues: readonly StringMatch[] };

/** AND over its fields; each field is OR over its values; each not-field must match none. */
export type Match = {
  readonly namespaces: readonly StringMatch[];
  readonly notNamespaces: readonly StringMatch[];
  readonly principals: readonly StringMatch[];
  readonly notPrincipals: readonly StringMatch[];
  readonly serviceAccounts: readonly ServiceAccountMatch[];
  readonly notServiceAccounts: readonly ServiceAccountMatch[];
  readonly sourceIps: readonly Cidr[];
  readonly notSourceIps: readonly Cidr[];
  readonly destinationIps: readonly Cidr[];
  readonly notDestinationIps: readonly Cidr[];
  readonly destinationPorts: readonly number[];
  readonly notDestinationPorts: readonly number[];
  /** HTTP attributes: empty in everything a ztunnel holds. */
  readonly hosts: readonly StringMatch[];
  readonly notHosts: readonly StringMatch[];
  readonly methods: readonly StringMatch[];
  readonly notMethods: readonly StringMatch[];
  readonly paths: readonly StringMatch[];
  readonly notPaths: readonly StringMatch[];
  readonly headers: readonly HeaderMatch[];
};

/** OR over its matches; none at all is true. */
export type Clause = { readonly matches: readonly Match[] };
/** AND over its clauses; none at all is true. */
export type Rule = { readonly clauses: readonly Clause[] };

export type PolicyScope = "GLOBAL" | "NAMESPACE" | "WORKLOAD_SELECTOR";
export type PolicyAction = "ALLOW" | "DENY";

/** OR over its rules; none at all never matches. */
export type Policy = {
  readonly namespace: string;
  readonly name: string;
  readonly scope: PolicyScope;
  readonly action: PolicyAction;
  readonly dryRun: boolean;
  readonly rules: readonly Rule[];
};

/** What is known of a connection (and at a waypoint, of a request) when a policy is asked. */
export type AuthzSubject = {
  /** From the peer's certificate; undefined for plaintext. */
  readonly identity: SpiffeId | undefined;
  readonly sourceIp: Ip;
  readonly destinationIp: Ip;
  /** The application's port, never 15008; the service port when a waypoint was addressed by VIP. */
  readonly destinationPort: number;
  readonly http?: HttpAttributes;
};

export type HttpAttributes = {
  readonly method: string;
  /** Normalised, without the query. */
  readonly path: string;
  readonly host: string;
  /** Lower-case names; several values of one name joined by ",". */
  readonly headers: Readonly<Record<string, string | undefined>>;
};

/** Whom a policy holds for without a look at its rules; one with a selector holds for the workloads that name it. */
export type PolicyReach = { readonly scope: "GLOBAL" | "WORKLOAD_SELECTOR" } | { readonly scope: "NAMESPACE"; readonly namespace: string };

export const policyKey = (p: { readonly namespace: string; readonly name: string }): string => `${p.namespace}/${p.name}`;

/** The fields that only a request can satisfy, asking for nothing. */
export const NO_HTTP = {
  hosts: [],
  notHosts: [],
  methods: [],
  notMethods: [],
  paths: [],
  notPaths: [],
  headers: [],
} as const satisfies Partial<Match>;

/** The first field of the match that only a request can satisfy. */
export const httpField = (m: Match): keyof typeof NO_HTTP | undefined => HTTP_FIELDS.find((field) => m[field].length > 0);
const HTTP_FIELDS = Object.keys(NO_HTTP) as (keyof typeof NO_HTTP)[];

export const EMPTY_MATCH: Match = {
  namespaces: [],
  notNamespaces: [],
  principals: [],
  notPrincipals: [],
  serviceAccounts: [],
  notServiceAccounts: [],
  sourceIps: [],
  notSourceIps: [],
  destinationIps: [],
  notDestinationIps: [],
  destinationPorts: [],
  notDestinationPorts: [],
  ...NO_HTTP,
};
