// How does a pod resolve names, where not as pods usually do? (so that ztunnel knows its search domains and nameservers)

import { parseIp } from "@ambit/shared/addr/ip.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import type { PodDns, ZdsWorkload } from "@ambit/shared/wire/types.ts";

/** hostNetwork pods are never captured, so that ClusterFirstWithHostNet means ClusterFirst for all that are. */
const policyOf = (text: string | undefined): PodDns["policy"] => (text === "Default" || text === "None" ? text : "ClusterFirst");

/** Nothing for a pod with the default policy and no search domain of its own: ztunnel knows what such a pod's resolv.conf says. */
export const podDns = (pod: Pod): Pick<ZdsWorkload, "dns"> => {
  const policy = policyOf(pod.spec?.dnsPolicy);
  const searches = pod.spec?.dnsConfig?.searches ?? [];
  if (policy === "ClusterFirst" && searches.length === 0) return {};
  const nameservers = (pod.spec?.dnsConfig?.nameservers ?? []).flatMap((text) => {
    const ip = parseIp(text);
    return ip.ok ? [ip.value] : []; // the API server has refused these
  });
  return { dns: { policy, searches, nameservers } };
};
