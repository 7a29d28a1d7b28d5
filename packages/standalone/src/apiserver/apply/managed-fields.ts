// Who owns which field after a create, update or patch?

import { isObject, type JsonObject, str } from "../model/object.ts";
import type { JsonSchema } from "../schema/types.ts";
import { difference, EMPTY, sameSet, union } from "./field-set.ts";
import { decodeManagers, isManager, type Manager, type ManagerId, managedFieldsOf, withManagers } from "./managers.ts";
import { trackedPart } from "./tracked.ts";
import { type Changes, compare } from "./typed.ts";

export type UpdateRequest = {
  /** The stored object, or undefined on create. */
  readonly before: JsonObject | undefined;
  /** The object as it will be stored, before or after defaulting; its own managedFields are respected (a client may edit them). */
  readonly after: JsonObject;
  readonly manager: string;
  /** RFC 3339. */
  readonly now: string;
  readonly subresource?: string | undefined;
  readonly schema: JsonSchema | undefined;
  /** Top-level fields that this request cannot change, such as `status` on the main resource. */
  readonly ignore?: readonly string[];
};

/** `managedFields: [{}]` resets ownership. */
const isReset = (entries: readonly JsonObject[]): boolean =>
  entries.length === 1 && entries[0]?.manager === undefined && entries[0]?.operation === undefined;

/** The request's own managedFields where it may set them, else the stored ones (managedfields' decodeLiveOrNew). */
const managersBefore = (request: UpdateRequest): readonly Manager[] => {
  const stored = managedFieldsOf(request.before);
  if (request.subresource !== undefined) return decodeManagers(stored);
  const sent = managedFieldsOf(request.after);
  if (isReset(sent)) return [];
  return decodeManagers(sent.length === 0 ? stored : sent);
};

/** Everybody else loses what this write changed or removed; the writer owns what it changed. */
export const afterWrite = (
  managers: readonly Manager[],
  changes: Changes,
  writer: ManagerId & { readonly time: string },
): readonly Manager[] => {
  const own = managers.find((manager) => isManager(manager, writer));
  const fields = union(difference(own?.fields ?? EMPTY, changes.removed), changes.changed);
  const unchanged = own !== undefined && sameSet(own.fields, fields);
  const others = managers
    .filter((manager) => manager !== own)
    .map((manager) => ({ ...manager, fields: difference(difference(manager.fields, changes.changed), changes.removed) }));
  return [...others, { ...writer, time: unchanged ? own.time : writer.time, fields }];
};

/** The object `after` with `metadata.managedFields` brought up to date. Unchanged ownership keeps its time, so a no-op write stays one. */
export const updateManagedFields = (request: UpdateRequest): JsonObject => {
  const ignore = request.ignore ?? [];
  const changes = compare(
    request.schema,
    request.before === undefined ? {} : trackedPart(request.before, ignore),
    trackedPart(request.after, ignore),
  );
  const writer = {
    name: request.manager,
    operation: "Update" as const,
    apiVersion: str(request.after.apiVersion) ?? "",
    subresource: request.subresource,
    time: request.now,
  };
  const managers = afterWrite(managersBefore(request), changes, writer);
  return withManagers(isObject(request.after.metadata) ? request.after : { ...request.after, metadata: {} }, managers);
};
