// Which columns do workloads, access rules and definitions have? (k8s.io/kubernetes/pkg/printers/internalversion)

import { at, type JsonObject, obj, objects, str, strings } from "../model/object.ts";
import { since } from "./age.ts";
import {
  AGE,
  CONTAINERS,
  type Column,
  CREATED,
  IMAGES,
  integer,
  labelsText,
  NAME,
  NONE,
  number,
  SELECTOR,
  selectorText,
  text,
  wide,
} from "./column.ts";
import { jobDuration } from "./core.ts";

const count = (name: string, ...path: readonly string[]): Column => integer(name, (object) => number(at(object, ...path)));

const ready = (object: JsonObject): string => `${number(at(object, "status", "readyReplicas"))}/${number(at(object, "spec", "replicas"))}`;

const jobStatus = (job: JsonObject): string => {
  const conditions = objects(at(job, "status", "conditions")).filter((c) => c.status === "True");
  if (conditions.some((c) => c.type === "Complete")) return "Complete";
  if (conditions.some((c) => c.type === "Failed")) return "Failed";
  if (at(job, "metadata", "deletionTimestamp") !== undefined) return "Terminating";
  return conditions.some((c) => c.type === "Suspended") ? "Suspended" : "Running";
};

const completions = (job: JsonObject): string => {
  const wanted = at(job, "spec", "completions");
  const parallelism = number(at(job, "spec", "parallelism"));
  const done = number(at(job, "status", "succeeded"));
  if (typeof wanted === "number") return `${done}/${wanted}`;
  return parallelism > 1 ? `${done}/1 of ${parallelism}` : `${done}/1`;
};

const subjects = (kind: string) => (binding: JsonObject) =>
  objects(binding.subjects)
    .filter((s) => s.kind === kind)
    .map((s) => (kind === "ServiceAccount" ? `${String(s.namespace)}/${String(s.name)}` : String(s.name)))
    .join(", ");

const BINDING: readonly Column[] = [
  NAME,
  text("Role", (b) => `${str(at(b, "roleRef", "kind")) ?? ""}/${str(at(b, "roleRef", "name")) ?? ""}`),
  AGE,
  wide(text("Users", subjects("User"))),
  wide(text("Groups", subjects("Group"))),
  wide(text("ServiceAccounts", subjects("ServiceAccount"))),
];

const WEBHOOKS: readonly Column[] = [NAME, integer("Webhooks", (w) => objects(w.webhooks).length), AGE];

const ingressAddress = (ingress: JsonObject): string =>
  objects(at(ingress, "status", "loadBalancer", "ingress"))
    .flatMap((i) => str(i.ip) ?? str(i.hostname) ?? [])
    .join(",");

const ingressHosts = (ingress: JsonObject): string => {
  const hosts = objects(at(ingress, "spec", "rules")).flatMap((r) => str(r.host) ?? []);
  return hosts.length === 0 ? "*" : hosts.slice(0, 3).join(",") + (hosts.length > 3 ? ` + ${hosts.length - 3} more...` : "");
};

const budget = (field: string) => (pdb: JsonObject) => {
  const value = at(pdb, "spec", field);
  return value === undefined ? "N/A" : String(value);
};

