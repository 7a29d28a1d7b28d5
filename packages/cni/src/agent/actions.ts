// How is each step for a pod carried out?

import type { KubeClient } from "@ambit/shared/kube/client.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import type { Netns } from "@ambit/shared/linux/netns.ts";
import { type PodOptions, podAddresses, REDIRECTION } from "../plan.ts";
import { applyRouting, applyRules } from "../redirect/apply.ts";
import { type Family, type ProbeSet, podRules, probeElements, removePodRules } from "../redirect/rules.ts";
import type { PodInfo } from "../zds/server.ts";

const families = (pod: Pod): Family[] => {
  const all = podAddresses(pod);
  return [
    ...(all.some((a) => !a.includes(":")) ? (["ipv4"] as const) : []),
    ...(all.some((a) => a.includes(":")) ? (["ipv6"] as const) : []),
  ];
};

export const probeSet = (pods: readonly Pod[]): ProbeSet => {
  const all = pods.flatMap(podAddresses);
  return { v4: all.filter((a) => !a.includes(":")), v6: all.filter((a) => a.includes(":")) };
};

export const podInfo = (pod: Pod): PodInfo => ({
  name: pod.metadata.name,
  namespace: pod.metadata.namespace ?? "",
  serviceAccount: pod.spec?.serviceAccountName ?? "default",
});

export const writeRules = async (netns: Netns, pod: Pod, options: PodOptions): Promise<void> => {
  await applyRouting({ netns: netns.fd }, "add", families(pod));
  await applyRules({ netns: netns.fd }, podRules(options));
};

export const deleteRules = async (netns: Netns, pod: Pod): Promise<void> => {
  await applyRules({ netns: netns.fd }, removePodRules());
  await applyRouting({ netns: netns.fd }, "del", families(pod));
};

export const changeProbes = (action: "add" | "destroy", pod: Pod): Promise<void> =>
  applyRules("here", probeElements(action, probeSet([pod])));

/** Sets or (undefined) removes the redirection annotation, on the status subresource as istio-cni does. */
export const annotate = (client: KubeClient, pod: Pod, value: "enabled" | "pending" | undefined): Promise<unknown> =>
  client.patch(
    RESOURCES.pods,
    { namespace: pod.metadata.namespace ?? "", name: pod.metadata.name },
    {
      type: "merge",
      body: { metadata: { uid: pod.metadata.uid, annotations: { [REDIRECTION]: value ?? null } } },
      subresource: "status",
    },
  );
