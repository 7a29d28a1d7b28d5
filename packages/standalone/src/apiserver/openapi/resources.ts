// Which definitions and operations do the served resources have? (what OpenAPI v2 and v3 both tell, in v2's terms)

import { definitionName } from "../schema/builtin.ts";
import { type Definition, definition } from "../schema/store.ts";
import type { Gvk, JsonSchema } from "../schema/types.ts";

/** One served resource of a group-version, as discovery lists it. */
export type ServedResource = {
  readonly group: string;
  readonly version: string;
  /** Plural name. */
  readonly resource: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly subresources: readonly string[];
  readonly verbs: readonly string[];
  /** Only for CRDs (undefined when a CRD has none); built-in kinds are found by their GVK. */
  readonly schema?: JsonSchema | undefined;
};

export type Method = "get" | "put" | "post" | "delete" | "patch";

export type Operation = {
  readonly method: Method;
  readonly action: "get" | "list" | "post" | "put" | "patch" | "delete" | "deletecollection";
  readonly id: string;
  readonly gvk: Gvk;
  /** The definition of what is sent and answered. */
  readonly definition: string;
  /** Media types of a sent body; none for reading and deleting. */
  readonly consumes: readonly string[];
  readonly query: readonly string[];
};

export type Path = { readonly path: string; readonly parameters: readonly string[]; readonly operations: readonly Operation[] };

const META = "io.k8s.apimachinery.pkg.apis.meta.v1";

/** `gateway.networking.k8s.io/v1 HTTPRoute` → `io.k8s.networking.gateway.v1.HTTPRoute`. */
const customName = (gvk: Gvk): string => `${gvk.group.split(".").reverse().join(".")}.${gvk.version}.${gvk.kind}`;

const gvkOf = ({ group, version, kind }: ServedResource): Gvk => ({ group, version, kind });

export const nameOf = (resource: ServedResource): string => definitionName(gvkOf(resource)) ?? customName(gvkOf(resource));

const FORCE = ["dryRun", "fieldManager", "fieldValidation"] as const;
const LIST = [
  "allowWatchBookmarks",
  "continue",
  "fieldSelector",
  "labelSelector",
  "limit",
  "resourceVersion",
  "resourceVersionMatch",
  "timeoutSeconds",
  "watch",
];
const DELETE = ["dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy"];
const JSON_BODY = ["application/json", "application/yaml"];
const PATCHES = ["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"];
const STRATEGIC = "application/strategic-merge-patch+json";

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** A built-in kind can be merged by its strategies; a custom one has none. */
const patchTypes = (resource: ServedResource): readonly string[] =>
  definitionName(gvkOf(resource)) === undefined ? PATCHES : [...PATCHES, STRATEGIC];

type Draft = Pick<Operation, "method" | "action" | "query"> & { readonly verb: string; readonly consumes?: readonly string[] };

const itemDrafts = (resource: ServedResource): readonly Draft[] => [
  { method: "get", action: "get", verb: "get", query: [] },
  { method: "put", action: "put", verb: "update", query: FORCE, consumes: JSON_BODY },
  { method: "patch", action: "patch", verb: "patch", query: [...FORCE, "force"], consumes: patchTypes(resource) },
];

const operation = (resource: ServedResource, suffix: string, draft: Draft): Operation => ({
  method: draft.method,
  action: draft.action,
  id: `${draft.action}${capital(resource.group.split(".")[0] || "core")}${capital(resource.version)}${resource.kind}${suffix}`,
  gvk: gvkOf(resource),
  definition: draft.action === "list" ? `${nameOf(resource)}List` : nameOf(resource),
  consumes: draft.consumes ?? [],
  query: draft.query,
});

const operations = (resource: ServedResource, suffix: string, drafts: readonly Draft[]): readonly Operation[] =>
  drafts.filter((draft) => resource.verbs.includes(draft.verb)).map((draft) => operation(resource, suffix, draft));

