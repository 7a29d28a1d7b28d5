// How are the lists and maps of the built-in kinds merged and owned? (the packages' schemas lost it)
//
// Facts of Kubernetes' published OpenAPI: x-kubernetes-list-type, -list-map-keys, -map-type for server-side apply, and
// x-kubernetes-patch-merge-key, -patch-strategy for strategic merge. Lists that are not named here are atomic.

export type ListRule = {
  readonly type: "atomic" | "set" | "map";
  readonly keys?: readonly string[];
  readonly mergeKey?: string;
  readonly strategy?: string;
};

const map = (...keys: string[]): ListRule => ({ type: "map", keys });
const merged = (key: string, keys: readonly string[] = [key], strategy = "merge"): ListRule => ({
  type: "map",
  keys,
  mergeKey: key,
  strategy,
});
const byType = merged("type");

/** "<definition>.<property>", the definition without its package. */
export const LISTS: { readonly [field: string]: ListRule } = {
  "ObjectMeta.ownerReferences": merged("uid"),
  "ObjectMeta.finalizers": { type: "set", strategy: "merge" },
  "PodSpec.containers": merged("name"),
  "PodSpec.initContainers": merged("name"),
  "PodSpec.ephemeralContainers": merged("name"),
  "PodSpec.volumes": merged("name", ["name"], "merge,retainKeys"),
  "PodSpec.imagePullSecrets": merged("name"),
  "PodSpec.hostAliases": merged("ip"),
  "PodSpec.schedulingGates": merged("name"),
  "PodSpec.resourceClaims": merged("name", ["name"], "merge,retainKeys"),
  "PodSpec.topologySpreadConstraints": merged("topologyKey", ["topologyKey", "whenUnsatisfiable"]),
  "PodStatus.conditions": byType,
  "PodStatus.podIPs": merged("ip"),
  "PodStatus.hostIPs": { type: "atomic", mergeKey: "ip", strategy: "merge" },
  "PodStatus.resourceClaimStatuses": merged("name", ["name"], "merge,retainKeys"),
  "Container.ports": merged("containerPort", ["containerPort", "protocol"]),
  "Container.env": merged("name"),
  "Container.volumeMounts": merged("mountPath"),
  "Container.volumeDevices": merged("devicePath"),
  "EphemeralContainer.ports": merged("containerPort", ["containerPort", "protocol"]),
  "EphemeralContainer.env": merged("name"),
  "EphemeralContainer.volumeMounts": merged("mountPath"),
  "EphemeralContainer.volumeDevices": merged("devicePath"),
  "ContainerStatus.volumeMounts": merged("mountPath"),
  "ResourceRequirements.claims": map("name"),
  "ServiceSpec.ports": merged("port", ["port", "protocol"]),
  "ServiceStatus.conditions": byType,
  "ServiceAccount.secrets": merged("name"),
  "NodeSpec.podCIDRs": { type: "set", strategy: "merge" },
  "NodeStatus.addresses": byType,
  "NodeStatus.conditions": byType,
  "NamespaceStatus.conditions": byType,
  "PersistentVolumeClaimStatus.conditions": byType,
  "ReplicationControllerStatus.conditions": byType,
  "DeploymentStatus.conditions": byType,
  "ReplicaSetStatus.conditions": byType,
  "DaemonSetStatus.conditions": byType,
  "StatefulSetStatus.conditions": byType,
  "JobStatus.conditions": { type: "atomic", mergeKey: "type", strategy: "merge" },
  "PodFailurePolicyRule.onPodConditions": { type: "atomic" },
  "HorizontalPodAutoscalerStatus.conditions": byType,
  "PodDisruptionBudgetStatus.conditions": byType,
  "Endpoint.addresses": { type: "set" },
  "NetworkPolicyStatus.conditions": map("type"),
  "CustomResourceDefinitionStatus.conditions": map("type"),
  "CustomResourceDefinitionSpec.versions": { type: "atomic" },
  "MutatingWebhookConfiguration.webhooks": merged("name"),
  "ValidatingWebhookConfiguration.webhooks": merged("name"),
  "MutatingWebhook.matchConditions": merged("name"),
  "ValidatingWebhook.matchConditions": merged("name"),
  "ValidatingAdmissionPolicySpec.matchConditions": merged("name"),
  "ValidatingAdmissionPolicySpec.variables": merged("name"),
  "ValidatingAdmissionPolicyBindingSpec.validationActions": { type: "set" },
  "ValidatingAdmissionPolicyStatus.conditions": map("type"),
};

/** Strategic-merge strategies of objects. */
export const OBJECT_STRATEGIES: { readonly [field: string]: string } = {
  "DeploymentSpec.strategy": "retainKeys",
};

/** Types owned whole: a manager owns all of the object or nothing of it. */
export const ATOMIC_TYPES: ReadonlySet<string> = new Set([
  "LabelSelector",
  "OwnerReference",
  "ObjectReference",
  "LocalObjectReference",
  "TypedLocalObjectReference",
  "ConfigMapKeySelector",
  "SecretKeySelector",
  "FileKeySelector",
  "ObjectFieldSelector",
  "ResourceFieldSelector",
  "SecretReference",
  "NodeSelector",
  "NodeSelectorTerm",
  "TopologySelectorTerm",
  "ScopeSelector",
  "RoleRef",
  "Subject",
  "ServiceBackendPort",
  "ParamKind",
  "ParamRef",
  "MatchResources",
  "NamedRuleWithOperations",
  "Variable",
  "CrossVersionObjectReference",
  "EndpointAddress",
  "EndpointPort",
]);

/** Maps owned whole. */
export const ATOMIC_FIELDS: ReadonlySet<string> = new Set([
  "ServiceSpec.selector",
  "PodSpec.nodeSelector",
  "ReplicationControllerSpec.selector",
]);
