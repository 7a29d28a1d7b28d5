// How does one log event read, as Istio's text line and as JSON? (ambient-l4: "Line format")

/** Text that the line shows without quotes, as Istio shows addresses. */
export type Bare = { readonly bare: string };
export type FieldValue = string | number | bigint | boolean | Bare | null | undefined;
/** In the order they are printed; undefined ones are left out. */
export type Fields = Readonly<Record<string, FieldValue>>;

export type LogLevel = "debug" | "info" | "warn" | "error";

export type LogEvent = {
  /** RFC 3339 with microseconds, in UTC. */
  readonly time: string;
  readonly level: LogLevel;
  readonly scope: string;
  readonly message: string;
  readonly fields: Fields;
};

export const bare = (text: string): Bare => ({ bare: text });

/** Microseconds since the epoch as RFC 3339 in UTC: "2026-08-20T10:11:12.123456Z". */
export const rfc3339Micros = (micros: number): string => {
  const seconds = Math.floor(micros / 1e6);
  const rest = Math.floor(micros - seconds * 1e6);
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}.${String(rest).padStart(6, "0")}Z`;
};

// A message or key never breaks the line's columns: control characters are written as escapes.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not reach the line
const CONTROL = /[\u0000-\u001f\u007f]/g;
const oneLine = (s: string): string => s.replace(CONTROL, (c) => JSON.stringify(c).slice(1, -1).replace("\u007f", "\\u007f"));

const textValue = (v: Exclude<FieldValue, undefined>): string => {
  if (v === null) return "null";
  if (typeof v === "string") return JSON.stringify(v);
  return typeof v === "object" ? oneLine(v.bare) : String(v);
};

/** `<time>\t<level>\t<scope>\t<message>\tk=v k="v v"` with its newline. */
export const textLine = (e: LogEvent): string => {
  const fields = Object.entries(e.fields).flatMap(([k, v]) => (v === undefined ? [] : [`${oneLine(k)}=${textValue(v)}`]));
  const head = `${e.time}\t${e.level}\t${oneLine(e.scope)}\t${oneLine(e.message)}`;
  return fields.length === 0 ? `${head}\n` : `${head}\t${fields.join(" ")}\n`;
};

const jsonValue = (v: FieldValue): string | number | boolean | null | undefined => {
  if (typeof v === "bigint") return v.toString();
  return typeof v === "object" && v !== null ? v.bare : v;
};

/** `{"level","time","scope","message",...fields}` with its newline. A field never overwrites one of these four. */
export const jsonLine = (e: LogEvent): string => {
  const fields = Object.fromEntries(Object.entries(e.fields).map(([k, v]) => [k, jsonValue(v)]));
  return `${JSON.stringify({ ...{ level: e.level, time: e.time, scope: e.scope, message: e.message }, ...without(fields) })}\n`;
};

const RESERVED: ReadonlySet<string> = new Set(["level", "time", "scope", "message"]);
const without = (fields: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).map(([k, v]) => [RESERVED.has(k) ? `field.${k}` : k, v]));
