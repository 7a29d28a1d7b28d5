// What is true of the whole mesh and fixed while the controller runs?

import type { KubeObject } from "@ambit/shared/kube/objects/meta.ts";
import { LABEL } from "./labels.ts";

export type MeshSettings = {
  /** Where mesh-wide policies live, and the controller itself. */
  readonly rootNamespace: string;
  readonly trustDomain: string;
  /** Other names of the trust domain (MeshConfig trustDomainAliases): their identities are ours. */
  readonly trustDomainAliases: readonly string[];
  readonly clusterDomain: string;
  readonly clusterId: string;
  readonly network: string;
  /** Objects labelled with another istio.io/rev are another control plane's. */
  readonly revision: string;
};

export const isOurs = (object: KubeObject, revision: string): boolean => {
  const label = object.metadata.labels?.[LABEL.revision];
  return label === undefined || label === "" || label === revision;
};

/** "reviews.shop.svc.cluster.local" */
export const serviceHostname = (
  s: { readonly namespace: string; readonly name: string },
  settings: Pick<MeshSettings, "clusterDomain">,
): string => `${s.name}.${s.namespace}.svc.${settings.clusterDomain}`;
