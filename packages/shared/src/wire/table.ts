// How are protobuf bytes read by a table of fields, where loading a protobuf library would cost more than it gives?
// (data threads; protobuf's encoding guide. Writing, and all that is read rarely, stays with protobufjs.)

import { err, ok, type Result } from "../runtime/result.ts";

/** "optional-uint32" keeps absent (null) and 0 apart. */
type Scalar = "string" | "bytes" | "uint32" | "optional-uint32" | "int32" | "bool";
/** What one field holds. A map's keys are strings; it is told the table of its entries (`entryOf`). */
export type FieldKind =
  | Scalar
  | { readonly message: Table }
  | { readonly repeated: Scalar | { readonly message: Table } }
  | { readonly mapOf: Table };
type Fields = Readonly<Record<number, readonly [name: string, kind: FieldKind]>>;
type Message = Record<string, unknown>;
/** A message's fields by number, and what it looks like when none of them is there. */
export type Table = { readonly name: string; readonly fields: Fields; readonly empty: Message };

const NO_BYTES = new Uint8Array(0);
const DEFAULTS = { string: "", bytes: NO_BYTES, uint32: 0, "optional-uint32": null, int32: 0, bool: false } as const;
const NONE: readonly unknown[] = Object.freeze([]);

const absent = (kind: FieldKind): unknown => {
  if (typeof kind === "string") return DEFAULTS[kind];
  return "repeated" in kind ? NONE : "mapOf" in kind ? Object.freeze({}) : null;
};

/** The table of a message; the names are those that the domain's readers expect. Absent fields read as proto3's defaults, messages as null. */
export const table = (name: string, fields: Fields): Table => ({
  name,
  fields,
  empty: Object.fromEntries(Object.values(fields).map(([field, kind]) => [field, absent(kind)])),
});

/** The entries of a map from strings to messages. */
export const entryOf = (value: Table): Table => table(`map of ${value.name}`, { 1: ["key", "string"], 2: ["value", { message: value }] });

const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const FIXED32 = 5;

/** A reader over bytes that may be cut off anywhere: whatever is wrong with them is thrown here and caught in `readTable`. */
class Cursor {
  readonly bytes: Buffer;
  at: number;
  end: number;

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = 0;
    this.end = bytes.length;
  }

  /** The low 32 bits of a varint of at most ten bytes. */
  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.at >= this.end) throw new RangeError("it ends inside a number");
      const b = this.bytes[this.at++] ?? 0;
      if (shift < 32) value |= (b & 0x7f) << shift;
      if (b < 0x80) return value >>> 0;
    }
    throw new RangeError("a number is longer than ten bytes");
  }

  /** The end of a length-delimited field that begins here. */
  span(): number {
    const length = this.varint();
    if (length > this.end - this.at) throw new RangeError("a field is longer than what holds it");
    return this.at + length;
  }

  skip(type: number): void {
    switch (type) {
      case VARINT:
        this.varint();
        return;
      case FIXED64:
        this.at += 8;
        break;
      case LENGTH:
        this.at = this.span();
        break;
      case FIXED32:
        this.at += 4;
        break;
      default:
        throw new RangeError(`wire type ${type} is not known`);
    }
    if (this.at > this.end) throw new RangeError("it ends inside a field");
  }
}

const wireType = (kind: Scalar): number => (kind === "string" || kind === "bytes" ? LENGTH : VARINT);

const scalar = (c: Cursor, kind: Scalar): unknown => {
  switch (kind) {
    case "string": {
      const end = c.span();
      const text = c.bytes.toString("utf8", c.at, end);
      c.at = end;
      return text;
    }
    case "bytes": {
      const end = c.span();
      const part = c.bytes.subarray(c.at, end);
      c.at = end;
      return part;
    }
    case "uint32":
    case "optional-uint32":
      return c.varint();
    case "int32":
      return c.varint() | 0;
    case "bool":
      return c.varint() !== 0;
  }
};

/** Reads up to `end`. */
const message = (c: Cursor, t: Table, end: number): Message => {
  const outer = c.end;
  c.end = end;
  const into: Message = { ...t.empty };
  while (c.at < end) field(c, t, into);
  c.end = outer;
  return into;
};

const nested = (c: Cursor, t: Table): Message => message(c, t, c.span());

/** False: the field is not of the kind that the table says. */
const element = (c: Cursor, of: Scalar | { readonly message: Table }, how: { type: number; list: unknown[] }): boolean => {
  const { type, list } = how;
  if (typeof of === "object") {
    if (type !== LENGTH) return false;
    list.push(nested(c, of.message));
  } else if (type === wireType(of)) list.push(scalar(c, of));
  else if (type === LENGTH) {
    // Numbers may come packed into one field, whatever the schema says.
    const end = c.span();
    const outer = c.end;
    c.end = end;
    while (c.at < end) list.push(scalar(c, of));
    c.end = outer;
  } else return false;
  return true;
};

const entry = (c: Cursor, of: Table, into: Message): void => {
  const { key, value } = nested(c, of);
  const kind = of.fields[2]?.[1];
  const empty = typeof kind === "object" && "message" in kind ? kind.message.empty : null;
  // Defined, not assigned: a key may be "__proto__".
  Object.defineProperty(into, String(key), { value: value ?? { ...empty }, enumerable: true, configurable: true, writable: true });
};

/** The field's own list or map, made when the first element comes. */
const own = <T extends object>(into: Message, name: string, make: () => T): T => {
  const held = into[name] as T;
  if (!Object.isFrozen(held)) return held;
  const made = make();
  into[name] = made;
  return made;
};

const field = (c: Cursor, t: Table, into: Message): void => {
  const tag = c.varint();
  const type = tag & 7;
  const known = t.fields[tag >>> 3];
  if (tag >>> 3 === 0) throw new RangeError("there is no field 0");
  if (known === undefined) {
    c.skip(type);
    return;
  }
  const [name, kind] = known;
  if (typeof kind === "string") {
    if (type === wireType(kind)) into[name] = scalar(c, kind);
    else c.skip(type);
  } else if ("repeated" in kind) {
    const list = own<unknown[]>(into, name, () => []);
    if (!element(c, kind.repeated, { type, list })) c.skip(type);
  } else if (type !== LENGTH) c.skip(type);
  else if ("mapOf" in kind) {
    entry(
      c,
      kind.mapOf,
      own<Message>(into, name, () => ({})),
    );
  } else into[name] = nested(c, kind.message);
};

/** The message, or why the bytes are not one. Fields that the table does not have are left out. */
export const readTable = <M>(t: Table, bytes: Uint8Array): Result<M> => {
  const cursor = new Cursor(bytes);
  try {
    return ok(message(cursor, t, bytes.length) as M);
  } catch (e) {
    if (!(e instanceof RangeError)) throw e;
    return err(`${t.name}: not a valid message (${e.message})`);
  }
};
