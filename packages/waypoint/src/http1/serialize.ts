// Which bytes are an HTTP/1.1 head?

import { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import { isFieldValue, isToken } from "../http/fields.ts";
import type { HeaderFields } from "../http/message.ts";
import { isAuthority, isPath } from "./head.ts";

/** RFC 9110 section 15; the text matters to people only. */
const REASONS: Readonly<Record<number, string>> = {
  100: "Continue", 101: "Switching Protocols", 103: "Early Hints",
  200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 206: "Partial Content",
  301: "Moved Permanently", 302: "Found", 303: "See Other", 304: "Not Modified", 307: "Temporary Redirect", 308: "Permanent Redirect",
  400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout", 409: "Conflict",
  412: "Precondition Failed", 413: "Content Too Large", 415: "Unsupported Media Type", 416: "Range Not Satisfiable", 421: "Misdirected Request",
  422: "Unprocessable Content", 426: "Upgrade Required", 429: "Too Many Requests", 431: "Request Header Fields Too Large",
  500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
}; // biome-ignore format: a table

const lines = (fields: HeaderFields, fault: "PROTOCOL" | "UPSTREAM_PROTOCOL"): string => {
  let text = "";
  for (const [name, value] of fields) {
    // A value with a line end would become a header, or a request, of its own.
    if (!isToken(name) || !isFieldValue(value))
      throw new MeshError(fault, `the header ${JSON.stringify(name)} cannot be written in HTTP/1.1`);
    text += `${name}: ${value}\r\n`;
  }
  return text;
};

/** Throws PROTOCOL for what would not be read back as the same head (it came by HTTP/2, which allows more). */
export const requestHeadText = (r: { method: string; path: string; authority: string; fields: HeaderFields }): string => {
  if (!isToken(r.method) || !isPath(r.path) || !isAuthority(r.authority))
    throw new MeshError("PROTOCOL", "the request line cannot be written in HTTP/1.1");
  return `${r.method} ${r.path} HTTP/1.1\r\nhost: ${r.authority}\r\n${lines(r.fields, "PROTOCOL")}\r\n`;
};

export const responseHeadText = (status: number, fields: HeaderFields): string =>
  `HTTP/1.1 ${status} ${REASONS[status] ?? ""}\r\n${lines(fields, "UPSTREAM_PROTOCOL")}\r\n`;
