// Which rules of its schema does a value break, in Kubernetes' words?
//
// Wording and reasons: k8s.io/kube-openapi/pkg/validation/errors and apiextensions-apiserver's validation.go. Rules in CEL
// (x-kubernetes-validations) are kept in stored CRDs but not evaluated.

import { isObject, sameJson } from "../model/object.ts";
import { hasFormat } from "./formats.ts";
import { fieldOf, indexOf } from "./path.ts";
import type { Cause, JsonSchema } from "./types.ts";

type Report = {
  (cause: Cause): void;
  /** Built-in kinds do not refuse duplicates in their keyed lists (an env variable may stand twice); custom resources do. */
  readonly duplicates: "refused" | "allowed";
};

const reporter = (into: Cause[], duplicates: Report["duplicates"]): Report =>
  Object.assign((cause: Cause) => void into.push(cause), { duplicates });

/** A value as Kubernetes shows it in a message. */
const shown = (value: unknown): string => JSON.stringify(value) ?? "null";

const invalid = (field: string, value: unknown, detail: string): Cause => ({
  field,
  reason: "FieldValueInvalid",
  message: `Invalid value: ${shown(value)}: ${detail}`,
});

const typeOf = (value: unknown): string => {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value;
};

const hasType = (type: NonNullable<JsonSchema["type"]>, value: unknown): boolean =>
  typeOf(value) === type || (type === "number" && typeof value === "number");

/** All causes, in the order of the fields; empty when the value fits. */
export const check = (schema: JsonSchema, value: unknown, field = ""): readonly Cause[] => {
  const causes: Cause[] = [];
  checkNode(schema, value, field, reporter(causes, schema["x-ambit-null-is-absent"] === true ? "allowed" : "refused"));
  return causes;
};

const checkNode = (schema: JsonSchema, value: unknown, field: string, report: Report): void => {
  if (value === null && schema.nullable === true) return;
  if (!checkType(schema, value, field, report)) return;
  if (schema.enum !== undefined && !schema.enum.some((allowed) => sameJson(allowed, value))) {
    const supported = schema.enum.map(shown).join(", ");
    report({ field, reason: "FieldValueNotSupported", message: `Unsupported value: ${shown(value)}: supported values: ${supported}` });
  }
  if (schema.format !== undefined && !hasFormat(schema.format, value)) {
    report(invalid(field, value, `${field} in body must be of type ${schema.format}: ${shown(value)}`));
  }
  if (typeof value === "string") checkString(schema, value, field, report);
  else if (typeof value === "number") checkNumber(schema, value, field, report);
  else if (Array.isArray(value)) checkArray(schema, value, field, report);
  else if (isObject(value)) checkObject(schema, value, field, report);
  checkCombined(schema, value, field, report);
};

const checkType = (schema: JsonSchema, value: unknown, field: string, report: Report): boolean => {
  const wrong = (type: string): false => {
    const found = typeOf(value);
    report({
      field,
      reason: "FieldValueTypeInvalid",
      message: `Invalid value: "${found}": ${field} in body must be of type ${type}: "${found}"`,
    });
    return false;
  };
  if (schema["x-kubernetes-int-or-string"] === true) {
    return typeof value === "string" || Number.isInteger(value) ? true : wrong("integer,string");
  }
  if (schema.type !== undefined && !hasType(schema.type, value)) return wrong(schema.type);
  return schema.type !== undefined || value !== null || schema["x-kubernetes-preserve-unknown-fields"] === true ? true : wrong("object");
};

const patterns = new Map<string, RegExp | undefined>();

/** The pattern compiled once; undefined when it is no regular expression here (a CRD with such a pattern is refused). */
export const compiled = (pattern: string): RegExp | undefined => {
  if (!patterns.has(pattern)) {
    try {
      patterns.set(pattern, new RegExp(pattern));
    } catch {
      patterns.set(pattern, undefined);
    }
  }
  return patterns.get(pattern);
};

const checkString = (schema: JsonSchema, value: string, field: string, report: Report): void => {
  const { minLength, maxLength, pattern } = schema;
  if (maxLength !== undefined && [...value].length > maxLength) {
    report({ field, reason: "FieldValueTooLong", message: `Too long: may not be more than ${maxLength} bytes` });
  }
  if (minLength !== undefined && [...value].length < minLength) {
    report(invalid(field, value, `${field} in body should be at least ${minLength} chars long`));
  }
  if (pattern !== undefined && compiled(pattern)?.test(value) !== true) {
    report(invalid(field, value, `${field} in body should match '${pattern}'`));
  }
};

