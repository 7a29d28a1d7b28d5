// Which ControllerRevisions does a DaemonSet keep, and which one is current?

import type { ControllerRevision, DaemonSet } from "@ambit/shared/kube/objects/apps.ts";
import { controllerOf } from "@ambit/shared/kube/objects/meta.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import type { Action } from "../engine/plan.ts";
import { controllerRef } from "../pods/state.ts";
import { templateHash } from "../pods/template.ts";

export const REVISION_HASH = "controller-revision-hash";

const hashOf = (r: ControllerRevision): string => r.metadata.labels?.[REVISION_HASH] ?? "";

export type History = { readonly hash: string; readonly actions: readonly Action[] };

/**
 * The hash of the current template, with the actions that record it as the newest revision (an old template that came back gets
 * a new number, which is how `kubectl rollout undo` shows up) and that drop unused revisions beyond the limit.
 */
export const history = (
  ds: DaemonSet & { apiVersion: string; kind: string },
  revisions: readonly ControllerRevision[],
  pods: readonly Pod[],
): History => {
  const hash = templateHash(ds.spec.template);
  const own = revisions.filter((r) => controllerOf(r)?.uid === ds.metadata.uid);
  const newest = Math.max(0, ...own.map((r) => r.revision));
  const current = own.find((r) => hashOf(r) === hash);
  const actions: Action[] = [];
  if (current === undefined) {
    const object: ControllerRevision = {
      metadata: {
        name: `${ds.metadata.name}-${hash}`,
        namespace: ds.metadata.namespace ?? "",
        labels: { ...ds.spec.template.metadata?.labels, [REVISION_HASH]: hash },
        ...annotationsOf(ds),
        ownerReferences: [controllerRef(ds)],
      },
      // The form kubectl sends back as a strategic merge patch to undo.
      data: { spec: { template: { $patch: "replace", ...ds.spec.template } } },
      revision: newest + 1,
    };
    actions.push({ do: "create", resource: RESOURCES.controllerRevisions, object, why: "the pod template is new" });
  } else if (current.revision < newest)
    actions.push({
      do: "update",
      resource: RESOURCES.controllerRevisions,
      object: { ...current, revision: newest + 1 } as ControllerRevision,
      why: "the template came back",
    });
  const inUse = new Set([hash, ...pods.map((p) => p.metadata.labels?.[REVISION_HASH] ?? "")]);
  const unused = own.filter((r) => !inUse.has(hashOf(r))).sort((a, b) => a.revision - b.revision);
  const surplus = unused.slice(0, Math.max(0, unused.length - (ds.spec.revisionHistoryLimit ?? 10)));
  actions.push(
    ...surplus.map(
      (object): Action => ({ do: "delete", resource: RESOURCES.controllerRevisions, object, why: "beyond the history limit" }),
    ),
  );
  return { hash, actions };
};

const annotationsOf = (ds: DaemonSet): { annotations?: Record<string, string> } => {
  const kept = Object.entries(ds.metadata.annotations ?? {}).filter(([k]) => k !== "kubectl.kubernetes.io/last-applied-configuration");
  return kept.length === 0 ? {} : { annotations: Object.fromEntries(kept) };
};
