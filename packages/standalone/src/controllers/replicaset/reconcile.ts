// Which pods must a ReplicaSet create or delete, and what is its status?

import type { ReplicaSet } from "@ambit/shared/kube/objects/apps.ts";
import { keyOf } from "@ambit/shared/kube/objects/meta.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import { matchesLabels } from "@ambit/shared/kube/selector.ts";
import { type Action, NOTHING, type Plan } from "../engine/plan.ts";
import type { Controller, View } from "../engine/view.ts";
import { claim, ownersOf } from "../pods/owned.ts";
import { deletionOrder, isActive, isAvailable, isReady, podOf, untilAvailable } from "../pods/state.ts";

const BURST = 50;
const identified = (rs: ReplicaSet) => ({ ...rs, apiVersion: "apps/v1", kind: "ReplicaSet" });

export const replicaSetController: Controller = {
  name: "replicaset",
  triggers: {
    replicaSets: (rs) => [keyOf(rs)],
    pods: (pod, view) => ownersOf(pod, "ReplicaSet", view.replicaSets.in(pod.metadata.namespace ?? "").map(identified)),
  },
  reconcile: (view, key) => {
    const found = view.replicaSets.get(key);
    return found === undefined ? NOTHING : reconcileReplicaSet(found, view);
  },
};

export const reconcileReplicaSet = (found: ReplicaSet, view: Pick<View, "pods" | "now">): Plan => {
  const rs = identified(found);
  const { owned, actions: claims } = claim(rs, view.pods.in(rs.metadata.namespace ?? ""), RESOURCES.pods);
  const pods = owned.filter(isActive);
  const wanted = rs.spec.replicas ?? 1;
  const minReady = rs.spec.minReadySeconds ?? 0;
  // Adoption first: an orphan about to be adopted is not replaced by a new pod.
  const changes = claims.length > 0 || rs.metadata.deletionTimestamp !== undefined ? claims : podChanges(rs, pods, wanted);
  return {
    actions: [...changes, ...statusChange(rs, pods, view.now)],
    againMs: minReady === 0 ? undefined : untilAvailable(pods, minReady, view.now),
  };
};

const podChanges = (rs: ReturnType<typeof identified>, pods: readonly Pod[], wanted: number): Action[] => {
  if (pods.length < wanted) {
    const why = `${pods.length} of ${wanted} pods exist`;
    const pod = podOf(rs.spec.template, rs);
    return Array.from({ length: Math.min(BURST, wanted - pods.length) }, () => ({
      do: "create",
      resource: RESOURCES.pods,
      object: pod,
      why,
    }));
  }
  return deletionOrder(pods)
    .slice(0, Math.min(BURST, pods.length - wanted))
    .map((object) => ({ do: "delete", resource: RESOURCES.pods, object, why: `${pods.length} pods exist, ${wanted} wanted` }));
};

const statusChange = (rs: ReplicaSet, pods: readonly Pod[], now: number): Action[] => {
  const status = {
    replicas: pods.length,
    fullyLabeledReplicas: pods.filter((p) => matchesLabels(rs.spec.template.metadata?.labels, p.metadata.labels)).length,
    readyReplicas: pods.filter(isReady).length,
    availableReplicas: pods.filter((p) => isAvailable(p, rs.spec.minReadySeconds ?? 0, now)).length,
    observedGeneration: rs.metadata.generation ?? 0,
  };
  const old = rs.status;
  const same = (Object.keys(status) as (keyof typeof status)[]).every((k) => (old?.[k] ?? 0) === status[k]) && old !== undefined;
  return same
    ? []
    : [
        {
          do: "update",
          resource: RESOURCES.replicaSets,
          object: { ...rs, status } as ReplicaSet,
          subresource: "status",
          why: "pods changed",
        },
      ];
};
