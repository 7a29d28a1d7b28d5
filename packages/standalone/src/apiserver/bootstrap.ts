// Which objects does a cluster have from its first moment on?

import { BOOTSTRAP_BINDINGS, BOOTSTRAP_NAMESPACES, BOOTSTRAP_ROLES } from "./auth/bootstrap.ts";
import type { KubeObject } from "./model/object.ts";

export type Endpoint = { readonly address: string; readonly port: number };

const namespace = (name: string): KubeObject => ({ apiVersion: "v1", kind: "Namespace", metadata: { name } });

const priorityClass = (name: string, value: number, description: string): KubeObject => ({
  apiVersion: "scheduling.k8s.io/v1",
  kind: "PriorityClass",
  metadata: { name },
  value,
  description,
});

const LABELS = { component: "apiserver", provider: "kubernetes" };

/** The Service by which pods reach the API server. */
const kubernetesService = (clusterIp: string): KubeObject => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "kubernetes", namespace: "default", labels: { ...LABELS } },
  spec: {
    type: "ClusterIP",
    clusterIP: clusterIp,
    clusterIPs: [clusterIp],
    ipFamilies: ["IPv4"],
    ipFamilyPolicy: "SingleStack",
    ports: [{ name: "https", protocol: "TCP", port: 443, targetPort: 6443 }],
    sessionAffinity: "None",
  },
});

const kubernetesSlice = ({ address, port }: Endpoint): KubeObject => ({
  apiVersion: "discovery.k8s.io/v1",
  kind: "EndpointSlice",
  metadata: { name: "kubernetes", namespace: "default", labels: { "kubernetes.io/service-name": "kubernetes" } },
  addressType: "IPv4",
  endpoints: [{ addresses: [address], conditions: { ready: true } }],
  ports: [{ name: "https", protocol: "TCP", port }],
});

const kubernetesEndpoints = ({ address, port }: Endpoint): KubeObject => ({
  apiVersion: "v1",
  kind: "Endpoints",
  metadata: { name: "kubernetes", namespace: "default", labels: { "endpointslice.kubernetes.io/skip-mirror": "true" } },
  subsets: [{ addresses: [{ ip: address }], ports: [{ name: "https", port, protocol: "TCP" }] }],
});

/** Made when absent, in this order; what is there is left as it is, except roles and bindings, which are kept as written here. */
export const bootstrapObjects = (endpoint: Endpoint | undefined): readonly { readonly object: KubeObject; readonly keep: boolean }[] => [
  ...BOOTSTRAP_NAMESPACES.map((n) => ({ object: namespace(n), keep: false })),
  ...[...BOOTSTRAP_ROLES, ...BOOTSTRAP_BINDINGS].map((object) => ({ object, keep: true })),
  {
    object: priorityClass(
      "system-node-critical",
      2_000_001_000,
      "Used for system critical pods that must not be moved from their current node.",
    ),
    keep: false,
  },
  {
    object: priorityClass(
      "system-cluster-critical",
      2_000_000_000,
      "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
    keep: false,
  },
  { object: kubernetesService("10.96.0.1"), keep: false },
  ...(endpoint === undefined
    ? []
    : [
        { object: kubernetesSlice(endpoint), keep: true },
        { object: kubernetesEndpoints(endpoint), keep: true },
      ]),
];
