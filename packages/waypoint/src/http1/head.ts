// What do the bytes of an HTTP/1.x head say, strictly? (RFC 9112; anything two readers could read differently is refused)

import { isFieldValue, isToken } from "../http/fields.ts";
import type { HeaderField, HeaderFields } from "../http/message.ts";

export type HeadLimits = { readonly bytes: number; readonly fields: number };
/** Envoy's max_request_headers_kb and max_headers_count. */
export const HEAD_LIMITS: HeadLimits = { bytes: 60 * 1024, fields: 100 };

export type BadHead = { readonly kind: "bad"; readonly status: 400 | 408 | 413 | 431 | 501 | 505; readonly reason: string };
export type FoundHead<H> = {
  readonly kind: "head";
  readonly head: H /** Bytes of the buffer that were the head. */;
  readonly bytes: number;
};
export type HeadResult<H> = { readonly kind: "more" } | FoundHead<H> | BadHead;

export type Framing =
  | { readonly kind: "none" }
  | { readonly kind: "length"; readonly length: number }
  | { readonly kind: "chunked" }
  | { readonly kind: "until-close" };

export type RequestHead = {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly minor: 0 | 1;
  /** All fields of the wire, Host and hop-by-hop ones too. */
  readonly fields: HeaderFields;
  readonly framing: Framing;
};

export type ResponseHead = { readonly status: number; readonly minor: 0 | 1; readonly fields: HeaderFields; readonly framing: Framing };

const bad = (status: BadHead["status"], reason: string): BadHead => ({ kind: "bad", status, reason });
const MORE = { kind: "more" } as const;
const CR = 13;
const LF = 10;

/** Index of the head's end (past the empty line), -1 when it has not come, or why it never will. */
const headEnd = (buf: Buffer, start: number, limits: HeadLimits): number | BadHead => {
  for (let at = buf.indexOf(LF, start); at >= 0; at = buf.indexOf(LF, at + 1)) {
    if (at - start >= limits.bytes) break;
    if (at === start || buf[at - 1] !== CR) return bad(400, "a line ends in LF without CR");
    if (at >= start + 3 && buf[at - 2] === LF) return at + 1;
  }
  return buf.length - start >= limits.bytes ? bad(431, `the head is larger than ${limits.bytes} bytes`) : -1;
};

/** Empty lines before a request line are passed over (RFC 9112 section 2.2), a few. */
const skipEmptyLines = (buf: Buffer): number => {
  let at = 0;
  while (at < 8 && buf[at] === CR && buf[at + 1] === LF) at += 2;
  return at;
};

const parseField = (line: string): HeaderField | string => {
  const colon = line.indexOf(":");
  if (line.startsWith(" ") || line.startsWith("\t")) return "a header line is folded";
  if (colon < 1) return "a header line has no name";
  const name = line.slice(0, colon);
  if (!isToken(name)) return "a header name has a character that is not allowed";
  const value = line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, "");
  return isFieldValue(value) ? [name.toLowerCase(), value] : "a header value has a control character";
};

/** Header lines (without the empty line that ends them) to fields. */
export const parseFields = (lines: readonly string[], limits: HeadLimits): HeaderFields | BadHead => {
  if (lines.length > limits.fields) return bad(431, `there are more than ${limits.fields} header fields`);
  const fields: HeaderField[] = [];
  for (const line of lines) {
    const field = parseField(line);
    if (typeof field === "string") return bad(400, field);
    fields.push(field);
  }
  return fields;
};

const isBad = (v: object): v is BadHead => "kind" in v && v.kind === "bad";

type Lines = { readonly first: string; readonly fields: HeaderFields; readonly bytes: number };

const headLines = (buf: Buffer, start: number, limits: HeadLimits): Lines | BadHead | typeof MORE => {
  const end = headEnd(buf, start, limits);
  if (typeof end !== "number") return end;
  if (end < 0) return MORE;
  const [first = "", ...lines] = buf.toString("latin1", start, end - 4).split("\r\n");
  const fields = parseFields(lines, limits);
  return isBad(fields) ? fields : { first, fields, bytes: end };
};

const valuesOf = (fields: HeaderFields, name: string): string[] => fields.flatMap(([n, v]) => (n === name ? [v] : []));

/** Length and coding as declared, or why they cannot be trusted. */
const declared = (fields: HeaderFields, minor: 0 | 1): { length: number | undefined; chunked: boolean } | BadHead => {
  const lengths = valuesOf(fields, "content-length");
  const codings = valuesOf(fields, "transfer-encoding");
  if (codings.length > 0) {
    if (lengths.length > 0) return bad(400, "Content-Length and Transfer-Encoding are both given");
    if (minor === 0) return bad(400, "Transfer-Encoding in HTTP/1.0");
    if (codings.length > 1 || codings[0]?.toLowerCase() !== "chunked") return bad(501, "a transfer coding other than chunked");
    return { length: undefined, chunked: true };
  }
  const [length] = lengths;
  if (length === undefined) return { length: undefined, chunked: false };
  if (lengths.length > 1) return bad(400, "Content-Length is given more than once");
  if (!/^\d{1,15}$/.test(length)) return bad(400, "Content-Length is not a number");
  return { length: Number(length), chunked: false };
};

