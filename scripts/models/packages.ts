// Which schemas do the kubernetes-models packages hold, with the comments of their fields?

import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Doc, readDocs } from "./docs.ts";
import { decompile, type Node } from "./validator.ts";

const directoryOf = (name: string): string =>
  dirname(realpathSync(fileURLToPath(import.meta.resolve(`${name}/package.json`, import.meta.url))));

const modules = join(dirname(fileURLToPath(import.meta.url)), "../../node_modules");

/** A package's real directory; `apimachinery` lies beside `kubernetes-models`, which depends on it. */
const locate = (name: string): string => {
  if (name === "@kubernetes-models/apimachinery") return join(realpathSync(join(modules, "kubernetes-models")), "..", name);
  const direct = join(modules, name);
  return existsSync(direct) ? realpathSync(direct) : directoryOf(name);
};

/** Recursive or free-form types, whose compiled validators do not tell their schema. */
const FREE_FORM: { readonly [suffix: string]: Node } = {
  ApiextensionsV1JSON: { description: "JSON represents any valid JSON value.", "x-kubernetes-preserve-unknown-fields": true },
  ApiextensionsV1JSONSchemaProps: {
    type: "object",
    description: "JSONSchemaProps is a JSON-Schema following Specification Draft 4 (http://json-schema.org/).",
    "x-kubernetes-preserve-unknown-fields": true,
  },
};

const freeForm = (name: string): Node | undefined => Object.entries(FREE_FORM).find(([suffix]) => name.endsWith(suffix))?.[1];

/** The schema with descriptions; a property called "description", which the packages' compiler loses, is put back. */
const withDocs = (node: Node, doc: Doc | undefined): Node => {
  const out: Node = { ...node };
  if (doc?.description !== undefined && doc.description !== "") out.description = doc.description;
  if (node.properties !== undefined || doc?.fields?.has("description")) {
    const properties: Record<string, Node> = {};
    for (const [name, child] of Object.entries(node.properties ?? {})) properties[name] = withDocs(child, doc?.fields?.get(name));
    const lost = doc?.fields?.get("description");
    if (lost !== undefined && properties.description === undefined) properties.description = withDocs({ type: "string" }, lost);
    out.properties = properties;
  }
  if (node.items !== undefined) out.items = withDocs(node.items, doc?.items);
  if (typeof node.additionalProperties === "object") out.additionalProperties = withDocs(node.additionalProperties, doc?.values);
  return out;
};

/** The packages mark every optional field nullable, which Kubernetes' own schemas do not. */
const withoutNullable = (node: Node): Node => {
  const { nullable: _dropped, ...out } = node;
  if (node.properties !== undefined) {
    out.properties = Object.fromEntries(Object.entries(node.properties).map(([name, child]) => [name, withoutNullable(child)]));
  }
  if (node.items !== undefined) out.items = withoutNullable(node.items);
  if (typeof node.additionalProperties === "object") out.additionalProperties = withoutNullable(node.additionalProperties);
  if (node.not !== undefined) out.not = withoutNullable(node.not);
  for (const key of ["allOf", "anyOf", "oneOf"] as const) {
    const list = node[key];
    if (list !== undefined) out[key] = list.map(withoutNullable);
  }
  return out as Node;
};

export type SchemaPackage = { readonly names: readonly string[]; read(name: string): Node };

/** All schemas of one package; reading is lazy because each costs a decompilation. */
export const openPackage = (packageName: string): SchemaPackage => {
  const directory = locate(packageName);
  const schemas = join(directory, "_schemas");
  const docs = readDocs(directory);
  const names = readdirSync(schemas)
    .filter((file) => file.endsWith(".js"))
    .map((file) => file.slice(0, -".js".length))
    .sort();
  return {
    names,
    read: (name) =>
      freeForm(name) ?? withoutNullable(withDocs(decompile(readFileSync(join(schemas, `${name}.js`), "utf8")), docs.get(name))),
  };
};
