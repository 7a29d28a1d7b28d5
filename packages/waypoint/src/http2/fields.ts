// How do HTTP/2 header lists and our messages turn into each other?

import { endToEnd, firstOf, isFieldValue, isToken, joined, safeTrailers, without } from "../http/fields.ts";
import type { HeaderField, HeaderFields } from "../http/message.ts";
import { isAuthority, isPath } from "../http1/head.ts";

/** A flat list as node:http2 gives it: name, value, name, value. */
export const fromRaw = (raw: readonly string[]): HeaderField[] => {
  const fields: HeaderField[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) fields.push([raw[i] ?? "", raw[i + 1] ?? ""]);
  return fields;
};

export const toRaw = (fields: HeaderFields): string[] => fields.flat();

export type H2RequestHead = {
  readonly method: string;
  readonly scheme: string;
  readonly path: string;
  readonly authority: string;
  readonly fields: HeaderFields;
  readonly length: number | undefined;
};

const lengthOf = (fields: HeaderFields): number | undefined => {
  const text = firstOf(fields, "content-length");
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
};

/** The request a header list stands for, or why it is none. As strict as for HTTP/1: it may be forwarded as that. */
export const readRequest = (raw: readonly string[], endStream: boolean): H2RequestHead | string => {
  const all = fromRaw(raw);
  const [method, scheme, path] = [firstOf(all, ":method"), firstOf(all, ":scheme"), firstOf(all, ":path")];
  const authority = firstOf(all, ":authority") ?? firstOf(all, "host") ?? "";
  if (method === undefined || !isToken(method)) return "the method cannot be read";
  if (method === "CONNECT") return "CONNECT is not served here";
  if (path === undefined || !isPath(path)) return "the path has a character that is not allowed";
  if (!isAuthority(authority)) return "the authority has a character that is not allowed";
  const fields = all.filter(([n]) => !n.startsWith(":") && n !== "host");
  if (fields.some(([n, v]) => !isToken(n) || !isFieldValue(v))) return "a header has a character that is not allowed";
  if (fields.filter(([n]) => n === "content-length").length > 1) return "content-length is given more than once";
  const cookie = joined(fields, "cookie");
  // Cookies may come in pieces (RFC 9113 section 8.2.3); HTTP/1 readers want one.
  const whole: HeaderFields = cookie === undefined ? fields : [...without(fields, "cookie"), ["cookie", cookie]];
  return { method, scheme: scheme ?? "http", path, authority, fields: endToEnd(whole), length: endStream ? 0 : lengthOf(fields) };
};

export type H2ResponseHead = { readonly status: number; readonly fields: HeaderFields; readonly length: number | undefined };

export const readResponse = (raw: readonly string[], endStream: boolean): H2ResponseHead => {
  const all = fromRaw(raw);
  const fields = all.filter(([n]) => !n.startsWith(":"));
  return { status: Number(firstOf(all, ":status") ?? "0"), fields: endToEnd(fields), length: endStream ? 0 : lengthOf(fields) };
};

export const readTrailers = (raw: readonly string[]): HeaderFields => safeTrailers(fromRaw(raw));
