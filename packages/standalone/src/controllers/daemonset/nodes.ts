// Which nodes shall run a DaemonSet's pod, and which may keep one they have? (pkg/controller/daemon: NodeShouldRunDaemonPod)

import type { DaemonSet } from "@ambit/shared/kube/objects/apps.ts";
import type { Node } from "@ambit/shared/kube/objects/core.ts";
import type { Pod, Toleration } from "@ambit/shared/kube/objects/pod.ts";
import { matchesNode, tolerates } from "../scheduler/fit.ts";

const exists = (key: string, effect: string): Toleration => ({ key: `node.kubernetes.io/${key}`, operator: "Exists", effect });

/** What every daemon pod tolerates: it shall run just when a node is in trouble. */
const daemonTolerations = (hostNetwork: boolean): Toleration[] => [
  exists("not-ready", "NoExecute"),
  exists("unreachable", "NoExecute"),
  exists("disk-pressure", "NoSchedule"),
  exists("memory-pressure", "NoSchedule"),
  exists("pid-pressure", "NoSchedule"),
  exists("unschedulable", "NoSchedule"),
  ...(hostNetwork ? [exists("network-unavailable", "NoSchedule")] : []),
];

/** The template's pod spec for one node: pinned by node affinity (the scheduler binds it), with the daemon tolerations. */
export const specFor = (ds: DaemonSet, node: string): Pod["spec"] => {
  const spec = ds.spec.template.spec;
  const pin = { matchFields: [{ key: "metadata.name", operator: "In" as const, values: [node] }] };
  const terms = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  const nodeSelectorTerms = terms === undefined || terms.length === 0 ? [pin] : terms.map((t) => ({ ...t, ...pin }));
  return {
    ...spec,
    affinity: {
      ...spec.affinity,
      nodeAffinity: { ...spec.affinity?.nodeAffinity, requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } },
    },
    tolerations: [...(spec.tolerations ?? []), ...daemonTolerations(spec.hostNetwork === true)],
  };
};

/** The node a daemon pod is on, or is meant for. */
export const nodeOf = (pod: Pod): string | undefined => {
  if (pod.spec.nodeName !== undefined && pod.spec.nodeName !== "") return pod.spec.nodeName;
  const terms = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  return terms.flatMap((t) => t.matchFields ?? []).find((f) => f.key === "metadata.name")?.values?.[0];
};

/** "run": create one if missing. "keep": leave one that is there. "none": none may be there. */
export const placement = (ds: DaemonSet, node: Node): "run" | "keep" | "none" => {
  if (!matchesNode({ spec: ds.spec.template.spec }, node)) return "none";
  const tolerations = [...(ds.spec.template.spec.tolerations ?? []), ...daemonTolerations(ds.spec.template.spec.hostNetwork === true)];
  const repelling = (node.spec?.taints ?? []).filter((t) => !tolerates(tolerations, t));
  if (repelling.some((t) => t.effect === "NoExecute")) return "none";
  return repelling.some((t) => t.effect === "NoSchedule") ? "keep" : "run";
};
