// Which pods must a DaemonSet create or delete, and what is its status?

import { isDeepStrictEqual } from "node:util";
import type { DaemonSet } from "@ambit/shared/kube/objects/apps.ts";
import { keyOf } from "@ambit/shared/kube/objects/meta.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import { type Action, NOTHING, type Plan } from "../engine/plan.ts";
import type { Controller, View } from "../engine/view.ts";
import { claim, ownersOf } from "../pods/owned.ts";
import { byAge, isAvailable, isReady, isTerminal, podOf, untilAvailable } from "../pods/state.ts";
import { history, REVISION_HASH } from "./history.ts";
import { nodeOf, placement, specFor } from "./nodes.ts";
import { moves, type NodePods } from "./update.ts";

const identified = (ds: DaemonSet) => ({ ...ds, apiVersion: "apps/v1", kind: "DaemonSet" });

export const daemonSetController: Controller = {
  name: "daemonset",
  triggers: {
    daemonSets: (ds) => [keyOf(ds)],
    nodes: (_node, view) => view.daemonSets.list().map(keyOf),
    pods: (pod, view) => ownersOf(pod, "DaemonSet", view.daemonSets.in(pod.metadata.namespace ?? "").map(identified)),
    controllerRevisions: (r, view) => ownersOf(r, "DaemonSet", view.daemonSets.in(r.metadata.namespace ?? "").map(identified)),
  },
  reconcile: (view, key) => {
    const found = view.daemonSets.get(key);
    return found === undefined || found.metadata.deletionTimestamp !== undefined ? NOTHING : reconcileDaemonSet(found, view);
  },
};

export const reconcileDaemonSet = (found: DaemonSet, view: Pick<View, "pods" | "nodes" | "controllerRevisions" | "now">): Plan => {
  const ds = identified(found);
  const namespace = ds.metadata.namespace ?? "";
  const { owned, actions: claims } = claim(ds, view.pods.in(namespace), RESOURCES.pods);
  if (claims.length > 0) return { actions: claims, againMs: 0 };
  const past = history(ds, view.controllerRevisions.in(namespace), owned);
  const perNode = Map.groupBy(owned, (p) => nodeOf(p) ?? "");
  const nodes: NodePods[] = view.nodes
    .list()
    .map((n) => ({ node: n.metadata.name, place: placement(ds, n), pods: perNode.get(n.metadata.name) ?? [] }));
  const { create, remove } = moves(ds, nodes, { hash: past.hash, now: view.now });
  const labels = { [REVISION_HASH]: past.hash, "pod-template-generation": String(ds.metadata.generation ?? 1) };
  const status = statusOf(ds, nodes, { hash: past.hash, now: view.now });
  const object = { ...ds, status: { ...ds.status, ...status } } as DaemonSet;
  return {
    actions: [
      ...past.actions,
      ...remove.map(({ pod, why }): Action => ({ do: "delete", resource: RESOURCES.pods, object: pod, why })),
      ...create.map(
        ({ node, why }): Action => ({
          do: "create",
          resource: RESOURCES.pods,
          object: podOf(ds.spec.template, ds, { labels, spec: specFor(ds, node) }),
          why,
        }),
      ),
      ...(isDeepStrictEqual(object.status, ds.status)
        ? []
        : [{ do: "update" as const, resource: RESOURCES.daemonSets, object, subresource: "status", why: "pods or nodes changed" }]),
    ],
    againMs: (ds.spec.minReadySeconds ?? 0) === 0 ? undefined : untilAvailable(owned, ds.spec.minReadySeconds ?? 0, view.now),
  };
};

const living = (n: NodePods): Pod[] => n.pods.filter((p) => !isTerminal(p) && p.metadata.deletionTimestamp === undefined);

const statusOf = (ds: DaemonSet, nodes: readonly NodePods[], at: { hash: string; now: number }): NonNullable<DaemonSet["status"]> => {
  const wanted = nodes.filter((n) => n.place === "run");
  // A node's oldest pod speaks for it: while a surge pod comes up beside an old one, the node is not updated yet.
  const speakers = wanted.flatMap((n) => byAge(living(n))[0] ?? []);
  const having = (fits: (p: Pod) => boolean): number => speakers.filter(fits).length;
  const available = having((p) => isAvailable(p, ds.spec.minReadySeconds ?? 0, at.now));
  return {
    currentNumberScheduled: having(() => true),
    numberMisscheduled: nodes.filter((n) => n.place !== "run" && living(n).length > 0).length,
    desiredNumberScheduled: wanted.length,
    numberReady: having(isReady),
    observedGeneration: ds.metadata.generation ?? 0,
    updatedNumberScheduled: having((p) => p.metadata.labels?.[REVISION_HASH] === at.hash),
    numberAvailable: available,
    numberUnavailable: wanted.length - available,
  };
};
