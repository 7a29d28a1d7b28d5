// Which policies must a pod's workload name?

import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import { matchesLabels } from "@ambit/shared/kube/selector.ts";
import type { Collection } from "../collections/core.ts";
import type { L4Policy } from "./authorization.ts";
import { type PeerAuth, peerPolicyNames } from "./peer-authentication.ts";
import type { PolicyNames } from "./workloads.ts";

export type PodPolicySources = {
  /** Policies with a selector, by namespace. */
  readonly selecting: Collection<readonly L4Policy[]>;
  readonly peerAuthsByNamespace: Collection<readonly PeerAuth[]>;
};

/** Selecting policies of the pod's namespace and of the root namespace, then what PeerAuthentications became; sorted within each. */
export const podPolicyNames = (from: PodPolicySources, rootNamespace: string): PolicyNames => ({
  reads: [from.selecting, from.peerAuthsByNamespace],
  of: (get, pod: Pod) => {
    const { namespace = "", labels } = pod.metadata;
    const here = new Set([namespace, rootNamespace]);
    const names = [...here].flatMap((ns) =>
      (get.one(from.selecting, ns) ?? []).flatMap((p) => (matchesLabels(p.selector, labels) ? [`${p.namespace}/${p.name}`] : [])),
    );
    const levels = {
      own: get.one(from.peerAuthsByNamespace, namespace) ?? [],
      root: get.one(from.peerAuthsByNamespace, rootNamespace) ?? [],
    };
    return [...names.toSorted(), ...peerPolicyNames(labels, levels, rootNamespace)];
  },
});
