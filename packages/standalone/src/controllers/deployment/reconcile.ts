// Which ReplicaSets must a Deployment create, size and delete, and what is its status?

import { isDeepStrictEqual } from "node:util";
import type { Deployment, ReplicaSet } from "@ambit/shared/kube/objects/apps.ts";
import { keyOf } from "@ambit/shared/kube/objects/meta.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import { matchesSelector } from "@ambit/shared/kube/selector.ts";
import { type Action, NOTHING, type Plan } from "../engine/plan.ts";
import type { Controller, View } from "../engine/view.ts";
import { claim, ownersOf } from "../pods/owned.ts";
import { byAge, controllerRef, isActive } from "../pods/state.ts";
import { POD_TEMPLATE_HASH, sameTemplate, templateHash } from "../pods/template.ts";
import { DESIRED, type Family, freshSize, isResize, limits, MAX, oldSizes, resized, type Sizes, sizeOf, wantedOf } from "./replicas.ts";
import { deadlineOf, isComplete, type Status, type Step, statusOf } from "./status.ts";

export const REVISION = "deployment.kubernetes.io/revision";
const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";
const OWN_ANNOTATIONS = [REVISION, DESIRED, MAX, "deployment.kubernetes.io/revision-history", LAST_APPLIED];

const identified = (d: Deployment) => ({ ...d, apiVersion: "apps/v1", kind: "Deployment" });
const revisionOf = (o: { readonly metadata: Deployment["metadata"] }): number => Number(o.metadata.annotations?.[REVISION] ?? 0) || 0;

export const deploymentController: Controller = {
  name: "deployment",
  triggers: {
    deployments: (d) => [keyOf(d)],
    replicaSets: (rs, view) => ownersOf(rs, "Deployment", view.deployments.in(rs.metadata.namespace ?? "").map(identified)),
    // Recreate waits for the last old pod to be gone.
    pods: (pod, view) =>
      view.deployments
        .in(pod.metadata.namespace ?? "")
        .filter((d) => d.spec.strategy?.type === "Recreate" && matchesSelector(d.spec.selector, pod.metadata.labels))
        .map(keyOf),
  },
  reconcile: (view, key) => {
    const found = view.deployments.get(key);
    return found === undefined || found.metadata.deletionTimestamp !== undefined ? NOTHING : reconcileDeployment(found, view);
  },
};

export const reconcileDeployment = (found: Deployment, view: Pick<View, "replicaSets" | "pods" | "now">): Plan => {
  const d = identified(found);
  const { owned, actions: claims } = claim(d, view.replicaSets.in(d.metadata.namespace ?? ""), RESOURCES.replicaSets);
  if (claims.length > 0) return { actions: claims, againMs: 0 };
  const fresh = byAge(owned).find((rs) => sameTemplate(rs.spec.template, d.spec.template));
  const family: Family = { deployment: d, fresh, old: owned.filter((rs) => rs !== fresh) };
  const { actions, step } = nextStep(family, view);
  const status = statusOf(d, { fresh, all: owned }, { step, now: view.now });
  const revision = step.revision ?? revisionOf(d);
  const deadline = deadlineOf(d, status.conditions ?? []);
  return {
    actions: [
      ...actions,
      ...revisionChange(d, revision),
      ...(isDeepStrictEqual(status, d.status) ? [] : [statusChange(d, status)]),
      ...cleanup(family, status),
    ],
    againMs: deadline === undefined ? undefined : Math.max(0, deadline - view.now) + 50,
  };
};

type NextStep = { readonly actions: readonly Action[]; readonly step: Step & { readonly revision?: number } };

const nextStep = (family: Family, view: Pick<View, "pods">): NextStep => {
  const { deployment: d, fresh, old } = family;
  if (d.spec.paused === true || isResize(family)) return { actions: resize(family, resized(family)), step: { scaled: isResize(family) } };
  const revision = Math.max(Math.max(0, ...old.map(revisionOf)) + 1, fresh === undefined ? 0 : revisionOf(fresh));
  if (d.spec.strategy?.type === "Recreate") {
    const shrink = resize(family, oldSizes(family));
    if (shrink.length > 0) return { actions: shrink, step: { revision: revisionOf(d) } };
    if (old.some((rs) => livingPods(rs, view) > 0)) return { actions: [], step: { revision: revisionOf(d) } };
  }
  if (fresh === undefined) {
    const object = newReplicaSet(family, revision);
    const create: Action = { do: "create", resource: RESOURCES.replicaSets, object, why: "the pod template is new" };
    return {
      actions: [create, scalingEvent(d, object.metadata.name, { from: 0, to: object.spec.replicas ?? 0 })],
      step: { created: object.metadata.name, revision },
    };
  }
  const size = freshSize(family);
  // Up first; old pods go in a later step, when those new ones count.
  const sizes = new Map<ReplicaSet, number>([...(size > sizeOf(fresh) ? [] : oldSizes(family)), [fresh, size]]);
  return { actions: resize(family, sizes, revision), step: { revision } };
};

const livingPods = (rs: ReplicaSet, view: Pick<View, "pods">): number =>
  view.pods
    .in(rs.metadata.namespace ?? "")
    .filter(
      (p) =>
        p.metadata.ownerReferences?.some((o) => o.uid === rs.metadata.uid) === true &&
        (isActive(p) || p.metadata.deletionTimestamp !== undefined),
    ).length;

