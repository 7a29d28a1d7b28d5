// Which roles and bindings does a new cluster start with? (plugin/pkg/auth/authorizer/rbac/bootstrappolicy, as far as this cluster has parts)

import type { JsonObject, KubeObject } from "../model/object.ts";
import { AUTHENTICATED, UNAUTHENTICATED } from "./user.ts";

const API = "rbac.authorization.k8s.io/v1";
const LABELS = { "kubernetes.io/bootstrapping": "rbac-defaults" };
const ANNOTATIONS = { "rbac.authorization.kubernetes.io/autoupdate": "true" };

const READ = ["get", "list", "watch"];
const WRITE = ["create", "delete", "deletecollection", "patch", "update"];

const rule = (groups: readonly string[], resources: readonly string[], verbs: readonly string[]): JsonObject => ({
  apiGroups: groups,
  resources,
  verbs,
});
const paths = (nonResourceURLs: readonly string[]): JsonObject => ({ nonResourceURLs, verbs: ["get"] });

const role = (name: string, rules: readonly JsonObject[], labels: { [k: string]: string } = {}): KubeObject => ({
  apiVersion: API,
  kind: "ClusterRole",
  metadata: { name, labels: { ...LABELS, ...labels }, annotations: { ...ANNOTATIONS } },
  rules,
});

const aggregate = (name: string, from: readonly string[], labels: { [k: string]: string } = {}): KubeObject => ({
  ...role(name, [], labels),
  aggregationRule: {
    clusterRoleSelectors: from.map((f) => ({ matchLabels: { [`rbac.authorization.k8s.io/aggregate-to-${f}`]: "true" } })),
  },
});

const binding = (name: string, roleName: string, subjects: readonly { kind: string; name: string }[]): KubeObject => ({
  apiVersion: API,
  kind: "ClusterRoleBinding",
  metadata: { name, labels: { ...LABELS }, annotations: { ...ANNOTATIONS } },
  roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: roleName },
  subjects: subjects.map((s) => ({ apiGroup: "rbac.authorization.k8s.io", ...s })),
});

const group = (name: string) => ({ kind: "Group", name });
const user = (name: string) => ({ kind: "User", name });

const DISCOVERY = [
  "/api",
  "/api/*",
  "/apis",
  "/apis/*",
  "/healthz",
  "/livez",
  "/openapi",
  "/openapi/*",
  "/readyz",
  "/version",
  "/version/",
];
const PUBLIC = ["/healthz", "/livez", "/readyz", "/version", "/version/"];

const WORKLOADS = ["daemonsets", "deployments", "replicasets", "statefulsets", "controllerrevisions"].flatMap((r) => [
  r,
  `${r}/status`,
  `${r}/scale`,
]);
const NAMESPACED_READ = [
  "configmaps",
  "endpoints",
  "events",
  "pods",
  "pods/log",
  "pods/status",
  "serviceaccounts",
  "services",
  "services/status",
];

const viewRules: readonly JsonObject[] = [
  rule([""], [...NAMESPACED_READ, "limitranges", "namespaces", "resourcequotas", "persistentvolumeclaims"], READ),
  rule(["apps"], WORKLOADS, READ),
  rule(["batch"], ["jobs", "cronjobs", "jobs/status", "cronjobs/status"], READ),
  rule(["autoscaling"], ["horizontalpodautoscalers", "horizontalpodautoscalers/status"], READ),
  rule(["policy"], ["poddisruptionbudgets", "poddisruptionbudgets/status"], READ),
  rule(["networking.k8s.io"], ["ingresses", "networkpolicies", "ingresses/status"], READ),
  rule(["discovery.k8s.io"], ["endpointslices"], READ),
];

const editRules: readonly JsonObject[] = [
  rule([""], ["pods/attach", "pods/exec", "pods/portforward", "secrets"], READ),
  rule([""], ["pods/attach", "pods/exec", "pods/portforward", "pods/eviction", "serviceaccounts/token"], ["create"]),
  rule([""], ["serviceaccounts"], ["impersonate"]),
  rule([""], ["configmaps", "events", "persistentvolumeclaims", "pods", "secrets", "serviceaccounts", "services"], WRITE),
  rule(
    ["apps"],
    ["daemonsets", "deployments", "deployments/scale", "replicasets", "replicasets/scale", "statefulsets", "statefulsets/scale"],
    WRITE,
  ),
  rule(["batch"], ["jobs", "cronjobs"], WRITE),
  rule(["autoscaling"], ["horizontalpodautoscalers"], WRITE),
  rule(["policy"], ["poddisruptionbudgets"], WRITE),
  rule(["networking.k8s.io"], ["ingresses", "networkpolicies"], WRITE),
  rule(["coordination.k8s.io"], ["leases"], [...READ, ...WRITE]),
];

