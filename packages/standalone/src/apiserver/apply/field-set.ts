// Which fields are in a set of fields, and how is that set written in managedFields (FieldsV1)?
//
// Format: k8s.io/apimachinery meta/v1 FieldsV1 and structured-merge-diff's fieldpath/serialize.go. A path element is kept as the
// text it has there: `f:<name>`, `k:<json of the key fields>`, `v:<json of the value>`, `i:<index>`.

import { isObject, type JsonObject } from "../model/object.ts";

export type FieldSet = {
  /** The path up to here is itself a member. */
  readonly member: boolean;
  readonly children: ReadonlyMap<string, FieldSet>;
};

const NO_CHILDREN: ReadonlyMap<string, FieldSet> = new Map();

export const EMPTY: FieldSet = { member: false, children: NO_CHILDREN };
export const LEAF: FieldSet = { member: true, children: NO_CHILDREN };

export const isEmpty = (set: FieldSet): boolean => !set.member && set.children.size === 0;

/** A set with these children; those that are empty are left out. */
export const node = (member: boolean, children: Iterable<readonly [string, FieldSet]>): FieldSet => ({
  member,
  children: new Map([...children].filter(([, child]) => !isEmpty(child))),
});

export const union = (a: FieldSet, b: FieldSet): FieldSet => {
  if (isEmpty(a)) return b;
  if (isEmpty(b)) return a;
  const children = new Map(a.children);
  for (const [element, child] of b.children) children.set(element, union(children.get(element) ?? EMPTY, child));
  return { member: a.member || b.member, children };
};

export const intersection = (a: FieldSet, b: FieldSet): FieldSet =>
  node(
    a.member && b.member,
    [...a.children].map(([element, child]) => [element, intersection(child, b.children.get(element) ?? EMPTY)] as const),
  );

/** Members of `a` that are not in `b`. A member of `b` without children stands for all that lies below it. */
export const difference = (a: FieldSet, b: FieldSet): FieldSet => {
  if (b.member && b.children.size === 0) return EMPTY;
  return node(
    a.member && !b.member,
    [...a.children].map(([element, child]) => [element, difference(child, b.children.get(element) ?? EMPTY)] as const),
  );
};

export const sameSet = (a: FieldSet, b: FieldSet): boolean =>
  a.member === b.member &&
  a.children.size === b.children.size &&
  [...a.children].every(([element, child]) => sameSet(child, b.children.get(element) ?? EMPTY));

/** FieldsV1: a leaf is `{}`, a member with children has ".". */
export const encodeFields = (set: FieldSet): JsonObject => {
  const out: [string, unknown][] = [...set.children].map(([element, child]) => [element, encodeFields(child)]);
  if (set.member && set.children.size > 0) out.push([".", {}]);
  return Object.fromEntries(out.sort(([a], [b]) => (a < b ? -1 : 1)));
};

const decodeNode = (fields: JsonObject): FieldSet => {
  const children = new Map<string, FieldSet>();
  for (const [element, child] of Object.entries(fields)) {
    if (element !== "." && isObject(child)) children.set(element, decodeNode(child));
  }
  return { member: Object.hasOwn(fields, ".") || children.size === 0, children };
};

/** The set behind a `fieldsV1`; anything that is no object is the empty set. */
export const decodeFields = (fields: unknown): FieldSet => {
  if (!isObject(fields)) return EMPTY;
  const decoded = decodeNode(fields);
  return { member: false, children: decoded.children };
};

/** `f:spec` → `.spec`, `k:{"name":"a"}` → `[name="a"]`, `v:"x"` → `[="x"]`, `i:3` → `[3]` (fieldpath's String). */
const printElement = (element: string): string => {
  const rest = element.slice(2);
  if (element.startsWith("f:")) return `.${rest}`;
  if (element.startsWith("v:")) return `[=${rest}]`;
  if (element.startsWith("i:")) return `[${rest}]`;
  const keys: unknown = JSON.parse(rest);
  return `[${Object.entries(isObject(keys) ? keys : {})
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(",")}]`;
};

/** Every member's path as Kubernetes prints it, such as `.spec.containers[name="app"].image`. */
export const printPaths = (set: FieldSet, prefix = ""): readonly string[] => [
  ...(set.member ? [prefix] : []),
  ...[...set.children].flatMap(([element, child]) => printPaths(child, prefix + printElement(element))),
];
