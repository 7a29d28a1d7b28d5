// Is a header list one that a request or an answer may have? (RFC 9113 sections 8.2, 8.3, 8.5)

import { err, ok, type Result } from "../../runtime/result.ts";
import type { Field } from "./hpack/static.ts";

export type { Field } from "./hpack/static.ts";

/** Lower-case names; several values of one name are joined by ", ". */
export type PlainFields = Readonly<Record<string, string>>;
export type RequestHead = { readonly method: string; readonly authority: string; readonly headers: PlainFields };
export type AnswerHead = { readonly status: number; readonly headers: PlainFields };

const NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what a value may not hold
const VALUE = /^(?![ \t])[^\0-\x08\x0a-\x1f\x7f\u0100-\uffff]*(?<![ \t])$/;
/** Of HTTP/1.1's connections (section 8.2.2). */
const FORBIDDEN: ReadonlySet<string> = new Set(["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"]);

type Split = { readonly pseudo: ReadonlyMap<string, string>; readonly headers: PlainFields };

const split = (fields: readonly Field[], known: ReadonlySet<string>): Result<Split> => {
  const pseudo = new Map<string, string>();
  const headers = new Map<string, string>();
  let plain = false;
  for (const [name, value] of fields) {
    const shown = JSON.stringify(name.slice(0, 60));
    if (!VALUE.test(value)) return err(`the value of ${shown} holds what a value may not`);
    if (name.startsWith(":")) {
      if (plain) return err(`${shown} comes after a header`);
      if (!known.has(name)) return err(`${shown} does not belong here`);
      if (pseudo.has(name)) return err(`${shown} comes twice`);
      pseudo.set(name, value);
      continue;
    }
    plain = true;
    if (!NAME.test(name)) return err(`${shown} is not a header's name`);
    if (FORBIDDEN.has(name) || (name === "te" && value.toLowerCase() !== "trailers")) return err(`${shown} belongs to HTTP/1.1`);
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}${name === "cookie" ? "; " : ", "}${value}`);
  }
  return ok({ pseudo, headers: Object.fromEntries(headers) });
};

const OF_REQUEST: ReadonlySet<string> = new Set([":method", ":authority", ":scheme", ":path"]);

/** A request's head. The error says what is wrong with it. */
export const readRequest = (fields: readonly Field[]): Result<RequestHead> => {
  const parts = split(fields, OF_REQUEST);
  if (!parts.ok) return parts;
  const { pseudo, headers } = parts.value;
  const method = pseudo.get(":method") ?? "";
  const authority = pseudo.get(":authority") ?? "";
  const target = [":scheme", ":path"].filter((n) => (pseudo.get(n) ?? "") !== "").length;
  if (!NAME.test(method.toLowerCase())) return err("a request without a :method");
  if (method === "CONNECT") {
    if (authority === "") return err("a CONNECT without an :authority");
    if (pseudo.has(":scheme") || pseudo.has(":path")) return err("a CONNECT with :scheme or :path");
  } else if (target !== 2) return err(`a ${method.slice(0, 20)} without :scheme or :path`);
  return ok({ method, authority, headers });
};

const OF_ANSWER: ReadonlySet<string> = new Set([":status"]);

/** An answer's head, interim (1xx) or final. */
export const readAnswer = (fields: readonly Field[]): Result<AnswerHead> => {
  const parts = split(fields, OF_ANSWER);
  if (!parts.ok) return parts;
  const status = parts.value.pseudo.get(":status") ?? "";
  if (!/^[1-5]\d\d$/.test(status) || status === "101") return err(`the :status ${JSON.stringify(status.slice(0, 20))} is none`);
  return ok({ status: Number(status), headers: parts.value.headers });
};

const checked = (headers: PlainFields): Field[] =>
  Object.entries(headers).map(([given, value]) => {
    const name = given.toLowerCase();
    if (!NAME.test(name) || FORBIDDEN.has(name)) throw new TypeError(`the header ${JSON.stringify(given)} cannot be sent`);
    if (!VALUE.test(value)) throw new TypeError(`the value of the header ${JSON.stringify(given)} cannot be sent`);
    return [name, value];
  });

/** The head of a CONNECT. Throws TypeError when it cannot be written. */
export const connectFields = (authority: string, headers: PlainFields): Field[] => {
  if (authority === "" || !VALUE.test(authority)) throw new TypeError(`the :authority ${JSON.stringify(authority)} cannot be sent`);
  return [[":method", "CONNECT"], [":authority", authority], ...checked(headers)];
};

/** The head of an answer. Throws TypeError when it cannot be written. */
export const answerFields = (status: number, headers: PlainFields): Field[] => {
  if (!Number.isInteger(status) || status < 200 || status > 599) throw new TypeError(`the status ${status} cannot be sent`);
  return [[":status", String(status)], ...checked(headers)];
};