const adminRules: readonly JsonObject[] = [
  rule(["rbac.authorization.k8s.io"], ["roles", "rolebindings"], [...READ, ...WRITE]),
  rule(["authorization.k8s.io"], ["localsubjectaccessreviews"], ["create"]),
];

/** What a kubelet, with the service proxy and the DNS of its node, reads and writes. */
const nodeRules: readonly JsonObject[] = [
  rule([""], ["nodes"], ["create", ...READ, "patch", "update", "delete"]),
  rule([""], ["nodes/status"], ["patch", "update"]),
  rule([""], ["pods"], [...READ, "create", "delete"]),
  rule([""], ["pods/status"], ["patch", "update"]),
  rule([""], ["services", "endpoints", "namespaces", "configmaps", "secrets", "serviceaccounts"], READ),
  rule([""], ["serviceaccounts/token"], ["create"]),
  rule([""], ["events"], ["create", "patch", "update"]),
  rule(["events.k8s.io"], ["events"], ["create", "patch", "update"]),
  rule(["discovery.k8s.io"], ["endpointslices"], READ),
  rule(["coordination.k8s.io"], ["leases"], ["create", "get", "list", "watch", "update", "patch", "delete"]),
  rule(["authentication.k8s.io"], ["tokenreviews"], ["create"]),
  rule(["authorization.k8s.io"], ["subjectaccessreviews", "localsubjectaccessreviews"], ["create"]),
];

const AGGREGATE = (to: string) => ({ [`rbac.authorization.k8s.io/aggregate-to-${to}`]: "true" });

export const BOOTSTRAP_ROLES: readonly KubeObject[] = [
  role("cluster-admin", [rule(["*"], ["*"], ["*"]), { nonResourceURLs: ["*"], verbs: ["*"] }]),
  aggregate("admin", ["admin"]),
  aggregate("edit", ["edit"], AGGREGATE("admin")),
  aggregate("view", ["view"], AGGREGATE("edit")),
  role("system:aggregate-to-admin", adminRules, AGGREGATE("admin")),
  // Aggregation is one step deep, so a role that two others take in carries both labels.
  role("system:aggregate-to-edit", editRules, { ...AGGREGATE("edit"), ...AGGREGATE("admin") }),
  role("system:aggregate-to-view", viewRules, { ...AGGREGATE("view"), ...AGGREGATE("edit"), ...AGGREGATE("admin") }),
  role("system:discovery", [paths(DISCOVERY)]),
  role("system:public-info-viewer", [paths(PUBLIC)]),
  role("system:basic-user", [
    rule(["authorization.k8s.io"], ["selfsubjectaccessreviews", "selfsubjectrulesreviews"], ["create"]),
    rule(["authentication.k8s.io"], ["selfsubjectreviews"], ["create"]),
  ]),
  role("system:service-account-issuer-discovery", [paths(["/.well-known/openid-configuration", "/openid/v1/jwks", "/openid/v1/jwks/"])]),
  role("system:auth-delegator", [
    rule(["authentication.k8s.io"], ["tokenreviews"], ["create"]),
    rule(["authorization.k8s.io"], ["subjectaccessreviews"], ["create"]),
  ]),
  role("system:node", nodeRules),
  // One process runs all controllers here; the garbage collector and the namespace controller must reach every kind.
  role("system:kube-controller-manager", [rule(["*"], ["*"], ["*"]), paths(["*"])]),
];

export const BOOTSTRAP_BINDINGS: readonly KubeObject[] = [
  binding("cluster-admin", "cluster-admin", [group("system:masters")]),
  binding("system:discovery", "system:discovery", [group(AUTHENTICATED)]),
  binding("system:basic-user", "system:basic-user", [group(AUTHENTICATED)]),
  binding("system:public-info-viewer", "system:public-info-viewer", [group(AUTHENTICATED), group(UNAUTHENTICATED)]),
  binding("system:service-account-issuer-discovery", "system:service-account-issuer-discovery", [group("system:serviceaccounts")]),
  binding("system:node", "system:node", [group("system:nodes")]),
  binding("system:kube-controller-manager", "system:kube-controller-manager", [user("system:kube-controller-manager")]),
];

export const BOOTSTRAP_NAMESPACES = ["default", "kube-node-lease", "kube-public", "kube-system"] as const;