export const WORKLOAD_COLUMNS: { readonly [resource: string]: readonly Column[] } = {
  "apps/deployments": [
    NAME,
    text("Ready", ready),
    count("Up-to-date", "status", "updatedReplicas"),
    count("Available", "status", "availableReplicas"),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
  ],
  "apps/replicasets": [
    NAME,
    count("Desired", "spec", "replicas"),
    count("Current", "status", "replicas"),
    count("Ready", "status", "readyReplicas"),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
  ],
  "apps/daemonsets": [
    NAME,
    count("Desired", "status", "desiredNumberScheduled"),
    count("Current", "status", "currentNumberScheduled"),
    count("Ready", "status", "numberReady"),
    count("Up-to-date", "status", "updatedNumberScheduled"),
    count("Available", "status", "numberAvailable"),
    text("Node Selector", (d) => labelsText(at(d, "spec", "template", "spec", "nodeSelector"))),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
  ],
  "apps/statefulsets": [NAME, text("Ready", ready), AGE, CONTAINERS, IMAGES],
  "apps/controllerrevisions": [
    NAME,
    text("Controller", (r) => {
      const owner = objects(at(r, "metadata", "ownerReferences")).find((o) => o.controller === true);
      return owner === undefined
        ? NONE
        : `${(str(owner.kind) ?? "").toLowerCase()}.${(str(owner.apiVersion) ?? "").split("/")[0]}/${str(owner.name) ?? ""}`;
    }),
    integer("Revision", (r) => number(r.revision)),
    AGE,
  ],
  "batch/jobs": [
    NAME,
    text("Status", jobStatus),
    text("Completions", completions),
    text("Duration", jobDuration),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
  ],
  "batch/cronjobs": [
    NAME,
    text("Schedule", (c) => str(at(c, "spec", "schedule")) ?? ""),
    text("Timezone", (c) => str(at(c, "spec", "timeZone")) ?? NONE),
    text("Suspend", (c) => (at(c, "spec", "suspend") === true ? "True" : "False")),
    integer("Active", (c) => objects(at(c, "status", "active")).length),
    text("Last Schedule", (c, now) => {
      const last = at(c, "status", "lastScheduleTime");
      return last === undefined ? NONE : since(last, now);
    }),
    AGE,
  ],
  "autoscaling/horizontalpodautoscalers": [
    NAME,
    text("Reference", (h) => `${str(at(h, "spec", "scaleTargetRef", "kind")) ?? ""}/${str(at(h, "spec", "scaleTargetRef", "name")) ?? ""}`),
    text("MinPods", (h) => String(at(h, "spec", "minReplicas") ?? "<unset>")),
    count("MaxPods", "spec", "maxReplicas"),
    count("Replicas", "status", "currentReplicas"),
    AGE,
  ],
  "policy/poddisruptionbudgets": [
    NAME,
    text("Min Available", budget("minAvailable")),
    text("Max Unavailable", budget("maxUnavailable")),
    count("Allowed Disruptions", "status", "disruptionsAllowed"),
    AGE,
  ],
  "networking.k8s.io/networkpolicies": [NAME, text("Pod-Selector", (n) => selectorText(at(n, "spec", "podSelector"))), AGE],
  "networking.k8s.io/ingressclasses": [
    NAME,
    text("Controller", (i) => str(at(i, "spec", "controller")) ?? ""),
    text("Parameters", (i) => {
      const parameters = obj(at(i, "spec", "parameters"));
      return parameters.name === undefined ? NONE : `${str(parameters.kind) ?? ""}/${String(parameters.name)}`;
    }),
    AGE,
  ],
  "networking.k8s.io/ingresses": [
    NAME,
    text("Class", (i) => str(at(i, "spec", "ingressClassName")) ?? NONE),
    text("Hosts", ingressHosts),
    text("Address", ingressAddress),
    text("Ports", (i) => (objects(at(i, "spec", "tls")).length > 0 ? "80, 443" : "80")),
    AGE,
  ],
  "rbac.authorization.k8s.io/roles": [NAME, CREATED],
  "rbac.authorization.k8s.io/clusterroles": [NAME, CREATED],
  "rbac.authorization.k8s.io/rolebindings": BINDING,
  "rbac.authorization.k8s.io/clusterrolebindings": BINDING,
  "apiextensions.k8s.io/customresourcedefinitions": [NAME, CREATED],
  "admissionregistration.k8s.io/mutatingwebhookconfigurations": WEBHOOKS,
  "admissionregistration.k8s.io/validatingwebhookconfigurations": WEBHOOKS,
  "admissionregistration.k8s.io/validatingadmissionpolicies": [
    NAME,
    integer("Validations", (p) => objects(at(p, "spec", "validations")).length),
    text("ParamKind", (p) => {
      const kind = obj(at(p, "spec", "paramKind"));
      return kind.kind === undefined ? "<unset>" : `${str(kind.apiVersion) ?? ""}/${String(kind.kind)}`;
    }),
    AGE,
  ],
  "admissionregistration.k8s.io/validatingadmissionpolicybindings": [
    NAME,
    text("PolicyName", (b) => str(at(b, "spec", "policyName")) ?? ""),
    text("ParamRef", (b) => str(at(b, "spec", "paramRef", "name")) ?? "<unset>"),
    text("Actions", (b) => strings(at(b, "spec", "validationActions")).join(",")),
    AGE,
  ],
};
