// How do a list of views become records, with the encryption as the only copy?

import type { Block } from "./blocks.ts";
import { TAG } from "./evp.ts";
import { HEADER, MAX_CONTENT, OVERHEAD } from "./limits.ts";
import type { Protection } from "./protect.ts";

/** Up to this, copying is cheaper than more calls into OpenSSL. */
const COPY = 1024;

/** What is left of a list of views, taken from its front. */
export class Gather {
  readonly #parts: readonly Buffer[];
  #index = 0;
  #offset = 0;
  left: number;

  constructor(parts: readonly Buffer[]) {
    this.#parts = parts;
    this.left = 0;
    for (const part of parts) this.left += part.length;
  }

  /** The next octets as one view: at least one (when any are left) and at most n. */
  take(n: number): Buffer {
    let part = this.#parts[this.#index];
    while (part !== undefined && this.#offset === part.length) {
      this.#index += 1;
      this.#offset = 0;
      part = this.#parts[this.#index];
    }
    if (part === undefined) throw new Error("more was taken than there is");
    const end = Math.min(part.length, this.#offset + n);
    const view = this.#offset === 0 && end === part.length ? part : part.subarray(this.#offset, end);
    this.#offset = end;
    this.left -= view.length;
    return view;
  }
}

/** How many octets n octets of content become. */
export const sealedSize = (n: number): number => n + Math.max(1, Math.ceil(n / MAX_CONTENT)) * (HEADER + OVERHEAD);

/**
 * Writes one record with the next n octets (at most MAX_CONTENT) to `at` of the block; gives the offset behind it.
 * Throws when OpenSSL refuses: then nothing of the block may be sent.
 */
export const sealRecord = (protection: Protection, block: Block, at: number, record: { type: number; from: Gather; n: number }): number => {
  const { bytes, address } = block;
  const { type, from, n } = record;
  const length = n + OVERHEAD;
  bytes[at] = 23;
  bytes[at + 1] = 3;
  bytes[at + 2] = 3;
  bytes[at + 3] = length >> 8;
  bytes[at + 4] = length & 0xff;
  let ok = protection.begin(address + at);
  let to = at + HEADER;
  const end = to + n;
  if (n > COPY) {
    while (to < end) {
      const view = from.take(end - to);
      ok &&= protection.cryptFrom(address + to, view);
      to += view.length;
    }
    bytes[end] = type;
    ok &&= protection.crypt(address + end, address + end, 1);
  } else {
    while (to < end) to += from.take(end - to).copy(bytes, to);
    bytes[end] = type;
    ok &&= protection.crypt(address + at + HEADER, address + at + HEADER, n + 1);
  }
  ok &&= protection.seal(address + end + 1);
  if (!ok) throw new Error("OpenSSL could not encrypt a record");
  return end + 1 + TAG;
};
