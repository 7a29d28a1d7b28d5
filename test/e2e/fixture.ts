// The objects the end-to-end scenarios run on: a captured namespace, a plain one, and one pod of each kind they need.

export type PodSpec = {
  name: string;
  namespace: string;
  account: string;
  node: 1 | 2;
  app: "echo" | "idle";
  version?: string;
  hostNetwork?: boolean;
  replicas?: number;
};

const NAMESPACES = [
  { name: "mesh", ambient: true },
  { name: "plain", ambient: false },
] as const;

export const PODS: readonly PodSpec[] = [
  { name: "client1", namespace: "mesh", account: "client", node: 1, app: "idle" },
  { name: "client2", namespace: "mesh", account: "client", node: 2, app: "idle" },
  { name: "other", namespace: "mesh", account: "other", node: 1, app: "idle" },
  { name: "server1", namespace: "mesh", account: "server", node: 1, app: "echo" },
  { name: "server2", namespace: "mesh", account: "server", node: 2, app: "echo", version: "v2" },
  { name: "client", namespace: "plain", account: "default", node: 1, app: "idle" },
  { name: "server", namespace: "plain", account: "default", node: 2, app: "echo" },
  { name: "host", namespace: "mesh", account: "default", node: 1, app: "idle", hostNetwork: true },
];

export const PORTS = { http: 8080, h2c: 8081, echo: 9000, greet: 9001, hash: 9002, send: 9003, deaf: 9004 } as const;

const deployment = (p: PodSpec): string => `apiVersion: apps/v1
kind: Deployment
metadata: { name: ${p.name}, namespace: ${p.namespace} }
spec:
  replicas: ${p.replicas ?? 1}
  selector: { matchLabels: { app: ${p.name} } }
  template:
    metadata: { labels: { app: ${p.name}, kind: ${p.app}, version: ${p.version ?? "v1"} } }
    spec:
      serviceAccountName: ${p.account}
      nodeSelector: { kubernetes.io/hostname: node${p.node} }
      hostNetwork: ${p.hostNetwork ?? false}
      terminationGracePeriodSeconds: 2
      containers:
        - name: app
          image: ambit/app-${p.app}:dev
          env:
            - { name: VERSION, value: ${p.version ?? "v1"} }
            - { name: POD_NAME, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
            - { name: NODE_NAME, valueFrom: { fieldRef: { fieldPath: spec.nodeName } } }
${p.app === "echo" ? "          readinessProbe: { httpGet: { path: /ready, port: 8080 }, periodSeconds: 1 }\n" : ""}`;

/** appProtocol decides how a waypoint reads a port; ztunnel does not look at it. */
const ports = Object.entries(PORTS)
  .map(
    ([name, port]) =>
      `    - { name: ${name}, port: ${port}, appProtocol: ${name === "http" ? "http" : name === "h2c" ? "kubernetes.io/h2c" : "tcp"} }`,
  )
  .join("\n");

const service = (name: string, namespace: string, selector: string): string => `apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  ipFamilyPolicy: PreferDualStack
  selector: ${selector}
  ports:
${ports}
`;

export const fixture = (): string =>
  [
    ...NAMESPACES.map(
      (n) =>
        `apiVersion: v1\nkind: Namespace\nmetadata: { name: ${n.name}${n.ambient ? ", labels: { istio.io/dataplane-mode: ambient }" : ""} }\n`,
    ),
    ...["client", "other", "server"].map((a) => `apiVersion: v1\nkind: ServiceAccount\nmetadata: { name: ${a}, namespace: mesh }\n`),
    ...PODS.map(deployment),
    service("server", "mesh", "{ kind: echo }"),
    service("server1", "mesh", "{ app: server1 }"),
    service("server2", "mesh", "{ app: server2 }"),
    service("server", "plain", "{ app: server }"),
  ].join("---\n");

export const peerAuthentication = (namespace: string, mode: "STRICT" | "PERMISSIVE"): string => `apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: ${namespace} }
spec: { mtls: { mode: ${mode} } }
`;

export const waypointGateway = (name = "waypoint"): string => `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: ${name}, namespace: mesh }
spec:
  gatewayClassName: istio-waypoint
  listeners: [{ name: mesh, port: 15008, protocol: HBONE }]
`;
