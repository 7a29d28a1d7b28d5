// What is left to delete in a namespace that is being deleted, and may it go?

import type { Namespace } from "@ambit/shared/kube/objects/core.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import { NOTHING, type Plan } from "../engine/plan.ts";
import type { Held } from "../gc/graph.ts";

/** True when the namespace waits for us. */
export const isTerminating = (ns: Namespace): boolean =>
  ns.metadata.deletionTimestamp !== undefined && ns.spec?.finalizers?.includes("kubernetes") === true;

/** Pods first come last to go: owners are deleted with them, so that no controller makes new ones. */
export const emptyNamespace = (ns: Namespace, contents: readonly Held[]): Plan => {
  if (!isTerminating(ns)) return NOTHING;
  const left = contents.filter((h) => h.object.metadata.deletionTimestamp === undefined);
  return {
    actions: left.map((h) => ({
      do: "delete" as const,
      resource: h.resource,
      object: h.object,
      opts: { propagationPolicy: "Background" as const },
      why: `namespace ${ns.metadata.name} is being deleted`,
    })),
  };
};

/** The namespace without our finalizer, for its "finalize" subresource: to be sent once the server itself lists nothing in it. */
export const finalized = (ns: Namespace): Plan => ({
  actions: [
    {
      do: "update",
      resource: RESOURCES.namespaces,
      object: { ...ns, spec: { ...ns.spec, finalizers: ns.spec?.finalizers?.filter((f) => f !== "kubernetes") ?? [] } } as Namespace,
      subresource: "finalize",
      why: "it is empty",
    },
  ],
});
