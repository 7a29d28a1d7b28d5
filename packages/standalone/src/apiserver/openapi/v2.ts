// What does the server say about its resources in OpenAPI v2? (kubectl before 1.27 validates and merges by it)

import { isObject, type JsonObject } from "../model/object.ts";
import { encodeDocument } from "./gnostic.ts";
import { definitionsFor, type Operation, type Path, pathsOf, type ServedResource } from "./resources.ts";

/** Keywords that v2 has; the others (anyOf, oneOf, not, nullable) it cannot say, and clients are to know no less than is true. */
const KEYWORDS = new Set([
  "$ref",
  "description",
  "format",
  "maximum",
  "exclusiveMaximum",
  "minimum",
  "exclusiveMinimum",
  "maxLength",
  "minLength",
  "pattern",
  "maxItems",
  "minItems",
  "uniqueItems",
  "maxProperties",
  "minProperties",
  "multipleOf",
  "required",
  "enum",
  "type",
]);

const EXTENSIONS = new Set([
  "x-kubernetes-group-version-kind",
  "x-kubernetes-list-map-keys",
  "x-kubernetes-list-type",
  "x-kubernetes-map-type",
  "x-kubernetes-patch-merge-key",
  "x-kubernetes-patch-strategy",
  "x-kubernetes-preserve-unknown-fields",
  "x-kubernetes-int-or-string",
  "x-kubernetes-embedded-resource",
]);

/** kube-openapi's v2 conversion of a structural schema: what takes several types, or any field, is left without a type. */
const schemaOf = (node: unknown): JsonObject => {
  if (!isObject(node)) return {};
  if (node.format === "quantity") return { ...described(node), type: "string" };
  if (node["x-kubernetes-int-or-string"] === true) return { ...described(node), type: "string", format: "int-or-string" };
  const kept = Object.entries(node).filter(([key]) => KEYWORDS.has(key) || EXTENSIONS.has(key));
  const out: JsonObject = Object.fromEntries(kept);
  if (node["x-kubernetes-preserve-unknown-fields"] === true) {
    delete out.type;
    return out;
  }
  if (isObject(node.properties))
    out.properties = Object.fromEntries(Object.entries(node.properties).map(([name, child]) => [name, schemaOf(child)]));
  if (isObject(node.additionalProperties)) out.additionalProperties = schemaOf(node.additionalProperties);
  if (isObject(node.items)) out.items = schemaOf(node.items);
  return out;
};

const described = (node: JsonObject): JsonObject => (node.description === undefined ? {} : { description: node.description });

const parameter = (name: string, place: "query" | "path"): JsonObject => ({
  name,
  in: place,
  ...(place === "path" ? { required: true } : {}),
  type: "string",
  uniqueItems: true,
});

const operationOf = (operation: Operation): JsonObject => ({
  operationId: operation.id,
  consumes: operation.consumes.length === 0 ? ["*/*"] : operation.consumes,
  produces: ["application/json", "application/yaml"],
  schemes: ["https"],
  parameters: operation.query.map((name) => parameter(name, "query")),
  responses: {
    "200": { description: "OK", schema: { $ref: `#/definitions/${operation.definition}` } },
    "401": { description: "Unauthorized" },
  },
  "x-kubernetes-action": operation.action,
  "x-kubernetes-group-version-kind": operation.gvk,
});

const pathItem = (path: Path): JsonObject => ({
  ...Object.fromEntries(path.operations.map((operation) => [operation.method, operationOf(operation)])),
  parameters: path.parameters.map((name) => parameter(name, "path")),
});

/** `GET /openapi/v2` as JSON. */
export const openApiV2Json = (resources: readonly ServedResource[]): JsonObject => ({
  swagger: "2.0",
  info: { title: "Kubernetes", version: "v1.32.0" },
  paths: Object.fromEntries(resources.flatMap(pathsOf).map((path) => [path.path, pathItem(path)])),
  definitions: Object.fromEntries([...definitionsFor(resources)].map(([name, definition]) => [name, schemaOf(definition)])),
});

/** The same as gnostic's protobuf: `application/com.github.proto-openapi.spec.v2@v1.0+protobuf`. */
export const openApiV2Protobuf = (resources: readonly ServedResource[]): Uint8Array => encodeDocument(openApiV2Json(resources));
