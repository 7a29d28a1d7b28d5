// Which objects does the measured world consist of?

const pod = (namespace: string, name: string, node: 1 | 2): string => `apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  selector: { matchLabels: { app: ${name} } }
  template:
    metadata: { labels: { app: ${name} } }
    spec:
      nodeSelector: { kubernetes.io/hostname: node${node} }
      terminationGracePeriodSeconds: 1
      containers: [{ name: app, image: "ambit/app-idle:dev" }]
`;

const namespace = (name: string, labels: string): string => `apiVersion: v1
kind: Namespace
metadata: { name: ${name}, labels: { ${labels} } }
`;

/** What is served in every server pod. */
export const PORTS = { iperf: 5201, responder: 5202, once: 5203, http: 8080 } as const;

export const OBJECTS: string = [
  namespace("mesh", "istio.io/dataplane-mode: ambient"),
  namespace("plain", ""),
  pod("mesh", "client", 1),
  pod("mesh", "server", 2),
  pod("plain", "client", 1),
  pod("plain", "server", 2),
  pod("plain", "proxy", 2),
].join("---\n");

export const THROUGH = "x-through";

/** A Service behind a waypoint, whose route marks the answers: what carries the mark came through it. */
export const WAYPOINT: string = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: waypoint, namespace: mesh }
spec:
  gatewayClassName: istio-waypoint
  listeners: [{ name: mesh, port: 15008, protocol: HBONE }]
---
apiVersion: v1
kind: Service
metadata: { name: behind, namespace: mesh, labels: { istio.io/use-waypoint: waypoint } }
spec:
  selector: { app: server }
  ports: [{ name: http, port: ${PORTS.http}, appProtocol: http }]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: behind, namespace: mesh }
spec:
  parentRefs: [{ group: "", kind: Service, name: behind }]
  rules:
    - filters: [{ type: ResponseHeaderModifier, responseHeaderModifier: { set: [{ name: ${THROUGH}, value: waypoint }] } }]
      backendRefs: [{ name: behind, port: ${PORTS.http} }]
`;

const PER_SLICE = 500;

/** The n-th made-up workload's address, from 0. */
const workloadIp = (n: number): string => `10.99.${n >> 8}.${n & 255}`;

const slice = (index: number, size: number): object => ({
  apiVersion: "discovery.k8s.io/v1",
  kind: "EndpointSlice",
  metadata: { name: `many-${index}`, namespace: "plain", labels: { "kubernetes.io/service-name": "many" } },
  addressType: "IPv4",
  ports: [{ name: "tcp", port: 80, protocol: "TCP" }],
  endpoints: Array.from({ length: size }, (_, i) => ({ addresses: [workloadIp(index * PER_SLICE + i)], conditions: { ready: true } })),
});

/** A Service without selector and as many endpoints as asked: each is a workload to the mesh. Nothing is ever sent to them. */
export const manyWorkloads = (count: number): string =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "List",
    items: [
      {
        apiVersion: "v1",
        kind: "Service",
        metadata: { name: "many", namespace: "plain" },
        spec: { ports: [{ name: "tcp", port: 80 }] },
      },
      ...Array.from({ length: Math.ceil(count / PER_SLICE) }, (_, i) => slice(i, Math.min(PER_SLICE, count - i * PER_SLICE))),
    ],
  });
