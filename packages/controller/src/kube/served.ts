// Which custom kinds does the API server serve?

import { type Condition, findCondition, type KubeObject } from "@ambit/shared/kube/objects/meta.ts";

export type CustomResourceDefinition = KubeObject & {
  readonly spec: { readonly group: string; readonly names: { readonly plural: string } };
  readonly status?: { readonly conditions?: readonly Condition[] };
};

/** "gateways.gateway.networking.k8s.io": the names of those that are established. */
export const servedNames = (crds: readonly CustomResourceDefinition[]): ReadonlySet<string> =>
  new Set(
    crds.flatMap((c) =>
      c.metadata.deletionTimestamp === undefined && findCondition(c.status?.conditions, "Established")?.status === "True"
        ? [`${c.spec.names.plural}.${c.spec.group}`]
        : [],
    ),
  );
