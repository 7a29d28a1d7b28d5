// How is gen/fields.ts made? From the struct tags of k8s.io/api and k8s.io/apimachinery (Apache-2.0):
//   go mod download -json k8s.io/api@v0.32.4 k8s.io/apimachinery@v0.32.4   (prints each module's Dir)
//   node tools/main.ts <Dir of api> <Dir of apimachinery> > gen/fields.ts

import { readFileSync } from "node:fs";
import { join } from "node:path";

const [api, machinery] = process.argv.slice(2);
if (api === undefined || machinery === undefined) {
  process.stderr.write("usage: main.ts <k8s.io/api> <k8s.io/apimachinery>\n");
  process.exit(2);
}

/** Go package alias → file of types. */
const PACKAGES: { readonly [name: string]: string } = {
  meta: join(machinery, "pkg/apis/meta/v1/types.go"),
  core: join(api, "core/v1/types.go"),
  apps: join(api, "apps/v1/types.go"),
  batch: join(api, "batch/v1/types.go"),
  rbac: join(api, "rbac/v1/types.go"),
  authentication: join(api, "authentication/v1/types.go"),
  authorization: join(api, "authorization/v1/types.go"),
  autoscalingv1: join(api, "autoscaling/v1/types.go"),
  autoscalingv2: join(api, "autoscaling/v2/types.go"),
  policy: join(api, "policy/v1/types.go"),
  coordination: join(api, "coordination/v1/types.go"),
  discovery: join(api, "discovery/v1/types.go"),
  networking: join(api, "networking/v1/types.go"),
  scheduling: join(api, "scheduling/v1/types.go"),
  events: join(api, "events/v1/types.go"),
  admissionregistration: join(api, "admissionregistration/v1/types.go"),
};