const AUTHORITY = /^[A-Za-z0-9\-._~!$&'()*+,;=%:[\]]*$/;
export const isAuthority = (text: string): boolean => AUTHORITY.test(text);
/** Visible ASCII without "#": what may stand in a request target. */
const TARGET = /^[\x21\x22\x24-\x7e]+$/;
export const isPath = (text: string): boolean => (text.startsWith("/") || text === "*") && TARGET.test(text);

/** Path and authority of a request target; an absolute one overrides Host (RFC 9112 section 3.2.2). */
const readTarget = (method: string, target: string, host: string): { path: string; authority: string } | BadHead => {
  if (method === "CONNECT") return bad(400, "CONNECT is not served here");
  if (!TARGET.test(target)) return bad(400, "the request target has a character that is not allowed");
  if (target.startsWith("/") || (target === "*" && method === "OPTIONS")) return { path: target, authority: host };
  const absolute = /^https?:\/\/([^/?]*)(.*)$/i.exec(target);
  const [, authority = "", rest = ""] = absolute ?? [];
  if (absolute === null || authority === "" || !isAuthority(authority)) return bad(400, "the request target is neither a path nor a URL");
  return { path: rest.startsWith("/") ? rest : `/${rest}`, authority };
};

const readHost = (fields: HeaderFields, minor: 0 | 1): string | BadHead => {
  const [host, second] = valuesOf(fields, "host");
  if (second !== undefined) return bad(400, "Host is given more than once");
  if (host === undefined) return minor === 1 ? bad(400, "Host is missing") : "";
  return isAuthority(host) ? host : bad(400, "Host has a character that is not allowed");
};

/** The request head at the buffer's start: all of it, a wish for more bytes, or a refusal. Equal for every way of splitting the bytes. */
export const parseRequestHead = (buf: Buffer, limits: HeadLimits = HEAD_LIMITS): HeadResult<RequestHead> => {
  const lines = headLines(buf, skipEmptyLines(buf), limits);
  if ("kind" in lines) return lines;
  const m = /^(\S+) (\S+) HTTP\/(\d)\.(\d)$/.exec(lines.first);
  const [, method = "", target = "", major, digit] = m ?? [];
  if (m === null || !isToken(method)) return bad(400, "the request line cannot be read");
  if (major !== "1") return bad(505, `HTTP/${major}.${digit} is not spoken here`);
  const minor = digit === "0" ? 0 : 1;
  const host = readHost(lines.fields, minor);
  if (typeof host !== "string") return host;
  const where = readTarget(method, target, host);
  if ("kind" in where) return where;
  const size = declared(lines.fields, minor);
  if ("kind" in size) return size;
  const framing: Framing = size.chunked
    ? { kind: "chunked" }
    : (size.length ?? 0) === 0
      ? { kind: "none" }
      : { kind: "length", length: size.length ?? 0 };
  return { kind: "head", head: { method, ...where, minor, fields: lines.fields, framing }, bytes: lines.bytes };
};

const NO_CONTENT: ReadonlySet<number> = new Set([204, 304]);
/** Answers that have no content whatever their fields say (RFC 9112 section 6.3). */
export const hasNoContent = (method: string, status: number): boolean => method === "HEAD" || status < 200 || NO_CONTENT.has(status);

/** The response head at the buffer's start, for a request with the method. */
export const parseResponseHead = (buf: Buffer, method: string, limits: HeadLimits = HEAD_LIMITS): HeadResult<ResponseHead> => {
  const lines = headLines(buf, 0, limits);
  if ("kind" in lines) return lines;
  const m = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: [^\0\r\n]*)?$/.exec(lines.first);
  const [, digit, code = ""] = m ?? [];
  if (m === null) return bad(400, "the status line cannot be read");
  const minor = digit === "0" ? 0 : 1;
  const status = Number(code);
  const size = declared(lines.fields, minor);
  if ("kind" in size) return size;
  const framing: Framing = hasNoContent(method, status)
    ? { kind: "none" }
    : size.chunked
      ? { kind: "chunked" }
      : size.length === undefined
        ? { kind: "until-close" }
        : size.length === 0
          ? { kind: "none" }
          : { kind: "length", length: size.length };
  return { kind: "head", head: { status, minor, fields: lines.fields, framing }, bytes: lines.bytes };
};
