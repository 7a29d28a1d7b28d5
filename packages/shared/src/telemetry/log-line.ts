// How does one log event read, as Istio's text line and as JSON? (ambient-l4: "Line format")

/** Text that the line shows without quotes, as Istio shows addresses. */
export type Bare = { readonly bare: string };
export type FieldValue = string | number | bigint | boolean | Bare | null | undefined;
/** In the order they are printed; undefined ones are left out. */
export type Fields = Readonly<Record<string, FieldValue>>;

/** Fields that come again and again: what they look like in a line is made once. */
export class FieldGroup {
  readonly fields: Fields;
  #text: string | undefined;
  #json: string | undefined;

  constructor(fields: Fields) {
    this.fields = fields;
  }

  get text(): string {
    this.#text ??= fieldsText(this.fields);
    return this.#text;
  }

  get json(): string {
    this.#json ??= fieldsJson(this.fields);
    return this.#json;
  }
}

/** Several are printed one after the other. */
export type LogFields = Fields | readonly (Fields | FieldGroup)[];

export type LogLevel = "debug" | "info" | "warn" | "error";

export type LogEvent = {
  /** RFC 3339 with microseconds, in UTC. */
  readonly time: string;
  readonly level: LogLevel;
  readonly scope: string;
  readonly message: string;
  readonly fields: LogFields;
};

export const bare = (text: string): Bare => ({ bare: text });

/** Prints microseconds since the epoch as RFC 3339 in UTC: "2026-08-20T10:11:12.123456Z". Times of one second share their beginning. */
export const createTimestamps = (): ((micros: number) => string) => {
  let second = Number.NaN;
  let beginning = "";
  return (micros) => {
    const seconds = Math.floor(micros / 1e6);
    if (seconds !== second) {
      beginning = new Date(seconds * 1000).toISOString().slice(0, 19);
      second = seconds;
    }
    return `${beginning}.${String(Math.floor(micros - seconds * 1e6)).padStart(6, "0")}Z`;
  };
};

// A message or key never breaks the line's columns: control characters are written as escapes.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not reach the line
const CONTROL = /[\u0000-\u001f\u007f]/g;
const HAS_CONTROL = new RegExp(CONTROL.source);
const oneLine = (s: string): string => (HAS_CONTROL.test(s) ? escaped(s) : s);
const escaped = (s: string): string => s.replace(CONTROL, (c) => JSON.stringify(c).slice(1, -1).replace("\u007f", "\\u007f"));

const textValue = (v: Exclude<FieldValue, undefined>): string => {
  if (v === null) return "null";
  if (typeof v === "string") return JSON.stringify(v);
  return typeof v === "object" ? oneLine(v.bare) : String(v);
};

/** ` k=v k="v v"`, with the space before each. */
const fieldsText = (fields: Fields): string => {
  let text = "";
  for (const k of Object.keys(fields)) {
    const v = fields[k];
    if (v !== undefined) text += ` ${oneLine(k)}=${textValue(v)}`;
  }
  return text;
};

const groups = (fields: LogFields): readonly (Fields | FieldGroup)[] => (Array.isArray(fields) ? fields : [fields as Fields]);

/** `<time>\t<level>\t<scope>\t<message>\tk=v k="v v"` with its newline. */
export const textLine = (e: LogEvent): string => {
  let fields = "";
  for (const g of groups(e.fields)) fields += g instanceof FieldGroup ? g.text : fieldsText(g);
  const head = `${e.time}\t${e.level}\t${oneLine(e.scope)}\t${oneLine(e.message)}`;
  return fields === "" ? `${head}\n` : `${head}\t${fields.slice(1)}\n`;
};

const jsonValue = (v: FieldValue): string | number | boolean | null | undefined => {
  if (typeof v === "bigint") return v.toString();
  return typeof v === "object" && v !== null ? v.bare : v;
};

const RESERVED: ReadonlySet<string> = new Set(["level", "time", "scope", "message"]);

/** `,"k":v,"k":v`, with the comma before each. A field never overwrites one of the line's own. */
const fieldsJson = (fields: Fields): string => {
  let text = "";
  for (const k of Object.keys(fields)) {
    const v = jsonValue(fields[k]);
    if (v !== undefined) text += `,${JSON.stringify(RESERVED.has(k) ? `field.${k}` : k)}:${JSON.stringify(v)}`;
  }
  return text;
};

/** `{"level","time","scope","message",...fields}` with its newline. */
export const jsonLine = (e: LogEvent): string => {
  const { level, time, scope, message } = e;
  let fields = "";
  for (const g of groups(e.fields)) fields += g instanceof FieldGroup ? g.json : fieldsJson(g);
  return `${JSON.stringify({ level, time, scope, message }).slice(0, -1)}${fields}}\n`;
};
