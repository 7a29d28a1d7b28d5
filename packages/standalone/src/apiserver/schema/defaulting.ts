// Which defaults of a built-in kind depend on its other fields? (the others stand in its schema)
//
// Sources: pkg/apis/{core,apps,rbac}/v1/defaults.go, apiextensions/v1/defaults.go.

import { at, child, isObject, type JsonObject, objects, setDefault, str } from "../model/object.ts";
import type { Gvk } from "./types.ts";

/** The object with such defaults filled in; the object given is not changed. Call it before `admit`. */
export const applyBuiltinDefaults = (gvk: Gvk, object: JsonObject): JsonObject => {
  const rule = RULES[`${gvk.group}/${gvk.kind}`];
  if (rule === undefined) return object;
  const draft = structuredClone(object);
  rule(draft);
  return draft;
};

type Rule = (draft: JsonObject) => void;

const specOf = (draft: JsonObject): JsonObject | undefined => (isObject(draft.spec) ? draft.spec : undefined);

/** `latest` and no tag at all are pulled each time. */
const pullPolicy = (image: string): string => {
  const name = image.slice(image.lastIndexOf("/") + 1);
  if (name.includes("@")) return "IfNotPresent";
  return !name.includes(":") || name.endsWith(":latest") ? "Always" : "IfNotPresent";
};

const container: Rule = (c) => {
  setDefault(c, "imagePullPolicy", pullPolicy(str(c.image) ?? ""));
  const limits = at(c, "resources", "limits");
  if (isObject(limits)) {
    const requests = child(child(c, "resources"), "requests");
    for (const [name, quantity] of Object.entries(limits)) setDefault(requests, name, quantity);
  }
};

const podSpec: Rule = (spec) => {
  for (const list of ["containers", "initContainers", "ephemeralContainers"]) for (const c of objects(spec[list])) container(c);
  if (spec.hostNetwork === true) {
    for (const c of objects(spec.containers))
      for (const port of objects(c.ports)) if (port.containerPort !== undefined) setDefault(port, "hostPort", port.containerPort);
  }
  // serviceAccount is the old name of serviceAccountName: Kubernetes keeps both equal.
  const account = str(spec.serviceAccountName) ?? str(spec.serviceAccount);
  if (account !== undefined && account !== "") Object.assign(spec, { serviceAccountName: account, serviceAccount: account });
};

const template: Rule = (draft) => {
  const spec = at(draft, "spec", "template", "spec");
  if (isObject(spec)) podSpec(spec);
};

const rolling = (spec: JsonObject, field: string, values: JsonObject): void => {
  const strategy = child(spec, field);
  setDefault(strategy, "type", "RollingUpdate");
  if (strategy.type !== "RollingUpdate") return;
  const update = child(strategy, "rollingUpdate");
  for (const [name, value] of Object.entries(values)) setDefault(update, name, value);
};

const labelsFromTemplate = (draft: JsonObject): void => {
  const labels = at(draft, "spec", "template", "metadata", "labels");
  const metadata = draft.metadata;
  if (isObject(labels) && isObject(metadata) && metadata.labels === undefined) metadata.labels = labels;
};

const service: Rule = (draft) => {
  const spec = specOf(draft);
  if (spec === undefined) return;
  for (const port of objects(spec.ports))
    if (port.port !== undefined && spec.type !== "ExternalName") setDefault(port, "targetPort", port.port);
  if (spec.type === "NodePort" || spec.type === "LoadBalancer") setDefault(spec, "externalTrafficPolicy", "Cluster");
  if (spec.type !== "ExternalName") setDefault(spec, "internalTrafficPolicy", "Cluster");
  if (spec.type === "LoadBalancer") setDefault(spec, "allocateLoadBalancerNodePorts", true);
  if (spec.sessionAffinity === "ClientIP") setDefault(child(child(spec, "sessionAffinityConfig"), "clientIP"), "timeoutSeconds", 10_800);
};

const RBAC = "rbac.authorization.k8s.io";

const binding: Rule = (draft) => {
  if (isObject(draft.roleRef)) setDefault(draft.roleRef, "apiGroup", RBAC);
  for (const subject of objects(draft.subjects)) setDefault(subject, "apiGroup", subject.kind === "ServiceAccount" ? "" : RBAC);
  // An empty group is left out again, as Kubernetes' omitempty does.
  for (const subject of objects(draft.subjects)) if (subject.apiGroup === "") delete subject.apiGroup;
};

const crd: Rule = (draft) => {
  const spec = specOf(draft);
  if (spec === undefined) return;
  setDefault(child(spec, "conversion"), "strategy", "None");
  const names = child(spec, "names");
  const kind = str(names.kind);
  if (kind !== undefined) {
    setDefault(names, "singular", kind.toLowerCase());
    setDefault(names, "listKind", `${kind}List`);
  }
};

const job: Rule = (draft) => {
  template(draft);
  const spec = specOf(draft);
  if (spec === undefined) return;
  if (spec.completions === undefined && spec.parallelism === undefined) Object.assign(spec, { completions: 1, parallelism: 1 });
  setDefault(spec, "parallelism", 1);
};

const RULES: { readonly [groupKind: string]: Rule } = {
  "/Pod": (draft) => {
    const spec = specOf(draft);
    if (spec === undefined) return;
    podSpec(spec);
    setDefault(spec, "enableServiceLinks", true);
  },
  "/Service": service,
  "/Namespace": (draft) => {
    const name = str(at(draft, "metadata", "name"));
    if (name !== undefined) child(child(draft, "metadata"), "labels")["kubernetes.io/metadata.name"] = name;
  },
  "apps/Deployment": (draft) => {
    template(draft);
    const spec = specOf(draft);
    if (spec !== undefined) rolling(spec, "strategy", { maxUnavailable: "25%", maxSurge: "25%" });
  },
  "apps/DaemonSet": (draft) => {
    template(draft);
    const spec = specOf(draft);
    if (spec !== undefined) rolling(spec, "updateStrategy", { maxUnavailable: 1, maxSurge: 0 });
  },
  "apps/StatefulSet": (draft) => {
    template(draft);
    const spec = specOf(draft);
    if (spec !== undefined) rolling(spec, "updateStrategy", { partition: 0 });
  },
  "apps/ReplicaSet": (draft) => {
    template(draft);
    labelsFromTemplate(draft);
  },
  "batch/Job": job,
  [`${RBAC}/RoleBinding`]: binding,
  [`${RBAC}/ClusterRoleBinding`]: binding,
  "apiextensions.k8s.io/CustomResourceDefinition": crd,
};
