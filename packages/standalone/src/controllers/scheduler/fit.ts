// May this pod run on this node, and if not, why not?

import type { Node } from "@ambit/shared/kube/objects/core.ts";
import type { LabelSelectorRequirement } from "@ambit/shared/kube/objects/meta.ts";
import type { NodeSelectorTerm, Pod, PodAffinityTerm, Taint, Toleration } from "@ambit/shared/kube/objects/pod.ts";
import { matchesLabels, matchesRequirement, matchesSelector } from "@ambit/shared/kube/selector.ts";
import { isActive } from "../pods/state.ts";

export const tolerates = (tolerations: readonly Toleration[], taint: Taint): boolean =>
  tolerations.some(
    (t) =>
      (t.effect === undefined || t.effect === "" || t.effect === taint.effect) &&
      (t.key === undefined || t.key === "" ? t.operator === "Exists" : t.key === taint.key) &&
      (t.operator === "Exists" || (t.value ?? "") === (taint.value ?? "")),
  );

/** An empty term matches nothing; requirements within a term are all needed. */
const matchesTerm = (term: NodeSelectorTerm, node: Node): boolean => {
  const labels = term.matchExpressions ?? [];
  const fields = term.matchFields ?? [];
  return (
    labels.length + fields.length > 0 &&
    labels.every((r) => matchesRequirement(r, node.metadata.labels)) &&
    fields.every((r: LabelSelectorRequirement) => matchesRequirement(r, { "metadata.name": node.metadata.name }))
  );
};

/** nodeSelector and required node affinity. */
export const matchesNode = (pod: Pick<Pod, "spec">, node: Node): boolean => {
  const required = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return (
    matchesLabels(pod.spec.nodeSelector, node.metadata.labels) &&
    (required === undefined || required.nodeSelectorTerms.some((t) => matchesTerm(t, node)))
  );
};

/** The first taint that keeps a new pod away; PreferNoSchedule never does. */
const repellingTaint = (tolerations: readonly Toleration[], node: Node): Taint | undefined =>
  node.spec?.taints?.find((t) => t.effect !== "PreferNoSchedule" && !tolerates(tolerations, t));

const isNodeReady = (node: Node): boolean => node.status?.conditions?.some((c) => c.type === "Ready" && c.status === "True") === true;

const UNSCHEDULABLE: Taint = { key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" };
const NOT_READY: Taint = { key: "node.kubernetes.io/not-ready", effect: "NoExecute" };

/** Pods that count for a term: living ones in its namespaces that its selector matches. */
const selected = (term: PodAffinityTerm, self: Pod, pods: readonly Pod[]): Pod[] => {
  const namespaces = term.namespaces ?? [self.metadata.namespace ?? ""];
  return pods.filter(
    (p) => isActive(p) && namespaces.includes(p.metadata.namespace ?? "") && matchesSelector(term.labelSelector, p.metadata.labels),
  );
};

const domain = (node: Node | undefined, key: string): string | undefined => node?.metadata.labels?.[key];

export type Cluster = { readonly nodes: readonly Node[]; readonly pods: readonly Pod[] };

const inDomain = (pods: readonly Pod[], node: Node, at: { key: string; nodes: ReadonlyMap<string, Node> }): number => {
  const here = domain(node, at.key);
  return here === undefined ? 0 : pods.filter((p) => domain(at.nodes.get(p.spec.nodeName ?? ""), at.key) === here).length;
};

/** Undefined when the pod fits; else the reason as kubectl's users know it ("had untolerated taint {…}"). */
export const whyNot = (pod: Pod, node: Node, cluster: Cluster): string | undefined => {
  const tolerations = pod.spec.tolerations ?? [];
  if (node.metadata.deletionTimestamp !== undefined) return "node(s) were being deleted";
  if (node.spec?.unschedulable === true && !tolerates(tolerations, UNSCHEDULABLE)) return "node(s) were unschedulable";
  if (!matchesNode(pod, node)) return "node(s) didn't match Pod's node affinity/selector";
  const taint = repellingTaint(tolerations, node) ?? (isNodeReady(node) || tolerates(tolerations, NOT_READY) ? undefined : NOT_READY);
  if (taint !== undefined) return `node(s) had untolerated taint {${taint.key}: ${taint.value ?? ""}}`;
  const nodes = new Map(cluster.nodes.map((n) => [n.metadata.name, n]));
  return whyNotHere(pod, node, { pods: cluster.pods.filter((p) => p.metadata.uid !== pod.metadata.uid), nodes });
};

const whyNotHere = (pod: Pod, node: Node, at: { pods: readonly Pod[]; nodes: ReadonlyMap<string, Node> }): string | undefined => {
  const anti = pod.spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
  const near = pod.spec.affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
  const count = (term: PodAffinityTerm): number => inDomain(selected(term, pod, at.pods), node, { key: term.topologyKey, nodes: at.nodes });
  if (anti.some((t) => count(t) > 0)) return "node(s) didn't match pod anti-affinity rules";
  // The first pod of a group that wants to be near itself may start anywhere.
  const alone = (t: PodAffinityTerm): boolean =>
    selected(t, pod, at.pods).length === 0 && matchesSelector(t.labelSelector, pod.metadata.labels);
  if (near.some((t) => count(t) === 0 && !alone(t))) return "node(s) didn't match pod affinity rules";
  for (const c of pod.spec.topologySpreadConstraints ?? []) {
    if (c.whenUnsatisfiable !== "DoNotSchedule") continue;
    if (domain(node, c.topologyKey) === undefined) return "node(s) didn't match pod topology spread constraints (missing required label)";
    const term = { topologyKey: c.topologyKey, ...(c.labelSelector === undefined ? {} : { labelSelector: c.labelSelector }) };
    const matching = selected(term, pod, at.pods);
    const eligible = [...at.nodes.values()].filter((n) => domain(n, c.topologyKey) !== undefined && matchesNode(pod, n));
    const least = Math.min(...eligible.map((n) => inDomain(matching, n, { key: c.topologyKey, nodes: at.nodes })));
    if (count(term) + 1 - least > c.maxSkew) return "node(s) didn't match pod topology spread constraints";
  }
  return undefined;
};
