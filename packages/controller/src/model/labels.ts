// Which labels and annotations of Istio's do we read and write?

export const LABEL = {
  useWaypoint: "istio.io/use-waypoint",
  useWaypointNamespace: "istio.io/use-waypoint-namespace",
  useWaypointCanary: "istio.io/use-waypoint-canary",
  useWaypointCanaryNamespace: "istio.io/use-waypoint-canary-namespace",
  waypointFor: "istio.io/waypoint-for",
  ingressUseWaypoint: "istio.io/ingress-use-waypoint",
  revision: "istio.io/rev",
  dataplaneMode: "istio.io/dataplane-mode",
  gatewayManaged: "gateway.istio.io/managed",
  gatewayName: "gateway.networking.k8s.io/gateway-name",
  gatewayClassName: "gateway.networking.k8s.io/gateway-class-name",
  canonicalName: "service.istio.io/canonical-name",
  canonicalRevision: "service.istio.io/canonical-revision",
  tunnel: "networking.istio.io/tunnel",
  network: "topology.istio.io/network",
  subzone: "topology.istio.io/subzone",
  region: "topology.kubernetes.io/region",
  zone: "topology.kubernetes.io/zone",
  serviceName: "kubernetes.io/service-name",
  podTemplateHash: "pod-template-hash",
} as const;

export const ANNOTATION = {
  redirection: "ambient.istio.io/redirection",
  canaryWeight: "istio.io/use-waypoint-canary-weight",
  trafficDistribution: "networking.istio.io/traffic-distribution",
  dryRun: "istio.io/dry-run",
} as const;

export const WAYPOINT_CLASS = "istio-waypoint";
/** The controllerName of the GatewayClass whose Gateways are waypoints. */
export const MESH_CONTROLLER = "istio.io/mesh-controller";
/** The value of the managed label on everything we deploy for a waypoint. */
export const MANAGED_BY_MESH = "istio.io-mesh-controller";
/** The controllerName in the status of routes. */
export const ROUTE_CONTROLLER = "istio.io/gateway-controller";
export const HBONE_PORT = 15008;
