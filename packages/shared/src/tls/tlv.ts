// Where in DER bytes is which value? (a cursor for what is too large, or asked too often, to be turned into a tree)

import { err, ok, type Result } from "../runtime/result.ts";

/** One value: its tag octet, where it begins (with its header), and where its content begins and ends. */
export type Tlv = { readonly tag: number; readonly start: number; readonly from: number; readonly to: number };

export const TAG = {
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  enumerated: 0x0a,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
} as const;

/** The value at the offset; undefined when it does not lie whole within `end`, or its length is not written as DER wants it. */
export const tlvAt = (bytes: Uint8Array, start: number, end: number = bytes.length): Tlv | undefined => {
  const tag = bytes[start];
  const first = bytes[start + 1];
  // High tag numbers have no place in certificates and their lists.
  if (tag === undefined || first === undefined || start + 2 > end || (tag & 0x1f) === 0x1f) return undefined;
  if (first < 0x80) {
    const from = start + 2;
    return from + first <= end ? { tag, start, from, to: from + first } : undefined;
  }
  const count = first & 0x7f;
  const from = start + 2 + count;
  if (count === 0 || count > 4 || from > end) return undefined;
  let length = 0;
  for (let i = 0; i < count; i++) length = length * 256 + (bytes[start + 2 + i] ?? 0);
  const minimal = length >= 0x80 && (bytes[start + 2] ?? 0) !== 0;
  return minimal && from + length <= end ? { tag, start, from, to: from + length } : undefined;
};

/** The values within a constructed one, one after another to its end. */
export const within = (bytes: Uint8Array, outer: Tlv): Result<Tlv[]> => {
  const out: Tlv[] = [];
  for (let at = outer.from; at < outer.to; ) {
    const next = tlvAt(bytes, at, outer.to);
    if (next === undefined) return err("not DER");
    out.push(next);
    at = next.to;
  }
  return ok(out);
};

/** The one value that the bytes are, and nothing after it. */
export const wholeTlv = (bytes: Uint8Array): Tlv | undefined => {
  const all = tlvAt(bytes, 0);
  return all !== undefined && all.to === bytes.length ? all : undefined;
};

/** With its header. */
export const rawOf = (bytes: Uint8Array, v: Tlv): Uint8Array => bytes.subarray(v.start, v.to);
export const contentOf = (bytes: Uint8Array, v: Tlv): Uint8Array => bytes.subarray(v.from, v.to);

/** A number as upper-case hex without leading zeros: the form in which serial numbers are compared. */
export const hexNumber = (content: Uint8Array): string => {
  const hex = Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString("hex").toUpperCase();
  return hex.replace(/^0+(?=.)/, "");
};

/** The dotted text of an OBJECT IDENTIFIER; undefined when it is not one. */
export const oidText = (bytes: Uint8Array, v: Tlv | undefined): string | undefined => {
  if (v === undefined || v.tag !== TAG.oid || v.from === v.to) return undefined;
  const arcs: number[] = [];
  let arc = 0;
  for (const octet of contentOf(bytes, v)) {
    arc = arc * 128 + (octet & 0x7f);
    if (octet >= 0x80) continue;
    if (arcs.length === 0) arcs.push(Math.min(2, Math.floor(arc / 40)));
    arcs.push(arcs.length === 1 ? arc - (arcs[0] ?? 0) * 40 : arc);
    arc = 0;
  }
  return arcs.join(".");
};
