// Which search domains and nameservers does a pod's resolver use, as far as ztunnel can know?

import type { Ip } from "@ambit/shared/addr/ip.ts";
import type { PodDns } from "@ambit/shared/wire/types.ts";

/** What ztunnel's own resolv.conf says; its pod runs on the same node under ClusterFirst. */
export type OwnResolver = { readonly search: readonly string[]; readonly nameservers: readonly Ip[] };

const clusterSearch = (namespace: string, domain: string): readonly string[] => [`${namespace}.svc.${domain}`, `svc.${domain}`, domain];

const normal = (domain: string): string => domain.toLowerCase().replace(/^\.+|\.+$/g, "");

/** The node's own domains: what ztunnel's list has beside the cluster's, since the kubelet appends the node's to every ClusterFirst pod's. */
const nodeSearch = (own: OwnResolver, clusterDomain: string): readonly string[] =>
  own.search.map(normal).filter((d) => d !== clusterDomain && !d.endsWith(`.${clusterDomain}`));

/**
 * The domains in the order in which the pod's resolver appends them. The pod's resolv.conf lies in its mount namespace, out of
 * ztunnel's sight, so it is worked out as the kubelet works it out, from the pod's DNS policy. An agent that tells none
 * (istio-cni, or a pod with nothing special) leaves Istio's assumption: the cluster's three. ndots plays no part: it orders the
 * client's own questions, and each arrives here as a name of its own.
 */
export const searchDomains = (
  pod: { readonly namespace: string; readonly dns: PodDns | undefined },
  clusterDomain: string,
  own: OwnResolver,
): readonly string[] => {
  const cluster = clusterSearch(pod.namespace, clusterDomain);
  if (pod.dns === undefined) return cluster;
  const extra = pod.dns.searches.map(normal).filter((d) => d !== "");
  switch (pod.dns.policy) {
    case "ClusterFirst":
      return [...new Set([...cluster, ...nodeSearch(own, clusterDomain), ...extra])];
    case "Default":
      return [...new Set([...nodeSearch(own, clusterDomain), ...extra])];
    case "None":
      return [...new Set(extra)];
  }
};

/** Whom to ask for what is not ours: the pod's own nameservers where it has only those, else ztunnel's. */
export const nameserversFor = (dns: PodDns | undefined, own: OwnResolver): readonly Ip[] =>
  dns?.policy === "None" && dns.nameservers.length > 0 ? dns.nameservers : own.nameservers;
