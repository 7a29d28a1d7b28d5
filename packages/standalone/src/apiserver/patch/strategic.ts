// What does an object look like after Kubernetes' strategic merge patch?
//
// Rules: k8s.io/apimachinery/pkg/util/strategicpatch (patch.go). Lists merge by the schema's patch merge key where its patch
// strategy says "merge", and are replaced where it does not; directives in the patch ($patch, $retainKeys,
// $setElementOrder/<field>, $deleteFromPrimitiveList/<field>) steer the merge and are never stored.

import { err, ok, type Result } from "@ambit/shared/runtime/result.ts";
import { isObject, type JsonObject, sameJson } from "../model/object.ts";
import type { JsonSchema } from "../schema/types.ts";
import { applyMergePatch } from "./merge.ts";

const DIRECTIVE = "$patch";
const RETAIN_KEYS = "$retainKeys";
const ORDER = "$setElementOrder/";
const DELETE_PRIMITIVES = "$deleteFromPrimitiveList/";

/** A patch that does not fit: thrown inside, returned as an error outside. */
class BadPatch extends Error {}

/**
 * Applies the patch; neither argument is changed. Without a schema this is an ordinary JSON merge (the caller answers 415 for
 * custom resources, as Kubernetes does).
 */
export const applyStrategicMergePatch = (doc: unknown, patch: unknown, schema: JsonSchema | undefined): Result<unknown> => {
  if (!isObject(patch)) return err("a strategic merge patch must be an object");
  if (schema === undefined) return ok(applyMergePatch(doc, patch));
  try {
    return ok(mergeObject(isObject(doc) ? doc : {}, patch, schema) ?? {});
  } catch (e) {
    if (e instanceof BadPatch) return err(e.message);
    throw e;
  }
};

const propertyOf = (schema: JsonSchema | undefined, name: string): JsonSchema | undefined => {
  if (schema?.properties !== undefined && Object.hasOwn(schema.properties, name)) return schema.properties[name];
  return typeof schema?.additionalProperties === "object" ? schema.additionalProperties : undefined;
};

const strategiesOf = (schema: JsonSchema | undefined): ReadonlySet<string> =>
  new Set(schema?.["x-kubernetes-patch-strategy"]?.split(",") ?? []);

/** The merged object; undefined when the patch deletes it. */
const mergeObject = (doc: JsonObject, patch: JsonObject, schema: JsonSchema | undefined): JsonObject | undefined => {
  const { [DIRECTIVE]: directive, ...rest } = patch;
  if (directive === "replace") return rest;
  if (directive === "delete") return undefined;
  if (directive !== undefined && directive !== "merge") throw new BadPatch(`"${String(directive)}" is not a strategic merge directive`);
  const out = new Map(Object.entries(retained(doc, rest)));
  const elementOrders = new Map<string, readonly unknown[]>();
  for (const [name, value] of Object.entries(rest)) {
    if (name === RETAIN_KEYS) continue;
    if (name.startsWith(ORDER)) elementOrders.set(name.slice(ORDER.length), listOf(name, value));
    else if (name.startsWith(DELETE_PRIMITIVES)) dropPrimitives(out, name.slice(DELETE_PRIMITIVES.length), listOf(name, value));
    else mergeField(out, name, value, propertyOf(schema, name));
  }
  for (const [name, order] of elementOrders) reorder(out, { name, order, schema: propertyOf(schema, name), patched: rest[name] });
  return Object.fromEntries(out);
};

const listOf = (directive: string, value: unknown): readonly unknown[] => {
  if (!Array.isArray(value)) throw new BadPatch(`${directive} must be a list`);
  return value;
};

/** `$retainKeys`: fields of the stored object that are not named there go away. */
const retained = (doc: JsonObject, patch: JsonObject): JsonObject => {
  const keys = patch[RETAIN_KEYS];
  if (keys === undefined) return doc;
  const keep = new Set(listOf(RETAIN_KEYS, keys));
  for (const name of Object.keys(patch)) {
    if (name !== RETAIN_KEYS && patch[name] !== null && !name.startsWith("$") && !keep.has(name)) {
      throw new BadPatch(`the patch sets "${name}", which its ${RETAIN_KEYS} does not name`);
    }
  }
  return Object.fromEntries(Object.entries(doc).filter(([name]) => keep.has(name)));
};

const dropPrimitives = (out: Map<string, unknown>, name: string, gone: readonly unknown[]): void => {
  const have = out.get(name);
  if (!Array.isArray(have)) return;
  out.set(
    name,
    have.filter((item) => !gone.some((value) => sameJson(value, item))),
  );
};

