// Which part of an object is subject to ownership?

import { isObject, type JsonObject } from "../model/object.ts";

/** Fields of metadata that only the server sets (managedfields' stripMeta). */
const SERVER_METADATA = new Set([
  "name",
  "namespace",
  "creationTimestamp",
  "selfLink",
  "uid",
  "generation",
  "managedFields",
  "resourceVersion",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
]);

/** The object without apiVersion, kind, the server's metadata and the fields that the request may not touch (such as `status`). */
export const trackedPart = (object: JsonObject, ignore: readonly string[]): JsonObject => {
  const { apiVersion: _version, kind: _kind, metadata, ...rest } = object;
  const kept = Object.entries(rest).filter(([name]) => !ignore.includes(name));
  const meta = isObject(metadata) ? Object.entries(metadata).filter(([name]) => !SERVER_METADATA.has(name)) : [];
  return { ...(meta.length === 0 ? {} : { metadata: Object.fromEntries(meta) }), ...Object.fromEntries(kept) };
};