const checkNumber = (schema: JsonSchema, value: number, field: string, report: Report): void => {
  const { minimum, maximum, multipleOf } = schema;
  if (maximum !== undefined && (schema.exclusiveMaximum === true ? value >= maximum : value > maximum)) {
    report(
      invalid(field, value, `${field} in body should be less than ${schema.exclusiveMaximum === true ? "" : "or equal to "}${maximum}`),
    );
  }
  if (minimum !== undefined && (schema.exclusiveMinimum === true ? value <= minimum : value < minimum)) {
    report(
      invalid(field, value, `${field} in body should be greater than ${schema.exclusiveMinimum === true ? "" : "or equal to "}${minimum}`),
    );
  }
  if (multipleOf !== undefined && !Number.isInteger(value / multipleOf)) {
    report(invalid(field, value, `${field} in body should be a multiple of ${multipleOf}`));
  }
};

const tooMany = (field: string, found: number, most: number): Cause => ({
  field,
  reason: "FieldValueTooMany",
  message: `Too many: ${found}: must have at most ${most} items`,
});

const checkArray = (schema: JsonSchema, value: readonly unknown[], field: string, report: Report): void => {
  const { minItems, maxItems, items } = schema;
  if (maxItems !== undefined && value.length > maxItems) report(tooMany(field, value.length, maxItems));
  if (minItems !== undefined && value.length < minItems) {
    report(invalid(field, value, `${field} in body should have at least ${minItems} items`));
  }
  const keys = report.duplicates === "allowed" ? undefined : duplicateKeys(schema);
  const seen = new Set<string>();
  for (const [i, item] of value.entries()) {
    const at = indexOf(field, i);
    if (items !== undefined) checkNode(items, item, at, report);
    if (keys === undefined) continue;
    const key = keys.length === 0 ? item : isObject(item) ? Object.fromEntries(keys.map((name) => [name, item[name]])) : item;
    if (seen.has(shown(key))) report({ field: at, reason: "FieldValueDuplicate", message: `Duplicate value: ${shown(key)}` });
    seen.add(shown(key));
  }
};

/** The fields that tell a list's items apart: none for a set, undefined where duplicates are allowed. */
const duplicateKeys = (schema: JsonSchema): readonly string[] | undefined => {
  if (schema.uniqueItems === true || schema["x-kubernetes-list-type"] === "set") return [];
  return schema["x-kubernetes-list-type"] === "map" ? schema["x-kubernetes-list-map-keys"] : undefined;
};

const checkObject = (schema: JsonSchema, value: { readonly [name: string]: unknown }, field: string, report: Report): void => {
  const names = Object.keys(value);
  if (schema.maxProperties !== undefined && names.length > schema.maxProperties) report(tooMany(field, names.length, schema.maxProperties));
  if (schema.minProperties !== undefined && names.length < schema.minProperties) {
    report(invalid(field, value, `${field} in body should have at least ${schema.minProperties} properties`));
  }
  for (const name of schema.required ?? []) {
    if (value[name] === undefined) report({ field: fieldOf(field, name), reason: "FieldValueRequired", message: "Required value" });
  }
  if (schema["x-kubernetes-embedded-resource"] === true) checkEmbedded(value, field, report);
  for (const [name, child] of Object.entries(value)) {
    const property = schema.properties !== undefined && Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined;
    const rule = property ?? (typeof schema.additionalProperties === "object" ? schema.additionalProperties : undefined);
    if (rule !== undefined) checkNode(rule, child, fieldOf(field, name), report);
  }
};

const checkEmbedded = (value: { readonly [name: string]: unknown }, field: string, report: Report): void => {
  for (const name of ["apiVersion", "kind"]) {
    if (typeof value[name] === "string" && value[name] !== "") continue;
    report({ field: fieldOf(field, name), reason: "FieldValueRequired", message: "Required value: must not be empty" });
  }
};

const fits = (schema: JsonSchema, value: unknown, field: string): boolean => check(schema, value, field).length === 0;

const checkCombined = (schema: JsonSchema, value: unknown, field: string, report: Report): void => {
  const named = JSON.stringify(field);
  const fails = (detail: string): void => report({ field, reason: "FieldValueInvalid", message: `Invalid value: "": ${named} ${detail}` });
  for (const part of schema.allOf ?? []) checkNode(part, value, field, report);
  if (
    schema.anyOf !== undefined &&
    schema["x-kubernetes-int-or-string"] !== true &&
    !schema.anyOf.some((part) => fits(part, value, field))
  ) {
    fails("must validate at least one schema (anyOf)");
  }
  if (schema.oneOf !== undefined) {
    const matching = schema.oneOf.filter((part) => fits(part, value, field)).length;
    if (matching !== 1)
      fails(
        `must validate one and only one schema (oneOf). Found ${matching === 0 ? "none" : matching} valid${matching > 1 ? " alternatives" : ""}`,
      );
  }
  if (schema.not !== undefined && fits(schema.not, value, field)) fails("must not validate the schema (not)");
};
