// Which Kubernetes resources do we use, and under which API paths are they served?

export type Resource = {
  readonly group: string;
  readonly version: string;
  /** The plural used in paths. */
  readonly resource: string;
  readonly kind: string;
  readonly namespaced: boolean;
};

const ns = (group: string, version: string, resource: string, kind: string): Resource => ({
  group,
  version,
  resource,
  kind,
  namespaced: true,
});
const cluster = (group: string, version: string, resource: string, kind: string): Resource => ({
  group,
  version,
  resource,
  kind,
  namespaced: false,
});

const GATEWAY = "gateway.networking.k8s.io";
const SECURITY = "security.istio.io";
const NETWORKING = "networking.istio.io";

export const RESOURCES = {
  pods: ns("", "v1", "pods", "Pod"),
  services: ns("", "v1", "services", "Service"),
  endpoints: ns("", "v1", "endpoints", "Endpoints"),
  nodes: cluster("", "v1", "nodes", "Node"),
  namespaces: cluster("", "v1", "namespaces", "Namespace"),
  secrets: ns("", "v1", "secrets", "Secret"),
  configMaps: ns("", "v1", "configmaps", "ConfigMap"),
  serviceAccounts: ns("", "v1", "serviceaccounts", "ServiceAccount"),
  events: ns("", "v1", "events", "Event"),
  deployments: ns("apps", "v1", "deployments", "Deployment"),
  replicaSets: ns("apps", "v1", "replicasets", "ReplicaSet"),
  daemonSets: ns("apps", "v1", "daemonsets", "DaemonSet"),
  statefulSets: ns("apps", "v1", "statefulsets", "StatefulSet"),
  controllerRevisions: ns("apps", "v1", "controllerrevisions", "ControllerRevision"),
  jobs: ns("batch", "v1", "jobs", "Job"),
  endpointSlices: ns("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice"),
  leases: ns("coordination.k8s.io", "v1", "leases", "Lease"),
  tokenReviews: cluster("authentication.k8s.io", "v1", "tokenreviews", "TokenReview"),
  horizontalPodAutoscalers: ns("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
  podDisruptionBudgets: ns("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget"),
  priorityClasses: cluster("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass"),
  roles: ns("rbac.authorization.k8s.io", "v1", "roles", "Role"),
  roleBindings: ns("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding"),
  clusterRoles: cluster("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole"),
  clusterRoleBindings: cluster("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding"),
  customResourceDefinitions: cluster("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition"),

  gatewayClasses: cluster(GATEWAY, "v1", "gatewayclasses", "GatewayClass"),
  gateways: ns(GATEWAY, "v1", "gateways", "Gateway"),
  httpRoutes: ns(GATEWAY, "v1", "httproutes", "HTTPRoute"),
  grpcRoutes: ns(GATEWAY, "v1", "grpcroutes", "GRPCRoute"),
  tcpRoutes: ns(GATEWAY, "v1alpha2", "tcproutes", "TCPRoute"),
  tlsRoutes: ns(GATEWAY, "v1alpha2", "tlsroutes", "TLSRoute"),
  referenceGrants: ns(GATEWAY, "v1beta1", "referencegrants", "ReferenceGrant"),

  authorizationPolicies: ns(SECURITY, "v1", "authorizationpolicies", "AuthorizationPolicy"),
  peerAuthentications: ns(SECURITY, "v1", "peerauthentications", "PeerAuthentication"),
  requestAuthentications: ns(SECURITY, "v1", "requestauthentications", "RequestAuthentication"),
  serviceEntries: ns(NETWORKING, "v1", "serviceentries", "ServiceEntry"),
  workloadEntries: ns(NETWORKING, "v1", "workloadentries", "WorkloadEntry"),
  destinationRules: ns(NETWORKING, "v1", "destinationrules", "DestinationRule"),
  virtualServices: ns(NETWORKING, "v1", "virtualservices", "VirtualService"),
  telemetries: ns("telemetry.istio.io", "v1", "telemetries", "Telemetry"),
  wasmPlugins: ns("extensions.istio.io", "v1alpha1", "wasmplugins", "WasmPlugin"),
} as const satisfies Record<string, Resource>;

/** "v1" or "group/version", as written in an object's apiVersion. */
export const apiVersionOf = (r: Resource): string => (r.group === "" ? r.version : `${r.group}/${r.version}`);

/** "pods" or "deployments.apps": how kubectl and log lines name a resource. */
export const resourceName = (r: Resource): string => (r.group === "" ? r.resource : `${r.resource}.${r.group}`);

export type ResourceKey = { readonly namespace?: string; readonly name: string };

/** The request path of a collection, an object or a subresource. Without a namespace a namespaced collection means all namespaces. */
export const pathOf = (
  r: Resource,
  at: { namespace?: string | undefined; name?: string | undefined; subresource?: string | undefined } = {},
): string =>
  [
    r.group === "" ? `/api/${r.version}` : `/apis/${r.group}/${r.version}`,
    ...(r.namespaced && at.namespace !== undefined ? ["namespaces", encodeURIComponent(at.namespace)] : []),
    r.resource,
    ...(at.name === undefined ? [] : [encodeURIComponent(at.name)]),
    ...(at.subresource === undefined ? [] : [at.subresource]),
  ].join("/");
