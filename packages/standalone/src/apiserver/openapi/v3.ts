// What does the server say about its resources in OpenAPI v3?

import { isObject, type JsonObject } from "../model/object.ts";
import { definitionsFor, type Operation, type Path, pathsOf, type ServedResource } from "./resources.ts";

export type { ServedResource } from "./resources.ts";

const INFO = { title: "Kubernetes", version: "v1.32.0" };

/** "api/v1" or "apis/apps/v1". */
const documentPath = ({ group, version }: Pick<ServedResource, "group" | "version">): string =>
  group === "" ? `api/${version}` : `apis/${group}/${version}`;

/** FNV-1a over the text, twice with different seeds: enough to tell documents apart in a URL. */
const hashOf = (text: string): string => {
  const hash = (seed: number): string => {
    let h = seed;
    for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
    return (h >>> 0).toString(16).padStart(8, "0");
  };
  return (hash(0x811c9dc5) + hash(0x01234567)).toUpperCase();
};

const byDocument = (resources: readonly ServedResource[]): ReadonlyMap<string, readonly ServedResource[]> =>
  Map.groupBy(resources, documentPath);

/** `GET /openapi/v3`: `{ paths: { "apis/apps/v1": { serverRelativeURL } } }`, the URL with a hash that changes with the document. */
export const openApiV3Index = (resources: readonly ServedResource[]): JsonObject => ({
  paths: Object.fromEntries(
    [...byDocument(resources)]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([path, served]) => [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${hashOf(JSON.stringify(served))}` }]),
  ),
});

/** Types that JSON writes in more than one form. */
const FORMS: { readonly [format: string]: JsonObject } = {
  "int-or-string": { oneOf: [{ type: "integer" }, { type: "string" }], format: "int-or-string" },
  quantity: { oneOf: [{ type: "string" }, { type: "number" }] },
};

/** A schema in v2's terms as v3 has it: refs to components, nothing beside a ref, our own keywords left out. */
const schemaOf = (node: unknown): unknown => {
  if (Array.isArray(node)) return node.map(schemaOf);
  if (!isObject(node)) return node;
  const { $ref, default: standard, enum: values, properties, ...rest } = node;
  const form = typeof node.format === "string" ? FORMS[node.format] : undefined;
  const { type: _type, format: _format, "x-kubernetes-int-or-string": _either, ...described } = rest;
  const own = Object.entries(form === undefined ? rest : { ...described, ...form }).filter(([key]) => !key.startsWith("x-ambit-"));
  return {
    ...Object.fromEntries(own.map(([key, child]) => [key, key.startsWith("x-") || key === "required" ? child : schemaOf(child)])),
    ...(properties === undefined ? {} : { properties: isObject(properties) ? mapValues(properties, schemaOf) : properties }),
    ...(values === undefined ? {} : { enum: values }),
    ...(standard === undefined ? {} : { default: standard }),
    ...(typeof $ref === "string" ? refTo($ref, own.length > 0 || standard !== undefined) : {}),
  };
};

const mapValues = (object: JsonObject, f: (value: unknown) => unknown): JsonObject =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [key, f(value)]));

const refTo = ($ref: string, hasSiblings: boolean): JsonObject => {
  const target = { $ref: $ref.replace("#/definitions/", "#/components/schemas/") };
  return hasSiblings ? { allOf: [target] } : target;
};

const content = (types: readonly string[], definition: string): JsonObject =>
  Object.fromEntries(types.map((type) => [type, { schema: { $ref: `#/components/schemas/${definition}` } }]));

const parameter = (name: string, place: "query" | "path"): JsonObject => ({
  name,
  in: place,
  ...(place === "path" ? { required: true } : {}),
  schema: { type: name === "watch" || name === "force" || name === "allowWatchBookmarks" ? "boolean" : "string", uniqueItems: true },
});

const operationOf = (operation: Operation): JsonObject => ({
  operationId: operation.id,
  parameters: operation.query.map((name) => parameter(name, "query")),
  ...(operation.consumes.length === 0 ? {} : { requestBody: { required: true, content: bodyOf(operation) } }),
  responses: {
    "200": { description: "OK", content: content(["application/json", "application/yaml"], operation.definition) },
    "401": { description: "Unauthorized" },
  },
  "x-kubernetes-action": operation.action,
  "x-kubernetes-group-version-kind": operation.gvk,
});

const bodyOf = (operation: Operation): JsonObject =>
  content(operation.consumes, operation.action === "patch" ? "io.k8s.apimachinery.pkg.apis.meta.v1.Patch" : operation.definition);

const pathItem = (path: Path): JsonObject => ({
  ...Object.fromEntries(path.operations.map((operation) => [operation.method, operationOf(operation)])),
  parameters: path.parameters.map((name) => parameter(name, "path")),
});

const PATCH_SCHEMA = {
  type: "object",
  description: "Patch is provided to give a concrete name and type to the Kubernetes PATCH request body.",
};

/** `GET /openapi/v3/apis/apps/v1`: the document of one group-version ("api/v1" for the core group), or undefined when nothing is served there. */
export const openApiV3Document = (resources: readonly ServedResource[], path: string): JsonObject | undefined => {
  const served = byDocument(resources).get(path);
  if (served === undefined) return undefined;
  const schemas = [...definitionsFor(served)].map(([name, definition]) => [name, schemaOf(definition)] as const);
  return {
    openapi: "3.0.0",
    info: INFO,
    paths: Object.fromEntries(served.flatMap(pathsOf).map((p) => [p.path, pathItem(p)])),
    components: { schemas: { ...Object.fromEntries(schemas), "io.k8s.apimachinery.pkg.apis.meta.v1.Patch": PATCH_SCHEMA } },
  };
};