const mergeField = (out: Map<string, unknown>, name: string, value: unknown, schema: JsonSchema | undefined): void => {
  if (value === null) {
    out.delete(name);
    return;
  }
  const have = out.get(name);
  if (isObject(value)) {
    const merged = mergeObject(isObject(have) ? have : {}, value, schema);
    if (merged === undefined) out.delete(name);
    else out.set(name, merged);
  } else if (Array.isArray(value)) out.set(name, mergeList(Array.isArray(have) ? have : [], value, schema));
  else out.set(name, value);
};

const mergeList = (have: readonly unknown[], patch: readonly unknown[], schema: JsonSchema | undefined): unknown[] => {
  if (!strategiesOf(schema).has("merge")) return patch.map((item) => withoutDirectives(item));
  if (patch.some((item) => isObject(item) && item[DIRECTIVE] === "replace")) {
    return patch.filter((item) => !(isObject(item) && item[DIRECTIVE] === "replace")).map((item) => withoutDirectives(item));
  }
  const key = schema?.["x-kubernetes-patch-merge-key"];
  if (key !== undefined) return mergeKeyedList(have, patch, { key, items: schema?.items });
  return [...have, ...patch.filter((item) => !have.some((old) => sameJson(old, item)))];
};

/** What is new in the object must not carry a directive into the store. */
const withoutDirectives = (item: unknown): unknown => {
  if (Array.isArray(item)) return item.map(withoutDirectives);
  if (!isObject(item)) return item;
  return Object.fromEntries(
    Object.entries(item)
      .filter(([name, value]) => !isDirective(name) && value !== null)
      .map(([name, value]) => [name, withoutDirectives(value)]),
  );
};

const isDirective = (name: string): boolean =>
  name === DIRECTIVE || name === RETAIN_KEYS || name.startsWith(ORDER) || name.startsWith(DELETE_PRIMITIVES);

type Keyed = { readonly key: string; readonly items: JsonSchema | undefined };

const mergeKeyedList = (have: readonly unknown[], patch: readonly unknown[], by: Keyed): unknown[] => {
  let out = [...have];
  for (const item of patch) {
    const keyValue = isObject(item) ? item[by.key] : undefined;
    if (!isObject(item) || keyValue === undefined)
      throw new BadPatch(`map: ${JSON.stringify(item)} does not contain declared merge key: ${by.key}`);
    const at = out.findIndex((old) => isObject(old) && sameJson(old[by.key], keyValue));
    const old = out[at];
    if (item[DIRECTIVE] === "delete") out = out.filter((other) => !(isObject(other) && sameJson(other[by.key], keyValue)));
    else if (at < 0) out.push(mergeObject({}, item, by.items));
    else out[at] = mergeObject(isObject(old) ? old : {}, item, by.items);
  }
  return out;
};

type Reorder = {
  readonly name: string;
  readonly order: readonly unknown[];
  readonly schema: JsonSchema | undefined;
  readonly patched: unknown;
};

/**
 * `$setElementOrder`: the named items stand in that order; items that only the server has keep their place relative to their
 * old neighbours (each is put before the first named item that followed it).
 */
const reorder = (out: Map<string, unknown>, { name, order, schema, patched }: Reorder): void => {
  const list = out.get(name);
  if (!Array.isArray(list)) return;
  const key = schema?.["x-kubernetes-patch-merge-key"];
  const keyOf = (item: unknown): unknown => (key !== undefined && isObject(item) ? item[key] : item);
  const rank = (item: unknown): number => order.findIndex((wanted) => sameJson(keyOf(wanted), keyOf(item)));
  if (Array.isArray(patched) && patched.some((item) => !(isObject(item) && item[DIRECTIVE] !== undefined) && rank(item) < 0)) {
    throw new BadPatch(`the items of the patch's "${name}" must all stand in ${ORDER}${name}`);
  }
  const named = list.filter((item) => rank(item) >= 0).sort((a, b) => rank(a) - rank(b));
  const result: unknown[] = [];
  let next = 0;
  for (const [i, item] of list.entries()) {
    if (rank(item) >= 0) continue;
    // Before a server-only item come all named items that stood before it.
    const before = list.slice(0, i).filter((other) => rank(other) >= 0);
    const until = before.length === 0 ? 0 : Math.max(...before.map((other) => named.indexOf(other))) + 1;
    while (next < until) result.push(named[next++]);
    result.push(item);
  }
  out.set(name, [...result, ...named.slice(next)]);
};
