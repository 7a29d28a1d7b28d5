// How is each step for a pod carried out on this machine and in the cluster?

import type { KubeClient } from "@ambit/shared/kube/client.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import type { Netns } from "@ambit/shared/linux/netns.ts";
import { findNetns } from "../netns/scan.ts";
import { type PodOptions, podAddresses, REDIRECTION } from "../plan.ts";
import { applyRouting, applyRules } from "../redirect/apply.ts";
import type { Probes } from "../redirect/probes.ts";
import { type Family, podRules, removePodRules } from "../redirect/rules.ts";

export type PodActions = {
  /** The pod's namespace, the caller's to close; undefined while no process of the pod runs in one that has its address. */
  findNetns(pod: Pod): Netns | undefined;
  writeRules(netns: Netns, pod: Pod, options: PodOptions): Promise<void>;
  deleteRules(netns: Netns, pod: Pod): Promise<void>;
  addProbes(pod: Pod): Promise<void>;
  removeProbes(pod: Pod): Promise<void>;
  /** Sets or (undefined) removes the redirection annotation. */
  annotate(pod: Pod, value: "enabled" | "pending" | undefined): Promise<void>;
};

const families = (pod: Pod): Family[] => {
  const all = podAddresses(pod);
  return [
    ...(all.some((a) => !a.includes(":")) ? (["ipv4"] as const) : []),
    ...(all.some((a) => a.includes(":")) ? (["ipv6"] as const) : []),
  ];
};

const uidOf = (pod: Pod): string => pod.metadata.uid ?? "";

export type ActionDeps = { readonly client: Pick<KubeClient, "patch">; readonly procRoot: string; readonly probes: Probes };

export const createPodActions = ({ client, procRoot, probes }: ActionDeps): PodActions => ({
  findNetns: (pod) => findNetns(procRoot, [{ uid: uidOf(pod), addresses: podAddresses(pod) }]).get(uidOf(pod)),
  writeRules: async (netns, pod, options) => {
    await applyRouting({ netns: netns.fd }, "add", families(pod));
    await applyRules({ netns: netns.fd }, podRules(options));
  },
  deleteRules: async (netns, pod) => {
    await applyRules({ netns: netns.fd }, removePodRules());
    await applyRouting({ netns: netns.fd }, "del", families(pod));
  },
  addProbes: (pod) => probes.add({ uid: uidOf(pod), addresses: podAddresses(pod) }),
  removeProbes: (pod) => probes.remove(uidOf(pod)),
  // On the status subresource, as istio-cni does.
  annotate: async (pod, value) => {
    await client.patch(
      RESOURCES.pods,
      { namespace: pod.metadata.namespace ?? "", name: pod.metadata.name },
      {
        type: "merge",
        body: { metadata: { uid: pod.metadata.uid, annotations: { [REDIRECTION]: value ?? null } } },
        subresource: "status",
      },
    );
  },
});
