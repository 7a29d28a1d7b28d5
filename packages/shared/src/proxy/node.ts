// As which node does a proxy introduce itself to the controller? (ambient-l4 section 3.3)

import type { Node } from "../wire/types.ts";

export type ProxyNode = {
  readonly kind: "ztunnel" | "waypoint";
  readonly pod: { readonly name: string; readonly namespace: string; readonly ip: string };
  readonly domain: string;
  readonly node: string;
  readonly clusterId: string;
  /** Kept where it does not claim what is said of the pod itself. */
  readonly metadata: Readonly<Record<string, string>>;
};

/** `<kind>~<ip>~<pod>.<namespace>~<namespace>.svc.<domain>`, with the metadata that Istio's proxies send. */
export const xdsNode = ({ kind, pod, domain, node, clusterId, metadata }: ProxyNode): Node => ({
  id: `${kind}~${pod.ip}~${pod.name}.${pod.namespace}~${pod.namespace}.svc.${domain}`,
  metadata: { ...metadata, NAME: pod.name, NAMESPACE: pod.namespace, INSTANCE_IPS: pod.ip, NODE_NAME: node, CLUSTER_ID: clusterId },
});
