// How are header fields read and edited, and which may not pass on?

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

/** RFC 9110 section 7.6.1, and what names a connection in HTTP/1. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
]);

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

const FORBIDDEN_TRAILERS: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  "content-length",
  "host",
  "te",
  "trailer",
  "authorization",
  "cookie",
]);

/** Trailers without fields that may not come after the content (RFC 9110 section 6.5.1). */
export const safeTrailers = (fields: HeaderFields): HeaderFields =>
  fields.filter(([n]) => !FORBIDDEN_TRAILERS.has(n) && !n.startsWith(":"));

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
