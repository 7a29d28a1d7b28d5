// Which pods make up the mesh, and which of them answers for a given pod or node?

import type { KubeClient } from "@ambit/shared/kube/client.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";

/** A mistake of the person at the keyboard, told in one sentence. */
export class UserError extends Error {
  override readonly name = "UserError";
}

const running = (pod: Pod): boolean => pod.metadata.deletionTimestamp === undefined && pod.status?.phase === "Running";

const newestFirst = (a: Pod, b: Pod): number => (b.metadata.creationTimestamp ?? "").localeCompare(a.metadata.creationTimestamp ?? "");

export type MeshPods = {
  /** Running ztunnels: all, or those of a node. */
  ztunnels(node?: string): Promise<readonly Pod[]>;
  /** The one ztunnel of the node; UserError when none runs there. */
  ztunnelOf(node: string): Promise<Pod>;
  cniOf(node: string): Promise<Pod>;
  waypointPods(namespace: string, gateway: string): Promise<readonly Pod[]>;
  /** "name", "name.namespace" or "namespace/name", a pod or (its newest pod) a deployment; UserError when there is none. */
  pod(ref: string, namespace: string): Promise<Pod>;
};

export const splitRef = (ref: string, namespace: string): { namespace: string; name: string } => {
  const slash = ref.indexOf("/");
  if (slash > 0) return { namespace: ref.slice(0, slash), name: ref.slice(slash + 1) };
  const dot = ref.lastIndexOf(".");
  return dot > 0 ? { namespace: ref.slice(dot + 1), name: ref.slice(0, dot) } : { namespace, name: ref };
};

export const createMeshPods = (client: KubeClient, systemNamespace: string): MeshPods => {
  const labelled = async (namespace: string, labelSelector: string, node?: string): Promise<readonly Pod[]> => {
    const { items } = await client.list<Pod>(RESOURCES.pods, {
      namespace,
      labelSelector,
      ...(node === undefined ? {} : { fieldSelector: `spec.nodeName=${node}` }),
    });
    return items.filter(running).sort(newestFirst);
  };
  const one = async (what: string, labelSelector: string, node: string): Promise<Pod> => {
    const [first] = await labelled(systemNamespace, labelSelector, node);
    if (first === undefined)
      throw new UserError(`no ${what} runs on node ${node}: look at "kubectl -n ${systemNamespace} get pods -o wide"`);
    return first;
  };
  return {
    ztunnels: (node) => labelled(systemNamespace, "app=ztunnel", node),
    ztunnelOf: (node) => one("ztunnel", "app=ztunnel", node),
    cniOf: (node) => one("node agent", "k8s-app=istio-cni-node", node),
    waypointPods: (namespace, gateway) => labelled(namespace, `gateway.networking.k8s.io/gateway-name=${gateway}`),
    pod: async (ref, namespace) => {
      const key = splitRef(ref, namespace);
      const exact = await client.get<Pod>(RESOURCES.pods, key);
      if (exact !== undefined) return exact;
      const { items } = await client.list<Pod>(RESOURCES.pods, { namespace: key.namespace });
      const [ofDeployment] = items
        .filter((p) => running(p) && new RegExp(`^${RegExp.escape(key.name)}-[a-z0-9]+-[a-z0-9]{5}$`).test(p.metadata.name))
        .sort(newestFirst);
      if (ofDeployment === undefined)
        throw new UserError(`there is no pod ${key.namespace}/${key.name}, nor a deployment of that name with a running pod`);
      return ofDeployment;
    },
  };
};