/** Copied from the Deployment, less what belongs to one of the two alone. */
const annotationsFor = (d: Deployment, revision: number): Record<string, string> => ({
  ...Object.fromEntries(Object.entries(d.metadata.annotations ?? {}).filter(([k]) => !OWN_ANNOTATIONS.includes(k))),
  [REVISION]: String(revision),
  [DESIRED]: String(wantedOf(d)),
  [MAX]: String(limits(d).max),
});

const newReplicaSet = (family: Family, revision: number): ReplicaSet => {
  const d = identified(family.deployment);
  const hash = templateHash(d.spec.template);
  const labels = { ...d.spec.template.metadata?.labels, [POD_TEMPLATE_HASH]: hash };
  return {
    metadata: {
      name: `${d.metadata.name}-${hash}`,
      namespace: d.metadata.namespace ?? "",
      labels,
      annotations: annotationsFor(d, revision),
      ownerReferences: [controllerRef(d)],
    },
    spec: {
      replicas: freshSize(family),
      ...(d.spec.minReadySeconds === undefined ? {} : { minReadySeconds: d.spec.minReadySeconds }),
      selector: { ...d.spec.selector, matchLabels: { ...d.spec.selector.matchLabels, [POD_TEMPLATE_HASH]: hash } },
      template: { ...d.spec.template, metadata: { ...d.spec.template.metadata, labels } },
    },
  };
};

/** Updates those ReplicaSets whose size, size annotations or (for the new one) revision, copied annotations or minReadySeconds differ. */
const resize = (family: Family, sizes: Sizes, revision?: number): Action[] => {
  const { deployment: d, fresh, old } = family;
  return [...old, ...(fresh === undefined ? [] : [fresh])].flatMap((rs): Action[] => {
    const size = sizes.get(rs) ?? sizeOf(rs);
    const isFresh = rs === fresh && revision !== undefined;
    const annotations = isFresh
      ? { ...rs.metadata.annotations, ...annotationsFor(d, revision) }
      : size > 0 || size !== sizeOf(rs)
        ? { ...rs.metadata.annotations, [DESIRED]: String(wantedOf(d)), [MAX]: String(limits(d).max) }
        : rs.metadata.annotations;
    const minReadySeconds = isFresh ? d.spec.minReadySeconds : rs.spec.minReadySeconds;
    if (
      size === sizeOf(rs) &&
      isDeepStrictEqual(annotations, rs.metadata.annotations) &&
      (minReadySeconds ?? 0) === (rs.spec.minReadySeconds ?? 0)
    )
      return [];
    const object: ReplicaSet = {
      ...rs,
      metadata: { ...rs.metadata, ...(annotations === undefined ? {} : { annotations }) },
      spec: { ...rs.spec, replicas: size, ...(minReadySeconds === undefined ? {} : { minReadySeconds }) },
    };
    const update: Action = { do: "update", resource: RESOURCES.replicaSets, object, why: `from ${sizeOf(rs)} to ${size} replicas` };
    return size === sizeOf(rs) ? [update] : [update, scalingEvent(d, rs.metadata.name, { from: sizeOf(rs), to: size })];
  });
};

const scalingEvent = (d: Deployment, name: string, { from, to }: { readonly from: number; readonly to: number }): Action => ({
  do: "event",
  about: identified(d),
  type: "Normal",
  reason: "ScalingReplicaSet",
  message: `Scaled ${to > from ? "up" : "down"} replica set ${name} from ${from} to ${to}`,
});

/** The Deployment's own revision annotation, by merge patch: people edit the rest of the object meanwhile. */
const revisionChange = (d: Deployment, revision: number): Action[] => {
  if (revision === 0 || revisionOf(d) === revision) return [];
  const body = { metadata: { annotations: { [REVISION]: String(revision) } } };
  const key = { namespace: d.metadata.namespace ?? "", name: d.metadata.name };
  return [{ do: "patch", resource: RESOURCES.deployments, key, patch: { type: "merge", body }, why: `now at revision ${revision}` }];
};

/** By merge patch without a version: our own revision patch just changed it. Conditions are a list and replaced whole. */
const statusChange = (d: Deployment, status: Status): Action => ({
  do: "patch",
  resource: RESOURCES.deployments,
  key: { namespace: d.metadata.namespace ?? "", name: d.metadata.name },
  patch: { type: "merge", body: { status }, subresource: "status" },
  why: "replica sets changed",
});

/** Old, empty ReplicaSets beyond the history limit, once the rollout is complete. */
const cleanup = ({ deployment: d, old }: Family, status: Status): Action[] => {
  const limit = d.spec.revisionHistoryLimit ?? 10;
  if (!isComplete(d, status)) return [];
  const empty = old.filter(
    (rs) =>
      sizeOf(rs) === 0 &&
      (rs.status?.replicas ?? 0) === 0 &&
      rs.metadata.deletionTimestamp === undefined &&
      (rs.status?.observedGeneration ?? 0) >= (rs.metadata.generation ?? 0),
  );
  return empty
    .sort((a, b) => revisionOf(a) - revisionOf(b))
    .slice(0, Math.max(0, old.length - limit))
    .map((object) => ({ do: "delete", resource: RESOURCES.replicaSets, object, why: `beyond the history limit of ${limit}` }));
};
