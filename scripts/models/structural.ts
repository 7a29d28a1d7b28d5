// What is the structural schema (apiextensions.k8s.io/v1) of a type of the kubernetes-models packages?

import { GATEWAY_DEFAULTS, GATEWAY_LISTS } from "./gateway-rules.ts";
import type { SchemaPackage } from "./packages.ts";
import type { Node } from "./validator.ts";

const TYPE_NAME = /^IoK8sSigsGatewayApiApisV1(?:alpha\d|beta\d)?([A-Z]\w*)$/;

/** Kubernetes' own types that the Gateway API's refer to. */
const FOREIGN: { readonly [schemaName: string]: Node } = {
  IoK8sApimachineryPkgApisMetaV1ObjectMeta: { type: "object" },
};

const typeName = (schemaName: string): string => TYPE_NAME.exec(schemaName)?.[1] ?? schemaName;

/** The field `<type>.<property>` of the Gateway API, or nothing inside Istio's types, which have no names of their own. */
const fieldKey = (owner: string | undefined, property: string): string => (owner === undefined ? "" : `${owner}.${property}`);

const isIntOrString = (node: Node): boolean =>
  node.type === undefined && node.anyOf?.length === 2 && node.anyOf[0]?.type === "integer" && node.anyOf[1]?.type === "string";

type Source = { readonly packages: readonly SchemaPackage[] };

const resolve = (source: Source, schemaName: string): Node => {
  const foreign = FOREIGN[schemaName];
  if (foreign !== undefined) return foreign;
  const pkg = source.packages.find((candidate) => candidate.names.includes(schemaName));
  if (pkg === undefined) throw new Error(`no package has the schema ${schemaName}`);
  return pkg.read(schemaName);
};

type Where = { readonly owner: string | undefined; readonly field: string; readonly embeds?: true };

/** The node with its ref followed; what stands beside a ref adds to it. */
const structuralNode = (source: Source, node: Node, where: Where): Node => {
  const { $ref, ...own } = node;
  if ($ref !== undefined) {
    // A type that embeds another is a ref with its own fields beside it.
    const target = structuralNode(source, resolve(source, $ref), { owner: typeName($ref), field: where.field });
    return withRules(together(target, structuralNode(source, own, { ...where, embeds: true })), where.field);
  }
  const out: Node = { ...own };
  if (isIntOrString(node)) out["x-kubernetes-int-or-string"] = true;
  if (node.properties !== undefined) {
    out.properties = Object.fromEntries(
      Object.entries(node.properties).map(([name, child]) => [
        name,
        structuralNode(source, child, { owner: undefined, field: fieldKey(where.owner, name) }),
      ]),
    );
  }
  if (node.items !== undefined) out.items = structuralNode(source, node.items, { owner: undefined, field: "" });
  if (typeof node.additionalProperties === "object") {
    out.additionalProperties = structuralNode(source, node.additionalProperties, { owner: undefined, field: "" });
  }
  const freeForm = node.type === "object" && node.properties === undefined && node.additionalProperties === undefined && !where.embeds;
  if (freeForm) out["x-kubernetes-preserve-unknown-fields"] = true;
  return withRules(out, where.field);
};

const together = (target: Node, own: Node): Node => ({
  ...target,
  ...own,
  ...(target.properties === undefined && own.properties === undefined ? {} : { properties: { ...target.properties, ...own.properties } }),
  ...(target.required === undefined && own.required === undefined
    ? {}
    : { required: [...(target.required ?? []), ...(own.required ?? [])] }),
});

const withRules = (node: Node, field: string): Node => {
  const out = { ...node };
  if (Object.hasOwn(GATEWAY_DEFAULTS, field)) out.default = GATEWAY_DEFAULTS[field];
  if (out.type === "array" && field !== "") {
    const rule = GATEWAY_LISTS[field] ?? { type: "atomic" };
    out["x-kubernetes-list-type"] = rule.type;
    if (rule.keys !== undefined) out["x-kubernetes-list-map-keys"] = rule.keys;
  }
  return out;
};

const withoutDescriptions = (node: Node): Node => {
  const { description: _dropped, ...out } = node;
  if (node.properties !== undefined) {
    out.properties = Object.fromEntries(Object.entries(node.properties).map(([name, child]) => [name, withoutDescriptions(child)]));
  }
  if (node.items !== undefined) out.items = withoutDescriptions(node.items);
  if (typeof node.additionalProperties === "object") out.additionalProperties = withoutDescriptions(node.additionalProperties);
  return out as Node;
};

/** A description's first paragraph: the whole text of every field in every version would not fit kubectl's annotation (256 KiB). */
const firstParagraph = (text: string): string =>
  text
    .split(/\n\s*\n/)[0]
    ?.replaceAll(/\s*\n\s*/g, " ")
    .trim() ?? "";

const shortDescriptions = (node: Node): Node => {
  const out: Node = { ...node };
  if (node.description !== undefined) out.description = firstParagraph(node.description);
  if (node.properties !== undefined) {
    out.properties = Object.fromEntries(Object.entries(node.properties).map(([name, child]) => [name, shortDescriptions(child)]));
  }
  if (node.items !== undefined) out.items = shortDescriptions(node.items);
  if (typeof node.additionalProperties === "object") out.additionalProperties = shortDescriptions(node.additionalProperties);
  return out;
};

const text = (description: string): Node => ({ type: "string", description });

export type Documentation = "first paragraphs" | "none";

/** The `openAPIV3Schema` of a kind. */
export const structuralSchema = (packages: readonly SchemaPackage[], schemaName: string, documentation: Documentation): Node => {
  const whole = structuralNode({ packages }, resolve({ packages }, schemaName), { owner: typeName(schemaName), field: "" });
  const required = (whole.required ?? []).filter((name) => name !== "apiVersion" && name !== "kind");
  const properties: Record<string, Node> = {
    ...whole.properties,
    apiVersion: text("APIVersion defines the versioned schema of this representation of an object."),
    kind: text("Kind is a string value representing the REST resource this object represents."),
    metadata: { type: "object" },
  };
  const { required: _old, ...rest } = whole;
  const schema: Node = { ...rest, ...(required.length === 0 ? {} : { required }), properties };
  return documentation === "none" ? withoutDescriptions(schema) : shortDescriptions(schema);
};
