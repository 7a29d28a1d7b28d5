// Which kinds does the server have without any CustomResourceDefinition?

import { coreToNewEvent, newToCoreEvent } from "../kinds/event.ts";
import { strategyOf } from "../kinds/strategies.ts";
import { apiVersionOf, type KubeObject } from "../model/object.ts";
import { ALL_VERBS, type ApiResource, type ScalePaths, type Subresource, type VirtualResource } from "./types.ts";

type Row = {
  /** "<group>/<version>" or "v1". */
  readonly gv: string;
  readonly resource: string;
  readonly kind: string;
  readonly cluster?: true;
  readonly short?: readonly string[];
  readonly categories?: readonly string[];
  readonly status?: true;
  readonly generation?: true;
  readonly scale?: ScalePaths;
  readonly subresources?: readonly Subresource[];
  readonly nameRule?: ApiResource["nameRule"];
};

/** Nothing enforces or reconciles these here. Whoever writes one must not believe otherwise. */
const STORED_ONLY: ReadonlySet<string> = new Set([
  "CronJob",
  "HorizontalPodAutoscaler",
  "Ingress",
  "IngressClass",
  "LimitRange",
  "MutatingWebhookConfiguration",
  "NetworkPolicy",
  "PersistentVolumeClaim",
  "PodDisruptionBudget",
  "ResourceQuota",
  "StatefulSet",
  "ValidatingAdmissionPolicy",
  "ValidatingAdmissionPolicyBinding",
  "ValidatingWebhookConfiguration",
]);

const REPLICAS: ScalePaths = { spec: ["spec", "replicas"], status: ["status", "replicas"], selector: ["spec", "selector"] };
const ALL = ["all"];
const RBAC = "rbac.authorization.k8s.io/v1";
const ADMISSION = "admissionregistration.k8s.io/v1";

const POD_SUBRESOURCES: readonly Subresource[] = [
  { name: "attach", kind: "PodAttachOptions", verbs: ["create", "get"] },
  { name: "eviction", group: "policy", version: "v1", kind: "Eviction", verbs: ["create"] },
  { name: "exec", kind: "PodExecOptions", verbs: ["create", "get"] },
  { name: "log", kind: "Pod", verbs: ["get"] },
  { name: "portforward", kind: "PodPortForwardOptions", verbs: ["create", "get"] },
];

const ROWS: readonly Row[] = [
  { gv: "v1", resource: "configmaps", kind: "ConfigMap", short: ["cm"] },
  { gv: "v1", resource: "endpoints", kind: "Endpoints", short: ["ep"] },
  { gv: "v1", resource: "events", kind: "Event", short: ["ev"] },
  { gv: "v1", resource: "limitranges", kind: "LimitRange", short: ["limits"] },
  {
    gv: "v1",
    resource: "namespaces",
    kind: "Namespace",
    cluster: true,
    short: ["ns"],
    status: true,
    nameRule: "label",
    subresources: [{ name: "finalize", kind: "Namespace", verbs: ["update"] }],
  },
  { gv: "v1", resource: "nodes", kind: "Node", cluster: true, short: ["no"], status: true },
  { gv: "v1", resource: "persistentvolumeclaims", kind: "PersistentVolumeClaim", short: ["pvc"], status: true },
  {
    gv: "v1",
    resource: "pods",
    kind: "Pod",
    short: ["po"],
    categories: ALL,
    status: true,
    subresources: POD_SUBRESOURCES,
  },
  { gv: "v1", resource: "resourcequotas", kind: "ResourceQuota", short: ["quota"], status: true },
  { gv: "v1", resource: "secrets", kind: "Secret" },
  {
    gv: "v1",
    resource: "serviceaccounts",
    kind: "ServiceAccount",
    short: ["sa"],
    subresources: [{ name: "token", group: "authentication.k8s.io", version: "v1", kind: "TokenRequest", verbs: ["create"] }],
  },
  { gv: "v1", resource: "services", kind: "Service", short: ["svc"], categories: ALL, status: true, nameRule: "label1035" },
  { gv: "apps/v1", resource: "controllerrevisions", kind: "ControllerRevision" },
  { gv: "apps/v1", resource: "daemonsets", kind: "DaemonSet", short: ["ds"], categories: ALL, status: true, generation: true },
  {
    gv: "apps/v1",
    resource: "deployments",
    kind: "Deployment",
    short: ["deploy"],
    categories: ALL,
    status: true,
    generation: true,
    scale: REPLICAS,
  },
  {
    gv: "apps/v1",
    resource: "replicasets",
    kind: "ReplicaSet",
    short: ["rs"],
    categories: ALL,
    status: true,
    generation: true,
    scale: REPLICAS,
  },
  {
    gv: "apps/v1",
    resource: "statefulsets",
    kind: "StatefulSet",
    short: ["sts"],
    categories: ALL,
    status: true,
    generation: true,
    scale: REPLICAS,
  },
  {
    gv: "autoscaling/v2",
    resource: "horizontalpodautoscalers",
    kind: "HorizontalPodAutoscaler",
    short: ["hpa"],
    categories: ALL,
    status: true,
  },
  { gv: "batch/v1", resource: "cronjobs", kind: "CronJob", short: ["cj"], categories: ALL, status: true, generation: true },
  { gv: "batch/v1", resource: "jobs", kind: "Job", categories: ALL, status: true, generation: true },
  { gv: "coordination.k8s.io/v1", resource: "leases", kind: "Lease" },
  { gv: "discovery.k8s.io/v1", resource: "endpointslices", kind: "EndpointSlice", generation: true },
  { gv: "events.k8s.io/v1", resource: "events", kind: "Event", short: ["ev"] },
  { gv: "networking.k8s.io/v1", resource: "ingressclasses", kind: "IngressClass", cluster: true, generation: true },
  { gv: "networking.k8s.io/v1", resource: "ingresses", kind: "Ingress", short: ["ing"], status: true, generation: true },
  { gv: "networking.k8s.io/v1", resource: "networkpolicies", kind: "NetworkPolicy", short: ["netpol"], generation: true },
  { gv: "policy/v1", resource: "poddisruptionbudgets", kind: "PodDisruptionBudget", short: ["pdb"], status: true, generation: true },
  { gv: RBAC, resource: "clusterrolebindings", kind: "ClusterRoleBinding", cluster: true, nameRule: "path" },
  { gv: RBAC, resource: "clusterroles", kind: "ClusterRole", cluster: true, nameRule: "path" },
  { gv: RBAC, resource: "rolebindings", kind: "RoleBinding", nameRule: "path" },
  { gv: RBAC, resource: "roles", kind: "Role", nameRule: "path" },
  { gv: "scheduling.k8s.io/v1", resource: "priorityclasses", kind: "PriorityClass", cluster: true, short: ["pc"], generation: true },
  { gv: ADMISSION, resource: "mutatingwebhookconfigurations", kind: "MutatingWebhookConfiguration", cluster: true, generation: true },
  {
    gv: ADMISSION,
    resource: "validatingadmissionpolicies",
    kind: "ValidatingAdmissionPolicy",
    cluster: true,
    status: true,
    generation: true,
  },
  {
    gv: ADMISSION,
    resource: "validatingadmissionpolicybindings",
    kind: "ValidatingAdmissionPolicyBinding",
    cluster: true,
    generation: true,
  },
  { gv: ADMISSION, resource: "validatingwebhookconfigurations", kind: "ValidatingWebhookConfiguration", cluster: true, generation: true },
  {
    gv: "apiextensions.k8s.io/v1",
    resource: "customresourcedefinitions",
    kind: "CustomResourceDefinition",
    cluster: true,
    short: ["crd", "crds"],
    categories: ["api-extensions"],
    status: true,
    generation: true,
  },
];

