// Writes the API server's schemas of built-in kinds from the kubernetes-models packages: node scripts/generate-schemas.ts

import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { DEFAULTS } from "./models/defaults.ts";
import { ATOMIC_FIELDS, ATOMIC_TYPES, LISTS, OBJECT_STRATEGIES } from "./models/merge-rules.ts";
import { openPackage, type SchemaPackage } from "./models/packages.ts";
import type { Node } from "./models/validator.ts";

const META = "io.k8s.apimachinery.pkg";

/** The name of a schema file up to its type → the definition's package in Kubernetes' OpenAPI, and the API group. */
const PACKAGES: readonly { readonly prefix: string; readonly name: string; readonly group?: string; readonly version?: string }[] = [
  { prefix: "IoK8sApimachineryPkgApiResource", name: `${META}.api.resource` },
  { prefix: "IoK8sApimachineryPkgApisMetaV1", name: `${META}.apis.meta.v1` },
  { prefix: "IoK8sApimachineryPkgRuntime", name: `${META}.runtime` },
  { prefix: "IoK8sApimachineryPkgUtilIntstr", name: `${META}.util.intstr` },
  { prefix: "IoK8sApiCoreV1", name: "io.k8s.api.core.v1", group: "", version: "v1" },
  { prefix: "IoK8sApiAppsV1", name: "io.k8s.api.apps.v1", group: "apps", version: "v1" },
  { prefix: "IoK8sApiBatchV1", name: "io.k8s.api.batch.v1", group: "batch", version: "v1" },
  { prefix: "IoK8sApiAutoscalingV1", name: "io.k8s.api.autoscaling.v1", group: "autoscaling", version: "v1" },
  { prefix: "IoK8sApiAutoscalingV2", name: "io.k8s.api.autoscaling.v2", group: "autoscaling", version: "v2" },
  { prefix: "IoK8sApiCoordinationV1", name: "io.k8s.api.coordination.v1", group: "coordination.k8s.io", version: "v1" },
  { prefix: "IoK8sApiDiscoveryV1", name: "io.k8s.api.discovery.v1", group: "discovery.k8s.io", version: "v1" },
  { prefix: "IoK8sApiEventsV1", name: "io.k8s.api.events.v1", group: "events.k8s.io", version: "v1" },
  { prefix: "IoK8sApiNetworkingV1", name: "io.k8s.api.networking.v1", group: "networking.k8s.io", version: "v1" },
  { prefix: "IoK8sApiPolicyV1", name: "io.k8s.api.policy.v1", group: "policy", version: "v1" },
  { prefix: "IoK8sApiRbacV1", name: "io.k8s.api.rbac.v1", group: "rbac.authorization.k8s.io", version: "v1" },
  { prefix: "IoK8sApiSchedulingV1", name: "io.k8s.api.scheduling.v1", group: "scheduling.k8s.io", version: "v1" },
  { prefix: "IoK8sApiAuthenticationV1", name: "io.k8s.api.authentication.v1", group: "authentication.k8s.io", version: "v1" },
  { prefix: "IoK8sApiAuthorizationV1", name: "io.k8s.api.authorization.v1", group: "authorization.k8s.io", version: "v1" },
  {
    prefix: "IoK8sApiAdmissionregistrationV1",
    name: "io.k8s.api.admissionregistration.v1",
    group: "admissionregistration.k8s.io",
    version: "v1",
  },
  {
    prefix: "IoK8sApiextensionsApiserverPkgApisApiextensionsV1",
    name: "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1",
    group: "apiextensions.k8s.io",
    version: "v1",
  },
];

/** Types that Kubernetes' JSON writes in more than one form. */
const SCALARS: { readonly [definition: string]: Node } = {
  [`${META}.api.resource.Quantity`]: { type: "string", format: "quantity" },
  [`${META}.util.intstr.IntOrString`]: { format: "int-or-string", "x-kubernetes-int-or-string": true },
  [`${META}.runtime.RawExtension`]: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
  [`${META}.apis.meta.v1.FieldsV1`]: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
  [`${META}.apis.meta.v1.Time`]: { type: "string", format: "date-time" },
  [`${META}.apis.meta.v1.MicroTime`]: { type: "string", format: "date-time" },
};

type Place = {
  readonly definition: string;
  readonly file: string;
  readonly type: string;
  readonly gvk?: { group: string; version: string };
};

/** `IoK8sApiAppsV1Deployment` → io.k8s.api.apps.v1.Deployment; nothing for packages that the server does not have. */
const placeOf = (schemaName: string): Place | undefined => {
  const found = PACKAGES.find((p) => schemaName.startsWith(p.prefix) && /^[A-Z]/.test(schemaName.slice(p.prefix.length)));
  if (found === undefined) return undefined;
  const type = schemaName.slice(found.prefix.length);
  const gvk = found.group === undefined || found.version === undefined ? {} : { gvk: { group: found.group, version: found.version } };
  return { definition: `${found.name}.${type}`, file: found.name, type, ...gvk };
};

