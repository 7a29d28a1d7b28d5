// Who manages which fields, as kept in `metadata.managedFields`?

import { isObject, type JsonObject, objects } from "../model/object.ts";
import { decodeFields, encodeFields, type FieldSet, isEmpty } from "./field-set.ts";

export type Manager = {
  readonly name: string;
  readonly operation: "Apply" | "Update";
  readonly apiVersion: string;
  readonly subresource: string | undefined;
  /** RFC 3339; of the last change of the set. */
  readonly time: string | undefined;
  readonly fields: FieldSet;
};

export type ManagerId = Pick<Manager, "name" | "operation" | "apiVersion" | "subresource">;

/** One manager may own by applying and by updating, in several versions and subresources: each is an entry of its own. */
export const isManager = (manager: Manager, id: ManagerId): boolean =>
  manager.name === id.name &&
  manager.operation === id.operation &&
  manager.subresource === id.subresource &&
  // What was applied in one version is replaced by an apply in another; updates are kept apart by version.
  (id.operation === "Apply" || manager.apiVersion === id.apiVersion);

const text = (value: unknown): string => (typeof value === "string" ? value : "");

const decodeEntry = (entry: JsonObject): Manager => ({
  name: text(entry.manager),
  operation: entry.operation === "Apply" ? "Apply" : "Update",
  apiVersion: text(entry.apiVersion),
  subresource: text(entry.subresource) === "" ? undefined : text(entry.subresource),
  time: text(entry.time) === "" ? undefined : text(entry.time),
  fields: decodeFields(entry.fieldsV1),
});

export const managedFieldsOf = (object: JsonObject | undefined): readonly JsonObject[] => {
  const metadata = object?.metadata;
  return isObject(metadata) ? objects(metadata.managedFields) : [];
};

export const decodeManagers = (entries: readonly JsonObject[]): readonly Manager[] => entries.map(decodeEntry);

const encodeEntry = (manager: Manager): JsonObject => ({
  manager: manager.name,
  operation: manager.operation,
  apiVersion: manager.apiVersion,
  ...(manager.time === undefined ? {} : { time: manager.time }),
  fieldsType: "FieldsV1",
  fieldsV1: encodeFields(manager.fields),
  ...(manager.subresource === undefined ? {} : { subresource: manager.subresource }),
});

/** Appliers first, then by time and name (managedfields' sortEncodedManagedFields). */
const order = (a: Manager, b: Manager): number => {
  const key = (m: Manager): string => [m.operation, m.time ?? "", m.name, m.apiVersion, m.subresource ?? ""].join("\u0000");
  return key(a) < key(b) ? -1 : 1;
};

export const encodeManagers = (managers: readonly Manager[]): JsonObject[] =>
  managers
    .filter((manager) => !isEmpty(manager.fields))
    .sort(order)
    .map(encodeEntry);

/** The object with these managers; the field is absent when there are none. */
export const withManagers = (object: JsonObject, managers: readonly Manager[]): JsonObject => {
  const { managedFields: _old, ...metadata } = isObject(object.metadata) ? object.metadata : {};
  const entries = encodeManagers(managers);
  return { ...object, metadata: entries.length === 0 ? metadata : { ...metadata, managedFields: entries } };
};

/** As Kubernetes names a manager in a conflict: `"kubectl-client-side-apply" using apps/v1`. */
export const printManager = (manager: Manager): string => {
  const name =
    JSON.stringify(manager.name) + (manager.subresource === undefined ? "" : ` with subresource ${JSON.stringify(manager.subresource)}`);
  if (manager.operation === "Apply") return name;
  return `${name} using ${manager.apiVersion}${manager.time === undefined ? "" : ` at ${manager.time}`}`;
};
