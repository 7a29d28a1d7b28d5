// Where is a node?

import type { Node } from "@ambit/shared/kube/objects/core.ts";
import type { Locality } from "@ambit/shared/state/types.ts";
import type { Collection, Graph } from "../collections/core.ts";
import { derive } from "../collections/derive.ts";
import { sameData } from "../collections/equal.ts";
import { LABEL } from "./labels.ts";

export type NodeInfo = { readonly name: string; readonly locality: Locality };

export const NOWHERE: Locality = { region: "", zone: "", subzone: "" };

const toNodeInfo = (node: Node): NodeInfo => {
  const labels = node.metadata.labels ?? {};
  return {
    name: node.metadata.name,
    locality: { region: labels[LABEL.region] ?? "", zone: labels[LABEL.zone] ?? "", subzone: labels[LABEL.subzone] ?? "" },
  };
};

/** Heartbeats change a Node all the time; its place hardly ever: the wave stops here. */
export const nodeInfos = (graph: Graph, nodes: Collection<Node>): Collection<NodeInfo> =>
  derive({ graph, name: "NodeInfos", from: nodes, key: (n) => n.name, equal: sameData }, (_, node) => [toNodeInfo(node)]);
