// What does the mesh answer when a pod asks for the addresses of a name? (ambient-l4 section 5; start reading here)

import { type Ip, isV4 } from "@ambit/shared/addr/ip.ts";
import { type Service, serviceKey, type Workload } from "@ambit/shared/state/types.ts";
import type { MeshView } from "@ambit/shared/state/view.ts";
import { type Alias, aliases, type NameScope, wildcards } from "./names.ts";

export type AddressFamily = "ipv4" | "ipv6";

export type NameQuery = {
  /** Lower case, without the root's dot. */
  readonly name: string;
  readonly family: AddressFamily;
};

export type Asker = Pick<Workload, "namespace" | "network">;

export type NameRules = {
  readonly clusterDomain: string;
  /** Its services win over those of other namespaces that are not the asker's; "" for none (PREFERED_SERVICE_NAMESPACE). */
  readonly preferredNamespace: string;
  /** The search domains of the asking pod. */
  readonly search: readonly string[];
  /** False: IPv6 is off, and nobody is told of an IPv6 address. */
  readonly ipv6: boolean;
};

export type NameView = Pick<MeshView, "servicesByHostname" | "endpoints">;

export type NameAnswer =
  /** Not ours: the pod's resolver is asked. */
  | { readonly kind: "forward"; readonly why: "unknown-name" }
  /** Ours, without an address of the family: said with authority, so that nobody goes and asks elsewhere. */
  | { readonly kind: "no-data"; readonly why: "family-not-served" | "no-address"; readonly service: Service }
  | {
      readonly kind: "records";
      readonly why: "service-vip" | "headless-service" | "headless-pod";
      readonly service: Service;
      /** In the mesh's order; whoever sends them shuffles. */
      readonly addresses: readonly Ip[];
      /** The name that the asked one is an alias of: a search domain was taken off. */
      readonly canonical: string | undefined;
    };

type Match = { readonly alias: Alias; readonly wildcard: boolean; readonly service: Service; readonly pod: Workload | undefined };

/** Kubernetes' own headless services; other hosts without a VIP (resolution NONE) are looked up where they live. */
const isHeadless = (service: Service, clusterDomain: string): boolean =>
  service.addresses.length === 0 && service.hostname.endsWith(`.svc.${clusterDomain}`);

const visibleTo = (asker: Asker) => (service: Service) => service.visibility === "PUBLIC" || service.namespace === asker.namespace;

/** The asker's namespace > canonical > the preferred namespace > the first. */
const choose = (services: readonly Service[], asker: Asker, preferredNamespace: string): Service | undefined =>
  services.find((s) => s.namespace === asker.namespace) ??
  services.find((s) => s.canonical) ??
  services.find((s) => preferredNamespace !== "" && s.namespace === preferredNamespace) ??
  services[0];

/** Endpoints that may be told of: ready ones on the asker's network, whose addresses it can dial. */
const reachable = (view: NameView, service: Service, asker: Asker): readonly Workload[] =>
  view
    .endpoints(serviceKey(service))
    .map((e) => e.workload)
    .filter((w) => w.network === asker.network && (w.status === "HEALTHY" || service.loadBalancing?.healthPolicy === "ALLOW_ALL"));

/** "pod.service.namespace.svc.<domain>": the endpoint of the headless service that has the host name, which is the pod's name unless it says otherwise. */
const findPod = (view: NameView, name: string, asker: Asker, rules: NameRules): Pick<Match, "service" | "pod"> | undefined => {
  const dot = name.indexOf(".");
  const [host, parent] = [name.slice(0, dot), name.slice(dot + 1)];
  const service = choose(
    view.servicesByHostname(parent).filter((s) => visibleTo(asker)(s) && isHeadless(s, rules.clusterDomain)),
    asker,
    rules.preferredNamespace,
  );
  if (service === undefined) return undefined;
  const endpoints = reachable(view, service, asker);
  const pod = endpoints.find((w) => w.hostname === name || w.hostname === host) ?? endpoints.find((w) => w.name === host);
  return pod === undefined ? undefined : { service, pod };
};

const find = (view: NameView, name: string, asker: Asker, rules: NameRules): Match | undefined => {
  const scope: NameScope = { namespace: asker.namespace, clusterDomain: rules.clusterDomain, search: rules.search };
  for (const alias of aliases(name, scope)) {
    for (const [depth, host] of wildcards(alias.name).entries()) {
      const known = view.servicesByHostname(host);
      if (known.length === 0) continue;
      const usable = known.filter((s) => visibleTo(asker)(s) && (s.addresses.length > 0 || isHeadless(s, rules.clusterDomain)));
      const service = choose(usable, asker, rules.preferredNamespace);
      if (service !== undefined) return { alias, wildcard: depth > 0, service, pod: undefined };
    }
    const pod = alias.podHost ? findPod(view, alias.name, asker, rules) : undefined;
    if (pod !== undefined) return { alias, wildcard: false, ...pod };
  }
  return undefined;
};

/** A dual-stack pod behind a single-stack service has addresses that the service must not give away. */
const familyServed = (service: Service, family: AddressFamily, rules: NameRules): boolean => {
  if (family === "ipv6") return rules.ipv6 && service.ipFamilies !== "IPV4_ONLY";
  return service.ipFamilies !== "IPV6_ONLY";
};

const addressesOf = (view: NameView, match: Match, asker: Asker, family: AddressFamily): readonly Ip[] => {
  const ofFamily = (ip: Ip): boolean => isV4(ip) === (family === "ipv4");
  const { service, pod } = match;
  if (pod !== undefined) return pod.addresses.filter(ofFamily);
  if (service.addresses.length > 0) return service.addresses.filter((a) => a.network === asker.network && ofFamily(a.ip)).map((a) => a.ip);
  return reachable(view, service, asker).flatMap((w) => w.addresses.find(ofFamily) ?? []);
};

/** What to tell a pod that asks for the addresses of a name. */
export const resolveName = (view: NameView, query: NameQuery, asker: Asker, rules: NameRules): NameAnswer => {
  const match = query.name === "" ? undefined : find(view, query.name, asker, rules);
  if (match === undefined) return { kind: "forward", why: "unknown-name" };
  const { service, pod, alias, wildcard } = match;
  if (!familyServed(service, query.family, rules)) return { kind: "no-data", why: "family-not-served", service };
  const addresses = addressesOf(view, match, asker, query.family);
  if (addresses.length === 0) return { kind: "no-data", why: "no-address", service };
  const why = pod !== undefined ? "headless-pod" : service.addresses.length > 0 ? "service-vip" : "headless-service";
  return { kind: "records", why, service, addresses, canonical: wildcard ? undefined : alias.stripped };
};

/** Every order equally likely. `random` is uniform in [0, 1). */
export const shuffled = <T>(items: readonly T[], random: () => number): T[] => {
  const left = [...items];
  const out: T[] = [];
  while (left.length > 0) out.push(...left.splice(Math.floor(random() * left.length), 1));
  return out;
};