const refTo = (schemaName: string): string => {
  const place = placeOf(schemaName);
  if (place === undefined) throw new Error(`${schemaName} is needed, but its package is not in the table`);
  return `#/definitions/${place.definition}`;
};

/** Refs renamed, and what the packages lost put back. */
const finish = (node: Node, field: string): Node => {
  const out: Node = { ...node };
  if (node.$ref !== undefined) out.$ref = refTo(node.$ref);
  if (node.properties !== undefined) {
    out.properties = Object.fromEntries(Object.entries(node.properties).map(([name, child]) => [name, finish(child, `${field}.${name}`)]));
  }
  if (node.items !== undefined) {
    out.items = finish(node.items, `${field}[]`);
    Object.assign(out, listKeywords(LISTS[field] ?? { type: "atomic" }));
  }
  if (typeof node.additionalProperties === "object") out.additionalProperties = finish(node.additionalProperties, `${field}{}`);
  if (ATOMIC_FIELDS.has(field)) out["x-kubernetes-map-type"] = "atomic";
  const strategy = OBJECT_STRATEGIES[field];
  if (strategy !== undefined) out["x-kubernetes-patch-strategy"] = strategy;
  if (Object.hasOwn(DEFAULTS, field)) out.default = DEFAULTS[field];
  return out;
};

const listKeywords = (rule: (typeof LISTS)[string]): Node => ({
  "x-kubernetes-list-type": rule.type,
  ...(rule.keys === undefined ? {} : { "x-kubernetes-list-map-keys": rule.keys }),
  ...(rule.mergeKey === undefined ? {} : { "x-kubernetes-patch-merge-key": rule.mergeKey }),
  ...(rule.strategy === undefined ? {} : { "x-kubernetes-patch-strategy": rule.strategy }),
});

/** Kinds carry their GVK; apiVersion and kind lose the enum that the packages gave them. */
const asKind = (node: Node, place: Place): Node => {
  const kind = node.properties?.kind?.enum?.[0];
  if (typeof kind !== "string" || place.gvk === undefined) return node;
  const text = (description: string): Node => ({ type: "string", description });
  return {
    ...node,
    required: (node.required ?? []).filter((name) => name !== "apiVersion" && name !== "kind"),
    properties: {
      ...node.properties,
      apiVersion: text(
        "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources",
      ),
      kind: text(
        "Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds",
      ),
    },
    "x-kubernetes-group-version-kind": [{ ...place.gvk, kind }],
  };
};

const definitionOf = (pkg: SchemaPackage, schemaName: string, place: Place): Node => {
  const scalar = SCALARS[place.definition];
  if (scalar !== undefined) {
    const { description } = pkg.read(schemaName);
    return { ...scalar, ...(description === undefined ? {} : { description }) };
  }
  const node = asKind(finish(pkg.read(schemaName), place.type), place);
  if (ATOMIC_TYPES.has(place.type)) node["x-kubernetes-map-type"] = "atomic";
  if (node.required?.length === 0) delete node.required;
  return node;
};

const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, child]) => [key, sorted(child)]),
  );
};

/** File name → its text: the definitions of one package of Kubernetes' OpenAPI, one definition a line. */
export const generateSchemas = (): ReadonlyMap<string, string> => {
  const files = new Map<string, Map<string, Node>>();
  for (const packageName of ["@kubernetes-models/apimachinery", "kubernetes-models"]) {
    const pkg = openPackage(packageName);
    for (const schemaName of pkg.names) {
      const place = placeOf(schemaName);
      if (place === undefined || /List$/.test(place.type)) continue;
      const file = files.get(place.file) ?? new Map<string, Node>();
      files.set(place.file, file.set(place.definition, definitionOf(pkg, schemaName, place)));
    }
  }
  const text = (definitions: Map<string, Node>): string =>
    `{\n${[...definitions]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, node]) => `${JSON.stringify(name)}: ${JSON.stringify(sorted(node))}`)
      .join(",\n")}\n}\n`;
  return new Map([...files].map(([name, definitions]) => [`${name}.json`, text(definitions)]));
};

export const SCHEMA_DIRECTORY = join(dirname(fileURLToPath(import.meta.url)), "../packages/standalone/src/apiserver/schema/gen");

if (import.meta.main) {
  mkdirSync(SCHEMA_DIRECTORY, { recursive: true });
  for (const old of readdirSync(SCHEMA_DIRECTORY)) rmSync(join(SCHEMA_DIRECTORY, old));
  for (const [name, text] of generateSchemas()) writeFileSync(join(SCHEMA_DIRECTORY, name), text);
}
