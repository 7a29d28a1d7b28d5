// How are header fields read and edited, and which may not pass on?

import { foldedName, HOP_BY_HOP, isReserved } from "@ambit/shared/route/reserved.ts";
import type { HeaderEdits } from "@ambit/shared/route/types.ts";
import type { HeaderField, HeaderFields } from "./message.ts";

/** RFC 9110 section 5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** RFC 9110 section 5.5, with obs-text; anything above U+00FF would change when written as latin1. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

export const isToken = (text: string): boolean => TOKEN.test(text);
export const isFieldValue = (text: string): boolean => VALUE.test(text);

/** The first value of the name. */
export const firstOf = (fields: HeaderFields, name: string): string | undefined => {
  for (const [n, v] of fields) if (n === name) return v;
  return undefined;
};

/** All values of the name joined as one (RFC 9110 section 5.3), cookies by "; ". */
export const joined = (fields: HeaderFields, name: string): string | undefined => {
  let value: string | undefined;
  for (const [n, v] of fields) if (n === name) value = value === undefined ? v : `${value}${name === "cookie" ? "; " : ","}${v}`;
  return value;
};

/** Every name with its values joined, for policies and matches. */
export const asRecord = (fields: HeaderFields): Record<string, string | undefined> => {
  const record: Record<string, string | undefined> = Object.create(null);
  for (const [n, v] of fields) {
    const old = record[n];
    record[n] = old === undefined ? v : `${old}${n === "cookie" ? "; " : ","}${v}`;
  }
  return record;
};

export const without = (fields: HeaderFields, name: string): HeaderFields => fields.filter(([n]) => n !== name);

export const withField = (fields: HeaderFields, name: string, value: string): HeaderFields => [...without(fields, name), [name, value]];

const NO_OPTIONS: readonly string[] = [];

/** The options a Connection header lists, lower-case. */
export const connectionOptions = (fields: HeaderFields): readonly string[] => {
  const text = joined(fields, "connection");
  if (text === undefined) return NO_OPTIONS;
  return text
    .split(",")
    .map((o) => o.trim().toLowerCase())
    .filter((o) => o !== "");
};

/** Without hop-by-hop fields: the known ones and those the message itself names. `te: trailers` may pass (gRPC needs it). */
export const endToEnd = (fields: HeaderFields): HeaderFields => {
  const named = connectionOptions(fields);
  const drop = ([name, value]: HeaderField): boolean => {
    if (HOP_BY_HOP.has(name)) return true;
    if (name === "te") return value.toLowerCase() !== "trailers";
    // A Connection header that names these would strip what later hops decide by.
    return named.length > 0 && named.includes(name) && name !== "host" && name !== "content-length";
  };
  return fields.some(drop) ? fields.filter((f) => !drop(f)) : fields;
};

/** Who sent a message and by which way: written by proxies, believed by backends. */
const isForwarding = (folded: string): boolean => folded === "forwarded" || folded.startsWith("x-forwarded-");

/** A second spelling, with "_", of a name that the proxy writes or decides by: a backend that folds the two would believe it. */
export const isLookalike = (name: string): boolean => name.includes("_") && (isReserved(name) || isForwarding(foldedName(name)));

const FORBIDDEN_TRAILERS: ReadonlySet<string> = new Set(["host", "authorization", "cookie"]);

/** Trailers without fields that may not come after the content (RFC 9110 section 6.5.1): a backend may merge them into the headers. */
export const safeTrailers = (fields: HeaderFields): HeaderFields =>
  fields.filter(([n]) => !FORBIDDEN_TRAILERS.has(n) && !isReserved(n) && !isForwarding(foldedName(n)) && !n.startsWith(":"));

/** What a message's author may say: without hop-by-hop fields and without its length, which whoever writes the message tells. */
export const unframed = (fields: HeaderFields): HeaderFields => without(endToEnd(fields), "content-length");

/** Set replaces, add appends to an existing value with ",", remove drops (Gateway API HTTPHeaderFilter). */
export const editFields = (fields: HeaderFields, edits: HeaderEdits): HeaderFields => {
  let out = fields;
  for (const { name, value } of edits.set) out = withField(out, name.toLowerCase(), value);
  for (const { name, value } of edits.add) {
    const key = name.toLowerCase();
    const old = joined(out, key);
    out = withField(out, key, old === undefined ? value : `${old},${value}`);
  }
  for (const name of edits.remove) out = without(out, name.toLowerCase());
  return out;
};
