// Which fields does a protobuf message hold? (the wire format of proto2, as gogo/protobuf writes it)

export type WireField = { readonly number: number; readonly value: bigint | Uint8Array };

/** The bytes are no protobuf message, or a field is not of its declared type. */
export class ProtobufError extends Error {}

const varint = (bytes: Uint8Array, at: number): { value: bigint; next: number } => {
  let value = 0n;
  for (let i = 0; i < 10; i++) {
    const byte = bytes[at + i];
    if (byte === undefined) throw new ProtobufError("a number is cut off");
    value |= BigInt(byte & 0x7f) << BigInt(7 * i);
    if (byte < 0x80) return { value: BigInt.asUintN(64, value), next: at + i + 1 };
  }
  throw new ProtobufError("a number is longer than 64 bits");
};

const fixed = (bytes: Uint8Array, at: number, size: 4 | 8): { value: Uint8Array; next: number } => {
  if (at + size > bytes.length) throw new ProtobufError("a fixed number is cut off");
  return { value: bytes.subarray(at, at + size), next: at + size };
};

/** All fields in order; numbers as unsigned 64 bits, fixed numbers, strings and messages as bytes. */
export const fieldsOf = (bytes: Uint8Array): WireField[] => {
  const out: WireField[] = [];
  let at = 0;
  while (at < bytes.length) {
    const tag = varint(bytes, at);
    const number = Number(tag.value >> 3n);
    const read = (): { value: bigint | Uint8Array; next: number } => {
      switch (Number(tag.value & 7n)) {
        case 0:
          return varint(bytes, tag.next);
        case 1:
          return fixed(bytes, tag.next, 8);
        case 2: {
          const length = varint(bytes, tag.next);
          const end = length.next + Number(length.value);
          if (end > bytes.length) throw new ProtobufError("a field is longer than its message");
          return { value: bytes.subarray(length.next, end), next: end };
        }
        case 5:
          return fixed(bytes, tag.next, 4);
        default:
          throw new ProtobufError(`field ${number} has an unknown wire type`);
      }
    };
    const { value, next } = read();
    out.push({ number, value });
    at = next;
  }
  return out;
};

export const asBytes = (v: bigint | Uint8Array): Uint8Array => {
  if (typeof v === "bigint") throw new ProtobufError("a number stands where bytes are expected");
  return v;
};

export const asInt = (v: bigint | Uint8Array): number => {
  if (typeof v !== "bigint") throw new ProtobufError("bytes stand where a number is expected");
  return Number(BigInt.asIntN(64, v));
};

const utf8 = new TextDecoder("utf-8", { fatal: true });

export const asText = (v: bigint | Uint8Array): string => {
  try {
    return utf8.decode(asBytes(v));
  } catch (e) {
    if (e instanceof ProtobufError) throw e;
    throw new ProtobufError("a text is not UTF-8", { cause: e });
  }
};

export const asDouble = (v: bigint | Uint8Array): number => {
  const bytes = asBytes(v);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getFloat64(0, true);
};
