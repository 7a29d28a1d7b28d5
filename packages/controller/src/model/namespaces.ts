// What do we need to know of a namespace?

import type { Namespace } from "@ambit/shared/kube/objects/core.ts";
import type { Labels } from "@ambit/shared/kube/objects/meta.ts";
import type { Collection, Graph } from "../collections/core.ts";
import { derive } from "../collections/derive.ts";
import { sameData } from "../collections/equal.ts";

export type NamespaceInfo = { readonly name: string; readonly labels: Labels; readonly annotations: Labels };

const toNamespaceInfo = (ns: Namespace): NamespaceInfo => ({
  name: ns.metadata.name,
  labels: ns.metadata.labels ?? {},
  annotations: ns.metadata.annotations ?? {},
});

export const namespaceInfos = (graph: Graph, namespaces: Collection<Namespace>): Collection<NamespaceInfo> =>
  derive({ graph, name: "NamespaceInfos", from: namespaces, key: (n) => n.name, equal: sameData }, (_, ns) => [toNamespaceInfo(ns)]);