const split = (gv: string): { group: string; version: string } => {
  const slash = gv.indexOf("/");
  return slash < 0 ? { group: "", version: gv } : { group: gv.slice(0, slash), version: gv.slice(slash + 1) };
};

/** Events are one bucket under two APIs: stored in the core form. */
const eventConversion = {
  toStored: (o: KubeObject): KubeObject => newToCoreEvent(o),
  fromStored: (o: KubeObject): KubeObject => coreToNewEvent(o),
};

const resourceOf = (row: Row): ApiResource => {
  const { group, version } = split(row.gv);
  return {
    group,
    version,
    resource: row.resource,
    singular: row.kind.toLowerCase(),
    kind: row.kind,
    listKind: `${row.kind}List`,
    namespaced: row.cluster !== true,
    shortNames: row.short ?? [],
    categories: row.categories ?? [],
    verbs: ALL_VERBS,
    status: row.status === true,
    ...(row.scale === undefined ? {} : { scale: row.scale }),
    subresources: row.subresources ?? [],
    generation: row.generation === true,
    nameRule: row.nameRule ?? "subdomain",
    strategy: strategyOf(apiVersionOf(group, version), row.kind),
    bucket: group === "events.k8s.io" ? "/events" : `${group}/${row.resource}`,
    ...(STORED_ONLY.has(row.kind) ? { storedOnly: true as const } : {}),
    ...(group === "events.k8s.io" ? { convert: eventConversion } : {}),
  };
};

export const BUILTIN: readonly ApiResource[] = ROWS.map(resourceOf);

const AUTHN = { group: "authentication.k8s.io", version: "v1" };
const AUTHZ = { group: "authorization.k8s.io", version: "v1" };

export const VIRTUAL: readonly VirtualResource[] = [
  { ...AUTHN, resource: "selfsubjectreviews", singular: "selfsubjectreview", kind: "SelfSubjectReview", namespaced: false },
  { ...AUTHN, resource: "tokenreviews", singular: "tokenreview", kind: "TokenReview", namespaced: false },
  {
    ...AUTHZ,
    resource: "localsubjectaccessreviews",
    singular: "localsubjectaccessreview",
    kind: "LocalSubjectAccessReview",
    namespaced: true,
  },
  {
    ...AUTHZ,
    resource: "selfsubjectaccessreviews",
    singular: "selfsubjectaccessreview",
    kind: "SelfSubjectAccessReview",
    namespaced: false,
  },
  { ...AUTHZ, resource: "selfsubjectrulesreviews", singular: "selfsubjectrulesreview", kind: "SelfSubjectRulesReview", namespaced: false },
  { ...AUTHZ, resource: "subjectaccessreviews", singular: "subjectaccessreview", kind: "SubjectAccessReview", namespaced: false },
];
