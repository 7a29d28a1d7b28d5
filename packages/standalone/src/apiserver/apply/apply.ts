// What becomes of an object when a manager applies its fields (server-side apply), and with whom does it conflict?
//
// The rules of structured-merge-diff's merge/update.go and apimachinery's managedfields.

import { isObject, type JsonObject, str } from "../model/object.ts";
import type { JsonSchema } from "../schema/types.ts";
import { difference, EMPTY, intersection, printPaths, sameSet } from "./field-set.ts";
import { decodeManagers, isManager, type Manager, type ManagerId, managedFieldsOf, printManager, withManagers } from "./managers.ts";
import { trackedPart } from "./tracked.ts";
import { BadList, compare, fieldsOf, merge, prune, refuseDuplicates, unionAll } from "./typed.ts";

export type ApplyRequest = {
  /** The stored object, or undefined when it does not exist yet. */
  readonly live: JsonObject | undefined;
  readonly applied: JsonObject;
  readonly manager: string;
  readonly force: boolean;
  readonly schema: JsonSchema | undefined;
  /** RFC 3339, written into managedFields. */
  readonly now: string;
  readonly subresource?: string | undefined;
  /** Top-level fields that this request cannot change, such as `status` on the main resource: ignored in `applied`. */
  readonly ignore?: readonly string[];
};

export type Conflict = {
  /** As Kubernetes prints it: `"kubectl-client-side-apply" using apps/v1 at 2024-01-01T00:00:00Z`. */
  readonly manager: string;
  /** Such as `.spec.replicas`. */
  readonly field: string;
};

export type ApplyOutcome =
  | { readonly kind: "ok"; readonly object: JsonObject }
  | { readonly kind: "conflict"; readonly conflicts: readonly Conflict[] }
  | { readonly kind: "invalid"; readonly message: string };

const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";

/** The message of the 409 (managedfields' getConflictMessage). */
export const conflictMessage = (conflicts: readonly Conflict[]): string => {
  const [first] = conflicts;
  if (conflicts.length === 1 && first !== undefined) return `Apply failed with 1 conflict: conflict with ${first.manager}: ${first.field}`;
  const managers = [...new Set(conflicts.map((conflict) => conflict.manager))].sort();
  const lines = managers.flatMap((manager) => [
    `conflicts with ${manager}:`,
    ...conflicts.filter((conflict) => conflict.manager === manager).map((conflict) => `- ${conflict.field}`),
  ]);
  return `Apply failed with ${conflicts.length} conflicts: ${lines.join("\n")}`;
};

/** Null means "not set" in an applied configuration. */
const withoutNulls = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, child]) => child !== null)
      .map(([name, child]) => [name, withoutNulls(child)]),
  );
};

/** An object that was stored before ownership was kept belongs to nobody who applies. */
const managersOf = (request: ApplyRequest): readonly Manager[] => {
  const { live } = request;
  const entries = managedFieldsOf(live);
  if (live === undefined || entries.length > 0) return decodeManagers(entries);
  const fields = fieldsOf(request.schema, trackedPart(live, request.ignore ?? []));
  return [
    {
      name: "before-first-apply",
      operation: "Update",
      apiVersion: str(live.apiVersion) ?? "",
      subresource: undefined,
      time: request.now,
      fields,
    },
  ];
};

/**
 * Applies a whole configuration. The object comes back merged and with its managedFields, not yet defaulted or validated; when
 * nothing changed it equals the live one. Fields that the manager applied before, that are not in `applied` and that nobody else
 * owns are removed.
 */
export const serverSideApply = (request: ApplyRequest): ApplyOutcome => {
  if (managedFieldsOf(request.applied).length > 0) return { kind: "invalid", message: "metadata.managedFields must be nil" };
  try {
    return applyTo(request);
  } catch (e) {
    if (e instanceof BadList) return { kind: "invalid", message: `failed to create typed patch object: ${e.message}` };
    throw e;
  }
};

