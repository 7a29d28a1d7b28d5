// How are a policy's rules written and read: what L4 and L7 policies share? (istio.security, ambit.waypoint.v1)

import type { Cidr } from "../addr/cidr.ts";
import type { Match, PolicyAction, PolicyScope, ServiceAccountMatch, StringMatch } from "../authz/types.ts";
import { allOf, err, mapOk, ok, type Result } from "../runtime/result.ts";
import { each, names, oneofCase, readCidr, readName, readPort } from "./read.ts";

export type WireStringMatch = { exact?: string; prefix?: string; suffix?: string; presence?: object | null; template?: string };
export type WireCidr = { address: Uint8Array; length: number };
export type WireL4Match = {
  namespaces: WireStringMatch[];
  notNamespaces: WireStringMatch[];
  principals: WireStringMatch[];
  notPrincipals: WireStringMatch[];
  sourceIps: WireCidr[];
  notSourceIps: WireCidr[];
  destinationIps: WireCidr[];
  notDestinationIps: WireCidr[];
  destinationPorts: number[];
  notDestinationPorts: number[];
  serviceAccounts: ServiceAccountMatch[];
  notServiceAccounts: ServiceAccountMatch[];
};
/** The part of a Match that a ztunnel can hold. */
export type L4Match = Omit<Match, "hosts" | "notHosts" | "methods" | "notMethods" | "paths" | "notPaths" | "headers">;

export const scopes = names<PolicyScope>("GLOBAL", "NAMESPACE", "WORKLOAD_SELECTOR");
export const actions = names<PolicyAction>("ALLOW", "DENY");

export const writeString = (m: StringMatch): WireStringMatch => {
  switch (m.kind) {
    case "exact":
      return { exact: m.value };
    case "prefix":
      return { prefix: m.value };
    case "suffix":
      return { suffix: m.value };
    case "template":
      return { template: m.value };
    case "presence":
      return { presence: {} };
  }
};

export const readString = (m: WireStringMatch): Result<StringMatch> => {
  const which = oneofCase("match_type", m, ["exact", "prefix", "suffix", "presence", "template"]);
  if (!which.ok) return which;
  if (which.value === "presence") return ok({ kind: "presence" });
  const value = m[which.value];
  return value === undefined ? err("match_type is empty") : ok({ kind: which.value, value });
};

const writeCidr = (c: Cidr): WireCidr => ({ address: c.bytes, length: c.bits });
const readBlock = (c: WireCidr): Result<Cidr> => readCidr(c.address, c.length);
const readAccount = (a: ServiceAccountMatch): Result<ServiceAccountMatch> =>
  allOf({ namespace: readName("namespace", a.namespace), serviceAccount: readName("serviceAccount", a.serviceAccount) });
const strings = (field: string, values: readonly WireStringMatch[]) => each(field, values, readString);
const blocks = (field: string, values: readonly WireCidr[]) => each(field, values, readBlock);
const ports = (field: string, values: readonly number[]) => each(field, values, (n) => readPort("port", n));
const accounts = (field: string, values: readonly ServiceAccountMatch[]) => each(field, values, readAccount);

export const writeL4Match = (m: L4Match): WireL4Match => ({
  namespaces: m.namespaces.map(writeString),
  notNamespaces: m.notNamespaces.map(writeString),
  principals: m.principals.map(writeString),
  notPrincipals: m.notPrincipals.map(writeString),
  sourceIps: m.sourceIps.map(writeCidr),
  notSourceIps: m.notSourceIps.map(writeCidr),
  destinationIps: m.destinationIps.map(writeCidr),
  notDestinationIps: m.notDestinationIps.map(writeCidr),
  destinationPorts: [...m.destinationPorts],
  notDestinationPorts: [...m.notDestinationPorts],
  serviceAccounts: [...m.serviceAccounts],
  notServiceAccounts: [...m.notServiceAccounts],
});

export const readL4Match = (m: WireL4Match): Result<L4Match> =>
  allOf({
    namespaces: strings("namespaces", m.namespaces),
    notNamespaces: strings("not_namespaces", m.notNamespaces),
    principals: strings("principals", m.principals),
    notPrincipals: strings("not_principals", m.notPrincipals),
    sourceIps: blocks("source_ips", m.sourceIps),
    notSourceIps: blocks("not_source_ips", m.notSourceIps),
    destinationIps: blocks("destination_ips", m.destinationIps),
    notDestinationIps: blocks("not_destination_ips", m.notDestinationIps),
    destinationPorts: ports("destination_ports", m.destinationPorts),
    notDestinationPorts: ports("not_destination_ports", m.notDestinationPorts),
    serviceAccounts: accounts("service_accounts", m.serviceAccounts),
    notServiceAccounts: accounts("not_service_accounts", m.notServiceAccounts),
  });

/** A list of lists under their parents' names, as in "rules[1].clauses[0]". */
export const readRules = <C, M>(
  rules: readonly { readonly clauses: readonly C[] }[],
  matchesOf: (clause: C) => Result<M[]>,
): Result<{ clauses: { matches: M[] }[] }[]> =>
  each("rules", rules, (rule) =>
    mapOk(
      each("clauses", rule.clauses, (clause) => mapOk(matchesOf(clause), (matches) => ({ matches }))),
      (clauses) => ({ clauses }),
    ),
  );
