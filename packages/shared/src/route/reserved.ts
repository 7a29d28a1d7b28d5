// Which header names belong to the proxy alone, so that no route may edit them?

import type { HeaderEdits } from "./types.ts";

/** RFC 9110 section 7.6.1, and what names a connection in HTTP/1. */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
]);

/** What frames a message (RFC 9112 section 6), what is agreed with one neighbour only, and who the caller is by its certificate. */
const RESERVED: ReadonlySet<string> = new Set([...HOP_BY_HOP, "content-length", "te", "trailer", "expect", "x-forwarded-client-cert"]);

/** As a backend may read the name: in any case, and with "_" for "-" (CGI and WSGI fold these into one variable). */
export const foldedName = (name: string): string => name.toLowerCase().replaceAll("_", "-");

/** True for a name that decides where a message ends, whose connection it is, or who sent it. */
export const isReserved = (name: string): boolean => RESERVED.has(foldedName(name));

/** The first reserved name that the edits set, add or remove, as it was written. */
export const reservedEdit = (e: HeaderEdits): string | undefined =>
  [...e.set.map((h) => h.name), ...e.add.map((h) => h.name), ...e.remove].find(isReserved);