/** The paths of one resource with its status (other subresources have kinds of their own and no schema to tell). */
export const pathsOf = (resource: ServedResource): readonly Path[] => {
  const base = resource.group === "" ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`;
  const scope = resource.namespaced ? ["namespace"] : [];
  const collection = `${base}${resource.namespaced ? "/namespaces/{namespace}" : ""}/${resource.resource}`;
  const list: Draft = { method: "get", action: "list", verb: "list", query: LIST };
  const paths: Path[] = [
    {
      path: collection,
      parameters: scope,
      operations: operations(resource, "", [
        list,
        { method: "post", action: "post", verb: "create", query: FORCE, consumes: JSON_BODY },
        { method: "delete", action: "deletecollection", verb: "deletecollection", query: [...LIST, ...DELETE] },
      ]),
    },
    {
      path: `${collection}/{name}`,
      parameters: [...scope, "name"],
      operations: operations(resource, "", [
        ...itemDrafts(resource),
        { method: "delete", action: "delete", verb: "delete", query: DELETE },
      ]),
    },
  ];
  if (resource.namespaced)
    paths.push({ path: `${base}/${resource.resource}`, parameters: [], operations: operations(resource, "ForAllNamespaces", [list]) });
  if (resource.subresources.includes("status")) {
    paths.push({
      path: `${collection}/{name}/status`,
      parameters: [...scope, "name"],
      operations: operations(resource, "Status", itemDrafts(resource)),
    });
  }
  return paths;
};

const ref = (name: string): Definition => ({ $ref: `#/definitions/${name}` });

const listDefinition = (resource: ServedResource): Definition => ({
  type: "object",
  description: `${resource.kind}List is a list of ${resource.kind}`,
  required: ["items"],
  properties: {
    apiVersion: { type: "string" },
    kind: { type: "string" },
    metadata: ref(`${META}.ListMeta`),
    items: { type: "array", items: ref(nameOf(resource)) },
  },
  "x-kubernetes-group-version-kind": [{ group: resource.group, version: resource.version, kind: `${resource.kind}List` }],
});

/** A custom resource's schema with its metadata by reference; without a schema it is an object of any content. */
const customDefinition = (resource: ServedResource): Definition => ({
  ...(resource.schema ?? { type: "object", "x-kubernetes-preserve-unknown-fields": true }),
  properties: {
    ...resource.schema?.properties,
    apiVersion: { type: "string" },
    kind: { type: "string" },
    metadata: ref(`${META}.ObjectMeta`),
  },
  "x-kubernetes-group-version-kind": [gvkOf(resource)],
});

const REF = "#/definitions/";

const refsIn = (value: unknown, into: Set<string>): void => {
  if (Array.isArray(value)) for (const item of value) refsIn(item, into);
  else if (typeof value === "object" && value !== null) {
    for (const [key, child] of Object.entries(value)) {
      if (key === "$ref" && typeof child === "string") into.add(child.slice(REF.length));
      else refsIn(child, into);
    }
  }
};

/** The definitions of the resources, of their lists, and all that these refer to; in the order of their names. */
export const definitionsFor = (resources: readonly ServedResource[]): ReadonlyMap<string, Definition> => {
  const found = new Map<string, Definition>();
  for (const resource of resources) {
    found.set(nameOf(resource), definition(nameOf(resource)) ?? customDefinition(resource));
    found.set(`${nameOf(resource)}List`, listDefinition(resource));
  }
  const wanted = new Set<string>();
  for (const made of found.values()) refsIn(made, wanted);
  // A set is walked in the order of insertion, also over what is added on the way.
  for (const name of wanted) {
    const referred = found.get(name) ?? definition(name);
    if (referred === undefined) throw new Error(`the definition ${name} is referred to but does not exist`);
    if (!found.has(name)) refsIn(referred, wanted);
    found.set(name, referred);
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
};
