// Which pods has everybody left behind: bound to a node that is gone, or deleted before they had one?

import { keyOf } from "@ambit/shared/kube/objects/meta.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import { NOTHING, type Plan } from "../engine/plan.ts";
import type { Controller, View } from "../engine/view.ts";

/** A node may be made anew under its name right after it went: wait this long before its pods are given up. */
const QUARANTINE_MS = 20_000;

export const podGcController: Controller = {
  name: "podgc",
  triggers: {
    pods: (pod) => [keyOf(pod)],
    nodes: (node, view) =>
      view.nodes.get(node.metadata.name) === undefined
        ? view.pods
            .list()
            .filter((p) => p.spec.nodeName === node.metadata.name)
            .map(keyOf)
        : [],
  },
  reconcile: (view, key) => {
    const pod = view.pods.get(key);
    return pod === undefined ? NOTHING : collect(pod, view);
  },
};

export const collect = (pod: Pod, view: Pick<View, "nodes" | "now" | "changedAt">): Plan => {
  const node = pod.spec.nodeName ?? "";
  const now = { gracePeriodSeconds: 0 };
  if (node === "")
    return pod.metadata.deletionTimestamp === undefined
      ? NOTHING
      : { actions: [{ do: "delete", resource: RESOURCES.pods, object: pod, opts: now, why: "deleted before it had a node" }] };
  if (view.nodes.get(node) !== undefined) return NOTHING;
  const waited = view.now - view.changedAt(pod);
  if (waited < QUARANTINE_MS) return { actions: [], againMs: QUARANTINE_MS - waited };
  return { actions: [{ do: "delete", resource: RESOURCES.pods, object: pod, opts: now, why: `its node ${node} is gone` }] };
};
