// How do events of the pieces that know no logger read in a component's log?

import { formatSocketAddr } from "../addr/socket.ts";
import type { ScopedLogger } from "./log.ts";
import { bare, type Fields, type FieldValue, type LogLevel } from "./log-line.ts";

const isAddress = (v: object): v is Parameters<typeof formatSocketAddr>[0] => "ip" in v && "port" in v;

const fieldOf = (v: unknown): FieldValue => {
  if (v === undefined || typeof v === "string" || typeof v === "number" || typeof v === "boolean") return v;
  if (typeof v === "object" && v !== null) return isAddress(v) ? bare(formatSocketAddr(v)) : JSON.stringify(v);
  return String(v);
};

/** Plain data as fields: addresses as addresses, what has no short form as JSON. */
export const logFields = (fields: object): Fields => Object.fromEntries(Object.entries(fields).map(([k, v]) => [k, fieldOf(v)]));

const TROUBLE = /\b(failed|refused|lost|rejected|cannot|ended)\b/;

/** A log callback: what went wrong is a warning, the rest is told at the given level. */
export const eventLog =
  (log: ScopedLogger, level: LogLevel, common: Fields = {}) =>
  (event: string, fields: object): void =>
    log[TROUBLE.test(event) ? "warn" : level](event, { ...logFields(fields), ...common });
