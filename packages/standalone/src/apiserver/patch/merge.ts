// What does a document look like after an RFC 7396 JSON Merge Patch?

import { isObject } from "../model/object.ts";

/** Applies a merge patch: null removes a member, objects merge, everything else replaces. Changes neither argument. */
export const applyMergePatch = (doc: unknown, patch: unknown): unknown => {
  if (!isObject(patch)) return patch;
  const members = new Map<string, unknown>(isObject(doc) ? Object.entries(doc) : []);
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) members.delete(key);
    else members.set(key, applyMergePatch(members.get(key), value));
  }
  return Object.fromEntries(members);
};
