// What does the schema make of a value: which fields does it have, what changed between two, what do two merge to?
//
// The rules of structured-merge-diff (typed/tofieldset.go, typed/merge.go): objects and keyed lists are merged field by field,
// atomic ones and scalars as a whole. Without a schema objects are granular and lists atomic.

import { isObject, type JsonObject, sameJson } from "../model/object.ts";
import type { JsonSchema } from "../schema/types.ts";
import { EMPTY, type FieldSet, LEAF, node, union } from "./field-set.ts";

type Schema = JsonSchema | undefined;

/** A keyed list's item lacks a key, or two items share one. */
export class BadList extends Error {}

/** How a value is owned: leaves as a whole, the others by their parts. */
type Form = "leaf" | "object" | "list";

const formOf = (schema: Schema, value: unknown): Form => {
  if (isObject(value)) return schema?.["x-kubernetes-map-type"] === "atomic" ? "leaf" : "object";
  const listType = schema?.["x-kubernetes-list-type"];
  return Array.isArray(value) && (listType === "map" || listType === "set") ? "list" : "leaf";
};

const named = (schema: Schema, name: string): Schema =>
  schema?.properties !== undefined && Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined;

const fieldSchema = (schema: Schema, name: string): Schema =>
  named(schema, name) ?? (typeof schema?.additionalProperties === "object" ? schema.additionalProperties : undefined);

/** The path element of a list's item: by its keys (an absent key by its default), or by its value in a set. */
const elementOf = (schema: Schema, item: unknown): string => {
  if (schema?.["x-kubernetes-list-type"] === "set") return `v:${JSON.stringify(item)}`;
  const keys: [string, unknown][] = [];
  for (const key of [...(schema?.["x-kubernetes-list-map-keys"] ?? [])].sort()) {
    const value = isObject(item) ? (item[key] ?? named(schema?.items, key)?.default) : undefined;
    if (value === undefined)
      throw new BadList(`associative list with keys has an element that omits key field "${key}" (and doesn't have default value)`);
    keys.push([key, value]);
  }
  return `k:${JSON.stringify(Object.fromEntries(keys))}`;
};

/** The list's items by their path element, in order. Of items that share a key the first one counts. */
const itemsOf = (schema: Schema, list: readonly unknown[]): Map<string, unknown> => {
  const items = new Map<string, unknown>();
  for (const item of list) {
    const element = elementOf(schema, item);
    if (!items.has(element)) items.set(element, item);
  }
  return items;
};

/** Refuses a list whose items are not told apart by their keys, as an applied configuration must not have one. */
export const refuseDuplicates = (schema: Schema, value: unknown, path = ""): void => {
  if (isObject(value))
    for (const [name, child] of Object.entries(value)) refuseDuplicates(fieldSchema(schema, name), child, `${path}.${name}`);
  if (!Array.isArray(value)) return;
  if (formOf(schema, value) === "list") {
    const seen = new Set<string>();
    for (const item of value) {
      const element = describe(path, () => elementOf(schema, item));
      if (seen.has(element)) throw new BadList(`${path}: duplicate entries for key ${element.slice(2)}`);
      seen.add(element);
    }
  }
  for (const [i, item] of value.entries()) refuseDuplicates(schema?.items, item, `${path}[${i}]`);
};

const describe = <T>(path: string, f: () => T): T => {
  try {
    return f();
  } catch (e) {
    if (e instanceof BadList) throw new BadList(`${path}: ${e.message}`, { cause: e });
    throw e;
  }
};

/** The fields that a configuration names: what its manager owns after applying it. */
export const fieldsOf = (schema: Schema, value: unknown): FieldSet => {
  const form = formOf(schema, value);
  if (form === "object" && isObject(value)) {
    return node(
      false,
      Object.entries(value).map(([name, child]) => {
        const set = fieldsOf(fieldSchema(schema, name), child);
        const isMapEntry = named(schema, name) === undefined;
        const emptyObject = isObject(child) && Object.keys(child).length === 0;
        return [`f:${name}`, isMapEntry || emptyObject ? { ...set, member: true } : set] as const;
      }),
    );
  }
  if (form === "list" && Array.isArray(value)) {
    return node(
      false,
      [...itemsOf(schema, value)].map(([element, item]) => [element, { ...fieldsOf(schema?.items, item), member: true }] as const),
    );
  }
  return LEAF;
};

/** All of a value that appears or vanishes: its leaves, and the maps, lists and items that hold them. */
const wholeOf = (schema: Schema, value: unknown): FieldSet => {
  const form = formOf(schema, value);
  if (form === "object" && isObject(value)) {
    const entries = Object.entries(value);
    const children = entries.map(([name, child]) => [`f:${name}`, wholeOf(fieldSchema(schema, name), child)] as const);
    return node(schema?.properties === undefined || entries.length === 0, children);
  }
  if (form === "list" && Array.isArray(value)) {
    return node(
      true,
      [...itemsOf(schema, value)].map(([element, item]) => [element, { ...wholeOf(schema?.items, item), member: true }] as const),
    );
  }
  return LEAF;
};