const ROOTS: readonly (readonly [string, string, readonly string[]])[] = [
  [
    "v1",
    "core",
    [
      "Binding",
      "ConfigMap",
      "Endpoints",
      "Event",
      "LimitRange",
      "Namespace",
      "Node",
      "PersistentVolumeClaim",
      "Pod",
      "ResourceQuota",
      "Secret",
      "Service",
      "ServiceAccount",
    ],
  ],
  ["apps/v1", "apps", ["ControllerRevision", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"]],
  ["batch/v1", "batch", ["CronJob", "Job"]],
  ["rbac.authorization.k8s.io/v1", "rbac", ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]],
  ["authentication.k8s.io/v1", "authentication", ["SelfSubjectReview", "TokenRequest", "TokenReview"]],
  [
    "authorization.k8s.io/v1",
    "authorization",
    ["LocalSubjectAccessReview", "SelfSubjectAccessReview", "SelfSubjectRulesReview", "SubjectAccessReview"],
  ],
  ["autoscaling/v1", "autoscalingv1", ["Scale"]],
  ["autoscaling/v2", "autoscalingv2", ["HorizontalPodAutoscaler"]],
  ["policy/v1", "policy", ["Eviction", "PodDisruptionBudget"]],
  ["coordination.k8s.io/v1", "coordination", ["Lease"]],
  ["discovery.k8s.io/v1", "discovery", ["EndpointSlice"]],
  ["networking.k8s.io/v1", "networking", ["Ingress", "IngressClass", "NetworkPolicy"]],
  ["scheduling.k8s.io/v1", "scheduling", ["PriorityClass"]],
  ["events.k8s.io/v1", "events", ["Event"]],
  [
    "admissionregistration.k8s.io/v1",
    "admissionregistration",
    ["MutatingWebhookConfiguration", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration"],
  ],
];

/** Go import alias as written in the files → our package name. */
const ALIASES: { readonly [alias: string]: string } = { metav1: "meta", v1: "core", corev1: "core", apiv1: "core" };

const SPECIAL: { readonly [go: string]: string } = {
  "meta.Time": "Time",
  "meta.MicroTime": "MicroTime",
  "meta.Duration": "Duration",
  "meta.FieldsV1": "FieldsV1",
  "resource.Quantity": "Quantity",
  "intstr.IntOrString": "IntOrString",
  "runtime.RawExtension": "RawExtension",
  "authentication.ExtraValue": "Items",
  "authorization.ExtraValue": "Items",
};

const PRIMITIVE: { readonly [go: string]: string } = {
  string: "string",
  bool: "bool",
  int: "int",
  int32: "int",
  int64: "int",
  float64: "double",
  "[]byte": "bytes",
  "types.UID": "string",
  "types.NodeName": "string",
};

type Field = { readonly number: number; readonly json: string; readonly inline: boolean; readonly go: string };
type Package = { readonly structs: Map<string, Field[]>; readonly names: Map<string, string> };

const STRUCT = /^type (\w+) struct \{([\s\S]*?)^\}/gm;
const NAMED = /^type (\w+) ((?:\[\]|map\[\w+\]|\w+\.)*\w+(?:\.\w+)?)\s*$/gm;
const FIELD = /^\s+(?:(\w+)\s+)?([^\s`]+)\s+`([^`]*)`/;

const parsePackage = (file: string): Package => {
  const text = readFileSync(file, "utf8");
  const names = new Map([...text.matchAll(NAMED)].map((m) => [m[1] ?? "", m[2] ?? ""]));
  const structs = new Map<string, Field[]>();
  for (const m of text.matchAll(STRUCT)) {
    const fields = (m[2] ?? "").split("\n").flatMap((line): Field[] => {
      const f = FIELD.exec(line);
      const protobuf = /protobuf:"\w+,(\d+)/.exec(f?.[3] ?? "");
      const json = /json:"([^"]*)"/.exec(f?.[3] ?? "");
      if (f === null || protobuf === null || json === null) return [];
      const name = (json[1] ?? "").split(",")[0] ?? "";
      return [{ number: Number(protobuf[1]), json: name, inline: name === "" && (json[1] ?? "").includes("inline"), go: f[2] ?? "" }];
    });
    structs.set(m[1] ?? "", fields);
  }
  return { structs, names };
};

const packages = new Map(Object.entries(PACKAGES).map(([name, file]) => [name, parsePackage(file)]));
const messages = new Map<string, { readonly [number: string]: readonly [string, string] }>();

/** A Go type as our notation: "*" pointer, "[]" repeated, "{}" map of strings to, "^" inlined, then a primitive, special or message name. */
const typeOf = (go: string, pkg: string): string => {
  if (PRIMITIVE[go] !== undefined) return PRIMITIVE[go];
  if (go.startsWith("*")) return `*${typeOf(go.slice(1), pkg)}`;
  if (go.startsWith("[]")) return `[]${typeOf(go.slice(2), pkg)}`;
  const map = /^map\[[^\]]+\](.+)$/.exec(go);
  if (map !== null) return `{}${typeOf(map[1] ?? "", pkg)}`;
  const dot = go.indexOf(".");
  const alias = go.slice(0, dot);
  const name = go.slice(dot + 1);
  const home = dot < 0 ? pkg : (ALIASES[alias] ?? alias);
  const full = `${home}.${name}`;
  if (SPECIAL[full] !== undefined) return SPECIAL[full];
  const named = packages.get(home)?.names.get(name);
  if (named !== undefined) return typeOf(named, home);
  const fields = packages.get(home)?.structs.get(name);
  if (fields === undefined) throw new Error(`unknown type ${full}`);
  if (!messages.has(full)) {
    messages.set(full, {});
    messages.set(full, Object.fromEntries(fields.map((f) => [f.number, [f.json, (f.inline ? "^" : "") + typeOf(f.go, home)] as const])));
  }
  return full;
};

const kinds = ROOTS.flatMap(([apiVersion, pkg, names]) => names.map((kind) => [`${apiVersion}/${kind}`, typeOf(kind, pkg)] as const));
typeOf("DeleteOptions", "meta");
const row = ([name, fields]: readonly [string, unknown]): string => `  ${JSON.stringify(name)}: ${JSON.stringify(fields)},\n`;
process.stdout.write(
  `// Field numbers of Kubernetes' API types, made by ../tools/main.ts from k8s.io/api v0.32 (Apache-2.0).\n\n` +
    `export const KINDS: { readonly [gvk: string]: string } = {\n${kinds.map(row).join("")}};\n\n` +
    `export const MESSAGES: { readonly [name: string]: { readonly [number: string]: readonly [json: string, type: string] } } = {\n${[...messages].map(row).join("")}};\n`,
);
