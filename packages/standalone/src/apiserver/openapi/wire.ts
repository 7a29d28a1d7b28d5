// How is a protobuf message written? (the three wire types that the OpenAPI messages need)

/** A message's fields, one after the other; nothing is written for undefined. */
export type Message = readonly (Uint8Array | undefined)[];

const varint = (value: number): Uint8Array => {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 0x7f) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return Uint8Array.from(bytes);
};

const join = (parts: readonly Uint8Array[]): Uint8Array => {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
};

const encoder = new TextEncoder();

const delimited = (field: number, bytes: Uint8Array): Uint8Array => join([varint(field * 8 + 2), varint(bytes.length), bytes]);

export const message = (parts: Message): Uint8Array => join(parts.filter((part) => part !== undefined));

export const nested = (field: number, parts: Message): Uint8Array => delimited(field, message(parts));

export const text = (field: number, value: unknown): Uint8Array | undefined =>
  typeof value === "string" && value !== "" ? delimited(field, encoder.encode(value)) : undefined;

export const texts = (field: number, values: unknown): Uint8Array | undefined =>
  Array.isArray(values)
    ? join(values.flatMap((value: unknown) => (typeof value === "string" ? [delimited(field, encoder.encode(value))] : [])))
    : undefined;

export const truth = (field: number, value: unknown): Uint8Array | undefined =>
  value === true ? join([varint(field * 8), varint(1)]) : undefined;

/** A non-negative int64 (within 2^53). */
export const integer = (field: number, value: unknown): Uint8Array | undefined =>
  typeof value === "number" && value > 0 ? join([varint(field * 8), varint(value)]) : undefined;

export const double = (field: number, value: unknown): Uint8Array | undefined => {
  if (typeof value !== "number" || value === 0) return undefined;
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value, true);
  return join([varint(field * 8 + 1), bytes]);
};