const applyTo = (request: ApplyRequest): ApplyOutcome => {
  const ignore = request.ignore ?? [];
  const applied = trackedPart(withoutNulls(request.applied) as JsonObject, ignore);
  refuseDuplicates(request.schema, applied);
  const id: ManagerId = {
    name: request.manager,
    operation: "Apply",
    apiVersion: str(request.applied.apiVersion) ?? "",
    subresource: request.subresource,
  };
  const managers = managersOf(request);
  const own = managers.find((manager) => isManager(manager, id));
  const others = managers.filter((manager) => manager !== own);
  const fields = fieldsOf(request.schema, applied);
  const live = request.live ?? {};
  const liveTracked = trackedPart(live, ignore);
  const kept = unionAll([fields, ...others.map((manager) => manager.fields)]);
  const merged = prune(request.schema, merge(request.schema, liveTracked, applied), { last: own?.fields ?? EMPTY, kept });
  const changes = compare(request.schema, liveTracked, merged);
  const conflicts = others.flatMap((manager) => {
    return printPaths(intersection(manager.fields, changes.changed)).map((field) => ({ manager, field }));
  });
  const unforced = isMigration(request) ? conflicts.filter((conflict) => !migratable(request).has(conflict.field)) : conflicts;
  if (!request.force && unforced.length > 0) {
    return { kind: "conflict", conflicts: unforced.map(({ manager, field }) => ({ manager: printManager(manager), field })) };
  }
  const unchanged = own !== undefined && sameSet(own.fields, fields) && own.apiVersion === id.apiVersion;
  const after: readonly Manager[] = [
    ...others.map((manager) => ({ ...manager, fields: difference(difference(manager.fields, changes.changed), changes.removed) })),
    { ...id, time: unchanged ? own.time : request.now, fields },
  ];
  return { kind: "ok", object: withManagers(assemble(request, merged), after) };
};

/** `kubectl apply --server-side` over an object that `kubectl apply` made takes over what it applied (managedfields' lastAppliedManager). */
const isMigration = (request: ApplyRequest): boolean => request.manager === "kubectl" && lastApplied(request) !== undefined;

const lastApplied = (request: ApplyRequest): JsonObject | undefined => {
  const text = annotationsOf(request.live)[LAST_APPLIED];
  if (typeof text !== "string" || text === "") return undefined;
  try {
    const parsed: unknown = JSON.parse(text);
    return isObject(parsed) ? parsed : undefined;
  } catch {
    // The annotation is the client's own note; one that is no JSON only means that there is nothing to migrate from.
    return undefined;
  }
};

const migratable = (request: ApplyRequest): ReadonlySet<string> =>
  new Set(printPaths(fieldsOf(request.schema, trackedPart(lastApplied(request) ?? {}, request.ignore ?? []))));

const annotationsOf = (object: JsonObject | undefined): JsonObject => {
  const metadata = object?.metadata;
  const annotations = isObject(metadata) ? metadata.annotations : undefined;
  return isObject(annotations) ? annotations : {};
};

/** The merged fields put back among those that no apply touches. */
const assemble = (request: ApplyRequest, merged: unknown): JsonObject => {
  const tracked = isObject(merged) ? merged : {};
  const live = request.live ?? request.applied;
  const untracked = Object.entries(live).filter(
    ([name]) => name !== "metadata" && (request.ignore ?? []).includes(name) && request.live !== undefined,
  );
  const liveMeta = isObject(live.metadata) ? live.metadata : {};
  const trackedMeta = trackedPart({ metadata: liveMeta }, []).metadata;
  const serverMeta = Object.entries(liveMeta).filter(([name]) => !(isObject(trackedMeta) && Object.hasOwn(trackedMeta, name)));
  const metadata = { ...Object.fromEntries(serverMeta), ...(isObject(tracked.metadata) ? tracked.metadata : {}) };
  const object: JsonObject = {
    ...Object.fromEntries(untracked),
    ...tracked,
    apiVersion: request.applied.apiVersion,
    kind: request.applied.kind,
    metadata,
  };
  return withLastApplied(request, object);
};

/** While both ways of applying are in use, kubectl's annotation is kept true (managedfields' lastAppliedUpdater). */
const withLastApplied = (request: ApplyRequest, object: JsonObject): JsonObject => {
  if (!isMigration(request)) return object;
  const metadata = isObject(object.metadata) ? object.metadata : {};
  const annotations = { ...annotationsOf(object), [LAST_APPLIED]: `${JSON.stringify(request.applied)}\n` };
  return { ...object, metadata: { ...metadata, annotations } };
};
