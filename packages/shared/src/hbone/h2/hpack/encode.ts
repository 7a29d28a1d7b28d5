// How is a header list written so that any HPACK decoder reads it? (RFC 7541; no table of our own, no Huffman)

import { type Field, staticField, staticName } from "./static.ts";

const pushInteger = (out: number[], pattern: number, bits: number, value: number): void => {
  const full = 2 ** bits - 1;
  if (value < full) {
    out.push(pattern | value);
    return;
  }
  out.push(pattern | full);
  let rest = value - full;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) out.push((rest % 0x80) | 0x80);
  out.push(rest);
};

const pushString = (out: number[], text: string): void => {
  pushInteger(out, 0, 7, text.length);
  for (let i = 0; i < text.length; i++) out.push(text.charCodeAt(i));
};

const pushField = (out: number[], [name, value]: Field): void => {
  const whole = staticField(name, value);
  if (whole !== undefined) {
    pushInteger(out, 0x80, 7, whole);
    return;
  }
  const index = staticName(name) ?? 0;
  // Literal without indexing: the decoder's table stays empty, so nothing of one tunnel can be guessed from another (section 7.1).
  pushInteger(out, 0, 4, index);
  if (index === 0) pushString(out, name);
  pushString(out, value);
};

/** "The table has no room": said once, it holds whatever size the peer allows or takes back later (section 4.2). */
const NO_TABLE = 0x20;

/** The block of these fields, whose texts hold no character above U+00FF. `first`: no block went to this peer before. */
export const encodeBlock = (fields: readonly Field[], first: boolean): Buffer => {
  const out: number[] = first ? [NO_TABLE] : [];
  for (const f of fields) pushField(out, f);
  return Buffer.from(out);
};
