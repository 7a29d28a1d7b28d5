// Is a CRD's schema structural, and may its defaults stand? (apiextensions.k8s.io/v1: structural/validation.go, validation.go)

import { isObject, type JsonObject, objects, strings } from "../model/object.ts";
import { check, compiled } from "./check.ts";
import { shape } from "./shape.ts";
import type { Cause, JsonSchema } from "./types.ts";

type Report = (cause: Cause) => void;

const required = (field: string, why: string): Cause => ({ field, reason: "FieldValueRequired", message: `Required value: ${why}` });
const forbidden = (field: string, why: string): Cause => ({ field, reason: "FieldValueForbidden", message: `Forbidden: ${why}` });
const invalid = (field: string, value: unknown, why: string): Cause => ({
  field,
  reason: "FieldValueInvalid",
  message: `Invalid value: ${JSON.stringify(value)}: ${why}`,
});

const NOT_SUPPORTED = [
  "$ref",
  "definitions",
  "dependencies",
  "deprecated",
  "discriminator",
  "id",
  "patternProperties",
  "readOnly",
  "writeOnly",
  "xml",
  "$schema",
  "additionalItems",
];
const TYPES = new Set(["array", "boolean", "integer", "number", "object", "string"]);
/** What only the structural part may say, not the parts of allOf, anyOf, oneOf and not. */
const STRUCTURAL_ONLY = [
  "description",
  "type",
  "default",
  "nullable",
  "title",
  "x-kubernetes-preserve-unknown-fields",
  "x-kubernetes-embedded-resource",
];

/** Causes for refusing `schema` (an openAPIV3Schema as sent); `field` is where it stands in the CRD. */
export const checkStructural = (schema: JsonObject, field: string): readonly Cause[] => {
  const causes: Cause[] = [];
  const report: Report = (cause) => causes.push(cause);
  if (schema.type !== "object") {
    report(
      schema.type === undefined
        ? required(`${field}.type`, "must not be empty at the root")
        : invalid(`${field}.type`, schema.type, "must be object at the root"),
    );
  }
  checkNode(schema, field, "root", report);
  return causes;
};

type Role = "root" | "object fields" | "array items";

const checkNode = (schema: JsonObject, field: string, role: Role, report: Report): void => {
  const free = schema["x-kubernetes-int-or-string"] === true || schema["x-kubernetes-preserve-unknown-fields"] === true;
  if (schema.type === undefined && role !== "root" && !free) report(required(`${field}.type`, `must not be empty for specified ${role}`));
  if (schema.type !== undefined && (typeof schema.type !== "string" || !TYPES.has(schema.type))) {
    const supported = [...TYPES].map((type) => JSON.stringify(type)).join(", ");
    report({
      field: `${field}.type`,
      reason: "FieldValueNotSupported",
      message: `Unsupported value: ${JSON.stringify(schema.type)}: supported values: ${supported}`,
    });
  }
  for (const keyword of NOT_SUPPORTED)
    if (schema[keyword] !== undefined) report(forbidden(`${field}.${keyword}`, `${keyword} is not supported`));
  if (schema.uniqueItems === true) {
    report(forbidden(`${field}.uniqueItems`, "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"));
  }
  if (typeof schema.pattern === "string" && compiled(schema.pattern) === undefined)
    report(invalid(`${field}.pattern`, schema.pattern, "must be a valid regular expression"));
  checkParts(schema, field, report);
  checkList(schema, field, report);
  checkDefault(schema, field, report);
  for (const junctor of ["allOf", "anyOf", "oneOf"]) {
    for (const [i, part] of objects(schema[junctor]).entries()) checkLogic(part, `${field}.${junctor}[${i}]`, schema, report);
  }
  if (isObject(schema.not)) checkLogic(schema.not, `${field}.not`, schema, report);
};