export type Changes = {
  /** Fields that are new or have another value. */
  readonly changed: FieldSet;
  readonly removed: FieldSet;
};

const NOTHING: Changes = { changed: EMPTY, removed: EMPTY };

const gather = (parts: readonly (readonly [string, Changes])[]): Changes => ({
  changed: node(
    false,
    parts.map(([element, c]) => [element, c.changed] as const),
  ),
  removed: node(
    false,
    parts.map(([element, c]) => [element, c.removed] as const),
  ),
});

/** What changed from `before` to `after`; the order of a keyed list's items is no change. */
export const compare = (schema: Schema, before: unknown, after: unknown): Changes => {
  if (before === undefined && after === undefined) return NOTHING;
  if (before === undefined) return { changed: wholeOf(schema, after), removed: EMPTY };
  if (after === undefined) return { changed: EMPTY, removed: { ...wholeOf(schema, before), member: true } };
  const form = formOf(schema, after);
  if (form !== formOf(schema, before)) return { changed: wholeOf(schema, after), removed: wholeOf(schema, before) };
  if (form === "object" && isObject(before) && isObject(after)) {
    const names = new Set([...Object.keys(before), ...Object.keys(after)]);
    return gather([...names].map((name) => [`f:${name}`, compare(fieldSchema(schema, name), before[name], after[name])] as const));
  }
  if (form === "list" && Array.isArray(before) && Array.isArray(after)) {
    const [old, fresh] = [itemsOf(schema, before), itemsOf(schema, after)];
    return gather(
      [...new Set([...old.keys(), ...fresh.keys()])].map((element) => {
        const changes = compare(schema?.items, old.get(element), fresh.get(element));
        return [element, old.has(element) ? changes : { ...changes, changed: { ...changes.changed, member: true } }] as const;
      }),
    );
  }
  return sameJson(before, after) ? NOTHING : { changed: LEAF, removed: EMPTY };
};

/** The live value with the applied one laid over it. */
export const merge = (schema: Schema, live: unknown, applied: unknown): unknown => {
  if (applied === undefined) return live;
  const form = formOf(schema, applied);
  if (form === "object" && isObject(applied)) {
    const out = new Map(Object.entries(isObject(live) ? live : {}));
    for (const [name, child] of Object.entries(applied)) out.set(name, merge(fieldSchema(schema, name), out.get(name), child));
    return Object.fromEntries(out);
  }
  return form === "list" && Array.isArray(applied) ? mergeList(schema, Array.isArray(live) ? live : [], applied) : applied;
};

/** Applied items stand in the applied order; items that only the live list has keep their place before the next shared one. */
const mergeList = (schema: Schema, live: readonly unknown[], applied: readonly unknown[]): unknown[] => {
  const [old, fresh] = [itemsOf(schema, live), itemsOf(schema, applied)];
  const order = [...fresh.keys()];
  const shared = order.filter((element) => old.has(element));
  const out: unknown[] = [];
  let next = 0;
  let nextShared = 0;
  const take = (): void => {
    const element = order[next++];
    if (element !== undefined) out.push(merge(schema?.items, old.get(element), fresh.get(element)));
  };
  for (const [element, item] of old) {
    if (!fresh.has(element)) out.push(item);
    else if (shared[nextShared] === element) {
      while (order[next] !== element) take();
      take();
      nextShared++;
      while (nextShared < shared.length && order.indexOf(shared[nextShared] ?? "") < next) nextShared++;
    }
  }
  while (next < order.length) take();
  return out;
};

/** Takes out what the manager applied last time (`last`) and nobody, itself included, owns any more (`kept`). */
export const prune = (schema: Schema, value: unknown, sets: { readonly last: FieldSet; readonly kept: FieldSet }): unknown => {
  const form = formOf(schema, value);
  const goes = (element: string, isNamed: boolean): boolean => {
    const last = sets.last.children.get(element);
    // A named field with owned parts counts as owned itself (fieldpath's EnsureNamedFieldsAreMembers).
    return last !== undefined && (last.member || isNamed) && !sets.kept.children.has(element);
  };
  const below = (element: string, child: unknown, childSchema: Schema): unknown => {
    const last = sets.last.children.get(element);
    return last === undefined ? child : prune(childSchema, child, { last, kept: sets.kept.children.get(element) ?? EMPTY });
  };
  if (form === "object" && isObject(value)) {
    const kept: [string, unknown][] = [];
    for (const [name, child] of Object.entries(value)) {
      const childSchema = fieldSchema(schema, name);
      if (!goes(`f:${name}`, true)) kept.push([name, below(`f:${name}`, child, childSchema)]);
    }
    return Object.fromEntries(kept) satisfies JsonObject;
  }
  if (form === "list" && Array.isArray(value)) {
    return value.flatMap((item) => {
      const element = elementOf(schema, item);
      return goes(element, false) ? [] : [below(element, item, schema?.items)];
    });
  }
  return value;
};

export const unionAll = (sets: Iterable<FieldSet>): FieldSet => [...sets].reduce(union, EMPTY);
