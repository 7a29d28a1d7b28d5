// What of an object does its schema keep, and what does it add? (pruning and defaulting; never judges values)

import { isObject, type JsonObject } from "../model/object.ts";
import { fieldOf, indexOf } from "./path.ts";
import type { JsonSchema } from "./types.ts";

export type Shaped = { readonly value: unknown; readonly unknown: readonly string[] };

type Walk = { readonly nullIsAbsent: boolean; readonly unknown: string[] };

/** Fields that an embedded resource has whatever its schema says. */
const RESOURCE_FIELDS = new Set(["apiVersion", "kind", "metadata"]);

/** A copy of the value without fields the schema does not know, and with the schema's defaults where fields are absent. */
export const shape = (schema: JsonSchema, value: unknown): Shaped => {
  const unknown: string[] = [];
  return { value: shapeNode(schema, value, "", { nullIsAbsent: false, unknown }), unknown };
};

const shapeNode = (schema: JsonSchema, value: unknown, path: string, walk: Walk): unknown => {
  const inner = schema["x-ambit-null-is-absent"] === true && !walk.nullIsAbsent ? { ...walk, nullIsAbsent: true } : walk;
  if (Array.isArray(value)) {
    const items = schema.items;
    return items === undefined ? value : value.map((item, i) => shapeNode(items, item, indexOf(path, i), inner));
  }
  if (isObject(value)) return shapeObject(schema, value, path, inner);
  if (schema.format === "quantity" && typeof value === "number" && inner.nullIsAbsent) return String(value);
  return value;
};

/** A null in a field that may not be null: absent where Go decodes, and where a default stands ready (apiextensions: structural defaulting). */
const isAbsent = (schema: JsonSchema | undefined, value: unknown, walk: Walk): boolean =>
  value === undefined || (value === null && schema?.nullable !== true && (walk.nullIsAbsent || schema?.default !== undefined));

const shapeObject = (schema: JsonSchema, value: JsonObject, path: string, walk: Walk): JsonObject => {
  const out = new Map<string, unknown>();
  for (const [name, child] of Object.entries(value)) {
    const property = schema.properties !== undefined && Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined;
    const kept = property ?? (typeof schema.additionalProperties === "object" ? schema.additionalProperties : undefined);
    if (kept !== undefined) {
      if (!isAbsent(kept, child, walk)) out.set(name, shapeNode(kept, child, fieldOf(path, name), walk));
    } else if (keepsUnknown(schema, name)) out.set(name, child);
    else walk.unknown.push(fieldOf(path, name));
  }
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    if (property.default === undefined || out.has(name)) continue;
    out.set(name, shapeNode(property, structuredClone(property.default), fieldOf(path, name), walk));
  }
  return Object.fromEntries(out);
};

const keepsUnknown = (schema: JsonSchema, name: string): boolean =>
  schema["x-kubernetes-preserve-unknown-fields"] === true ||
  schema.additionalProperties === true ||
  (schema["x-kubernetes-embedded-resource"] === true && RESOURCE_FIELDS.has(name));
