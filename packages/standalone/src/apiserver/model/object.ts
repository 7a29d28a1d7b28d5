// What is a Kubernetes object to this server, and how is loosely typed JSON read?

export type JsonObject = { [field: string]: unknown };

export type OwnerReference = {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
};

export type ObjectMeta = {
  name?: string;
  generateName?: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  deletionGracePeriodSeconds?: number;
  labels?: { [key: string]: string };
  annotations?: { [key: string]: string };
  ownerReferences?: OwnerReference[];
  finalizers?: string[];
  managedFields?: JsonObject[];
  selfLink?: string;
};

/** Objects in the store are never edited: every write makes a copy. */
export type KubeObject = { apiVersion: string; kind: string; metadata: ObjectMeta; [field: string]: unknown };

export const isObject = (v: unknown): v is JsonObject => typeof v === "object" && v !== null && !Array.isArray(v);

/** The value as an object, or an empty one: for reading optional parts, never for editing. */
export const obj = (v: unknown): JsonObject => (isObject(v) ? v : {});

export const list = (v: unknown): readonly unknown[] => (Array.isArray(v) ? v : []);

export const objects = (v: unknown): JsonObject[] => (Array.isArray(v) ? v.filter(isObject) : []);

export const str = (v: unknown): string | undefined => (typeof v === "string" ? v : undefined);

export const num = (v: unknown): number | undefined => (typeof v === "number" ? v : undefined);

export const bool = (v: unknown): boolean | undefined => (typeof v === "boolean" ? v : undefined);

export const strings = (v: unknown): string[] => (Array.isArray(v) ? v.filter((x) => typeof x === "string") : []);

/** A map whose values are all strings, such as labels or a selector; other values are left out. */
export const stringMap = (v: unknown): { [key: string]: string } =>
  Object.fromEntries(Object.entries(obj(v)).filter((e): e is [string, string] => typeof e[1] === "string"));

/** Follows a path of field names; undefined where it ends early. */
export const at = (v: unknown, ...path: readonly string[]): unknown => path.reduce<unknown>((o, k) => (isObject(o) ? o[k] : undefined), v);

/** The child object of that name, made when it is absent or no object. */
export const child = (parent: JsonObject, field: string): JsonObject => {
  const have = parent[field];
  if (isObject(have)) return have;
  const made: JsonObject = {};
  parent[field] = made;
  return made;
};

/** Sets a field only when it is absent (null counts as absent, as Kubernetes decodes it). */
export const setDefault = (o: JsonObject, field: string, value: unknown): void => {
  if (o[field] === undefined || o[field] === null) o[field] = value;
};

export const clone = <T>(v: T): T => structuredClone(v);

/** Deep equality of JSON values; the order of fields does not count. */
export const sameJson = (a: unknown, b: unknown): boolean => {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((x, i) => sameJson(x, b[i]));
  if (!isObject(a) || !isObject(b)) return false;
  const present = (o: JsonObject) => Object.keys(o).filter((k) => o[k] !== undefined);
  const keys = present(a);
  return keys.length === present(b).length && keys.every((k) => b[k] !== undefined && sameJson(a[k], b[k]));
};

/** The API group of an apiVersion: "" for the core group. */
export const groupOf = (apiVersion: string): string => (apiVersion.includes("/") ? apiVersion.slice(0, apiVersion.indexOf("/")) : "");

export const versionOf = (apiVersion: string): string => apiVersion.slice(apiVersion.indexOf("/") + 1);

export const apiVersionOf = (group: string, version: string): string => (group === "" ? version : `${group}/${version}`);