const checkParts = (schema: JsonObject, field: string, report: Report): void => {
  const { properties, additionalProperties, items } = schema;
  if (isObject(properties)) {
    for (const [name, child] of Object.entries(properties)) {
      const at = `${field}.properties[${name}]`;
      if (isObject(child)) checkNode(child, at, "object fields", report);
      else report(invalid(at, child, "must be a schema"));
    }
    if (additionalProperties !== undefined && Object.keys(properties).length > 0) {
      report(forbidden(`${field}.additionalProperties`, "additionalProperties and properties are mutual exclusive"));
    }
  }
  if (additionalProperties === false) report(forbidden(`${field}.additionalProperties`, "additionalProperties cannot be set to false"));
  if (isObject(additionalProperties)) checkNode(additionalProperties, `${field}.additionalProperties`, "object fields", report);
  if (isObject(items)) checkNode(items, `${field}.items`, "array items", report);
  else if (Array.isArray(items)) report(forbidden(`${field}.items`, "items must be a schema object and not an array"));
  else if (schema.type === "array") report(required(`${field}.items`, "must be specified"));
};

const checkList = (schema: JsonObject, field: string, report: Report): void => {
  const listType = schema["x-kubernetes-list-type"];
  if (listType === undefined) return;
  const at = `${field}.x-kubernetes-list-type`;
  if (listType !== "atomic" && listType !== "set" && listType !== "map") {
    report({
      field: at,
      reason: "FieldValueNotSupported",
      message: `Unsupported value: ${JSON.stringify(listType)}: supported values: "atomic", "map", "set"`,
    });
  }
  if (schema.type !== "array") report(invalid(`${field}.type`, schema.type ?? "", "must be array if x-kubernetes-list-type is specified"));
  if (listType !== "map") return;
  const keys = strings(schema["x-kubernetes-list-map-keys"]);
  if (keys.length === 0) report(required(`${field}.x-kubernetes-list-map-keys`, "must not be empty if x-kubernetes-list-type is map"));
  const known = isObject(schema.items) && isObject(schema.items.properties) ? schema.items.properties : {};
  for (const [i, key] of keys.entries()) {
    if (!Object.hasOwn(known, key))
      report(invalid(`${field}.x-kubernetes-list-map-keys[${i}]`, key, "entries must all be names of item properties"));
  }
};

const checkDefault = (schema: JsonObject, field: string, report: Report): void => {
  if (schema.default === undefined) return;
  const typed = schema as JsonSchema;
  const { value, unknown } = shape(typed, schema.default);
  for (const name of unknown) report(invalid(`${field}.default`, schema.default, `must not have unknown fields: ${name}`));
  for (const cause of check(typed, value, ""))
    report(invalid(`${field}.default${cause.field === "" ? "" : `.${cause.field}`}`, schema.default, cause.message));
};

/** A part of allOf, anyOf, oneOf or not: only value checks, and only of fields that the structural part knows. */
const checkLogic = (part: JsonObject, field: string, structural: JsonObject, report: Report): void => {
  const isIntOrString = structural["x-kubernetes-int-or-string"] === true;
  for (const keyword of STRUCTURAL_ONLY) {
    if (part[keyword] !== undefined && !(keyword === "type" && isIntOrString)) {
      report(forbidden(`${field}.${keyword}`, "must be empty to be structural"));
    }
  }
  const known = isObject(structural.properties) ? structural.properties : {};
  for (const [name, child] of Object.entries(isObject(part.properties) ? part.properties : {})) {
    const counterpart = known[name];
    if (!isObject(counterpart))
      report(
        required(
          `${field.replace(/\.(allOf|anyOf|oneOf)\[\d+\].*|\.not.*/, "")}.properties[${name}]`,
          `because it is defined in ${field}.properties[${name}]`,
        ),
      );
    else if (isObject(child)) checkLogic(child, `${field}.properties[${name}]`, counterpart, report);
  }
  for (const junctor of ["allOf", "anyOf", "oneOf"]) {
    for (const [i, inner] of objects(part[junctor]).entries()) checkLogic(inner, `${field}.${junctor}[${i}]`, structural, report);
  }
  if (isObject(part.not)) checkLogic(part.not, `${field}.not`, structural, report);
};
