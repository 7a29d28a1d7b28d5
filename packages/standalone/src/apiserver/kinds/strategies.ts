// Which rules beyond the schema does each built-in kind have?

import type { Strategy } from "../registry/types.ts";
import { definitionStrategy } from "./definition.ts";
import { podStrategy } from "./pod.ts";
import { serviceStrategy } from "./service.ts";
import {
  bindingStrategy,
  configMapStrategy,
  endpointSliceStrategy,
  eventStrategy,
  namespaceStrategy,
  nodeStrategy,
  priorityClassStrategy,
  replicaFields,
  roleStrategy,
  secretStrategy,
} from "./small.ts";
import { jobStrategy, workloadStrategy } from "./workload.ts";

const NONE: Strategy = {};
const RBAC = "rbac.authorization.k8s.io/v1";

const STRATEGIES: { readonly [gvk: string]: Strategy } = {
  "v1/ConfigMap": configMapStrategy,
  "v1/Event": eventStrategy,
  "v1/Namespace": namespaceStrategy,
  "v1/Node": nodeStrategy,
  "v1/Pod": podStrategy,
  "v1/Secret": secretStrategy,
  "v1/Service": serviceStrategy,
  "apps/v1/DaemonSet": workloadStrategy,
  "apps/v1/Deployment": workloadStrategy,
  "apps/v1/ReplicaSet": { ...workloadStrategy, ...replicaFields },
  "apps/v1/StatefulSet": workloadStrategy,
  "batch/v1/Job": jobStrategy,
  "discovery.k8s.io/v1/EndpointSlice": endpointSliceStrategy,
  "events.k8s.io/v1/Event": eventStrategy,
  "scheduling.k8s.io/v1/PriorityClass": priorityClassStrategy,
  "apiextensions.k8s.io/v1/CustomResourceDefinition": definitionStrategy,
  [`${RBAC}/ClusterRole`]: roleStrategy,
  [`${RBAC}/ClusterRoleBinding`]: bindingStrategy,
  [`${RBAC}/Role`]: roleStrategy,
  [`${RBAC}/RoleBinding`]: bindingStrategy,
};

/** The rules of a kind; a kind without rules of its own is only stored. */
export const strategyOf = (apiVersion: string, kind: string): Strategy => STRATEGIES[`${apiVersion}/${kind}`] ?? NONE;
