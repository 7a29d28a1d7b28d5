// What does a document look like after an RFC 6902 JSON Patch?

import { err, ok, type Result } from "@ambit/shared/runtime/result.ts";
import { isObject, sameJson } from "../model/object.ts";

type Operation =
  | { op: "add" | "replace" | "test"; path: readonly string[]; value: unknown; text: string }
  | { op: "remove"; path: readonly string[]; text: string }
  | { op: "move" | "copy"; from: readonly string[]; path: readonly string[]; text: string };

/** RFC 6901: `/a~1b/0` to its unescaped reference tokens; "" is the whole document. */
const parsePointer = (pointer: unknown): Result<readonly string[]> => {
  if (typeof pointer !== "string") return err("a JSON pointer must be a string");
  if (pointer === "") return ok([]);
  if (!pointer.startsWith("/")) return err(`the JSON pointer "${pointer}" does not start with "/"`);
  if (/~(?![01])/.test(pointer)) return err(`the JSON pointer "${pointer}" has a "~" that is neither "~0" nor "~1"`);
  return ok(
    pointer
      .slice(1)
      .split("/")
      .map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~")),
  );
};

const parseOperation = (raw: unknown): Result<Operation> => {
  if (!isObject(raw)) return err("every operation of a JSON patch must be an object");
  const path = parsePointer(raw.path);
  if (!path.ok) return path;
  const text = String(raw.path);
  switch (raw.op) {
    case "add":
    case "replace":
    case "test":
      if (!Object.hasOwn(raw, "value")) return err(`the operation "${raw.op}" at "${text}" has no value`);
      return ok({ op: raw.op, path: path.value, value: raw.value, text });
    case "remove":
      return ok({ op: "remove", path: path.value, text });
    case "move":
    case "copy": {
      const from = parsePointer(raw.from);
      return from.ok ? ok({ op: raw.op, from: from.value, path: path.value, text }) : from;
    }
    default:
      return err(`"${String(raw.op)}" is not an operation of a JSON patch`);
  }
};

/** The index a reference token names in an array (RFC 6901 §4: no leading zeros), or nothing. */
const arrayIndex = (token: string, length: number): number | undefined =>
  /^(0|[1-9][0-9]*)$/.test(token) && Number(token) < length ? Number(token) : undefined;

const missing = (path: readonly string[]): Result<never> => err(`the path "/${path.join("/")}" does not exist`);

const read = (doc: unknown, path: readonly string[]): Result<unknown> => {
  let at = doc;
  for (const token of path) {
    if (Array.isArray(at)) {
      const index = arrayIndex(token, at.length);
      if (index === undefined) return missing(path);
      at = at[index];
    } else if (isObject(at) && Object.hasOwn(at, token)) at = at[token];
    else return missing(path);
  }
  return ok(at);
};

/** Copies the spine from the root to `path`'s parent and lets `edit` change the parent's copy. */
const edited = (doc: unknown, path: readonly string[], edit: (parent: unknown, token: string) => Result<unknown>): Result<unknown> => {
  const [head, ...rest] = path;
  if (head === undefined) return missing(path);
  if (rest.length === 0) return edit(doc, head);
  if (Array.isArray(doc)) {
    const index = arrayIndex(head, doc.length);
    if (index === undefined) return missing(path);
    const child = edited(doc[index], rest, edit);
    return child.ok ? ok(doc.with(index, child.value)) : child;
  }
  if (!isObject(doc) || !Object.hasOwn(doc, head)) return missing(path);
  const child = edited(doc[head], rest, edit);
  return child.ok ? ok(withKey(doc, head, child.value)) : child;
};

/** A copy with one key set; defined rather than assigned, so that a key "__proto__" is only a key. */
const withKey = (object: Record<string, unknown>, key: string, value: unknown): Record<string, unknown> => {
  const copy = { ...object };
  Object.defineProperty(copy, key, { value, enumerable: true, configurable: true, writable: true });
  return copy;
};

const add = (doc: unknown, path: readonly string[], value: unknown): Result<unknown> => {
  if (path.length === 0) return ok(value);
  return edited(doc, path, (parent, token) => {
    if (isObject(parent)) return ok(withKey(parent, token, value));
    if (!Array.isArray(parent)) return missing(path);
    const index = token === "-" ? parent.length : arrayIndex(token, parent.length + 1);
    return index === undefined ? err(`the index "${token}" is outside the array`) : ok(parent.toSpliced(index, 0, value));
  });
};

const remove = (doc: unknown, path: readonly string[]): Result<unknown> => {
  if (path.length === 0) return err("the whole document cannot be removed");
  return edited(doc, path, (parent, token) => {
    if (Array.isArray(parent)) {
      const index = arrayIndex(token, parent.length);
      return index === undefined ? missing(path) : ok(parent.toSpliced(index, 1));
    }
    if (!isObject(parent) || !Object.hasOwn(parent, token)) return missing(path);
    const { [token]: _gone, ...rest } = parent;
    return ok(rest);
  });
};

const replace = (doc: unknown, path: readonly string[], value: unknown): Result<unknown> => {
  if (path.length === 0) return ok(value);
  return edited(doc, path, (parent, token) => {
    if (Array.isArray(parent)) {
      const index = arrayIndex(token, parent.length);
      return index === undefined ? missing(path) : ok(parent.with(index, value));
    }
    return isObject(parent) && Object.hasOwn(parent, token) ? ok(withKey(parent, token, value)) : missing(path);
  });
};

const isPrefix = (prefix: readonly string[], path: readonly string[]): boolean =>
  prefix.length < path.length && prefix.every((token, i) => token === path[i]);

const step = (doc: unknown, operation: Operation): Result<unknown> => {
  switch (operation.op) {
    case "add":
      return add(doc, operation.path, operation.value);
    case "replace":
      return replace(doc, operation.path, operation.value);
    case "remove":
      return remove(doc, operation.path);
    case "test": {
      const found = read(doc, operation.path);
      if (!found.ok) return found;
      // Numbers by value, objects whatever the order of their members (RFC 6902 §4.6).
      return sameJson(found.value, operation.value) ? ok(doc) : err(`testing value ${operation.text} failed`);
    }
    case "copy": {
      const value = read(doc, operation.from);
      return value.ok ? add(doc, operation.path, value.value) : value;
    }
    case "move": {
      if (isPrefix(operation.from, operation.path)) return err(`"/${operation.from.join("/")}" cannot be moved into itself`);
      const value = read(doc, operation.from);
      if (!value.ok) return value;
      if (operation.from.length === 0) return ok(value.value);
      const without = remove(doc, operation.from);
      return without.ok ? add(without.value, operation.path, value.value) : without;
    }
  }
};

/**
 * Applies a whole JSON Patch, or none of it. The document is never changed; unchanged parts are shared with the result.
 * Errors: one sentence saying which operation does not fit (RFC 6902 §5: the patch as a whole fails).
 */
export const applyJsonPatch = (doc: unknown, operations: unknown): Result<unknown> => {
  if (!Array.isArray(operations)) return err("a JSON patch must be an array of operations");
  let at = doc;
  for (const raw of operations) {
    const operation = parseOperation(raw);
    if (!operation.ok) return operation;
    const next = step(at, operation.value);
    if (!next.ok) return next;
    at = next.value;
  }
  return ok(at);
};
