// Where does each record begin and end in what was read? (RFC 8446 section 5.1, across any boundaries)

import { TlsFault } from "./alerts.ts";
import type { Block, BlockPool, Memory } from "./blocks.ts";
import { HEADER, MAX_FRAGMENT, MAX_RECORD, TYPE } from "./limits.ts";

/** A whole encrypted record at `at` of the block: a header, and `length` octets behind it. */
export type TakeRecord = (from: Memory, at: number, length: number) => void;

/** The length in a header at `at`. Throws TlsFault for what no record of ours may be. */
const fragmentLength = (bytes: Buffer, at: number): number => {
  const type = bytes[at];
  if (type !== TYPE.data) throw new TlsFault("unexpected_message", `a record of type ${type} that is not encrypted`);
  const length = ((bytes[at + 3] ?? 0) << 8) | (bytes[at + 4] ?? 0);
  if (length > MAX_FRAGMENT) throw new TlsFault("record_overflow", `a record of ${length} octets`);
  if (length < 17) throw new TlsFault("bad_record_mac", `a record of ${length} octets is too short for its tag`);
  return length;
};

/** Keeps what is not whole yet in a block of its own; holds none when there is nothing. */
export class RecordSplitter {
  readonly #pool: BlockPool;
  #carry: Block | undefined;
  #held = 0;
  /** Of the record that has begun: header and all, 0 while the header is not whole. */
  #size = 0;

  constructor(pool: BlockPool) {
    this.#pool = pool;
  }

  /** A record has begun and is not whole. */
  get partial(): boolean {
    return this.#held > 0;
  }

  /** The first n octets of the block: every record that is whole now is given to `take` before this returns. Throws TlsFault. */
  push(block: Memory, n: number, take: TakeRecord): void {
    const { bytes } = block;
    let at = this.#held > 0 ? this.#fill(bytes, n, take) : 0;
    while (n - at >= HEADER) {
      const length = fragmentLength(bytes, at);
      if (n - at < HEADER + length) break;
      take(block, at, length);
      at += HEADER + length;
    }
    if (at < n) this.#keep(bytes, at, n);
  }

  free(): void {
    this.#carry?.drop();
    this.#carry = undefined;
    this.#held = 0;
    this.#size = 0;
  }

  /** Completes the record that has begun; gives how much of the bytes that took. */
  #fill(bytes: Buffer, n: number, take: TakeRecord): number {
    const carry = this.#carry;
    if (carry === undefined) throw new Error("octets are held, but nowhere");
    let at = 0;
    if (this.#size === 0) {
      at = this.#append(carry, bytes, { at, n, upTo: HEADER });
      if (this.#held < HEADER) return at;
      this.#size = HEADER + fragmentLength(carry.bytes, 0);
    }
    at = this.#append(carry, bytes, { at, n, upTo: this.#size });
    if (this.#held < this.#size) return at;
    const length = this.#size - HEADER;
    take(carry, 0, length);
    this.free();
    return at;
  }

  #append(carry: Block, bytes: Buffer, from: { at: number; n: number; upTo: number }): number {
    const end = Math.min(from.n, from.at + from.upTo - this.#held);
    bytes.copy(carry.bytes, this.#held, from.at, end);
    this.#held += end - from.at;
    return end;
  }

  #keep(bytes: Buffer, at: number, n: number): void {
    // Already in the block: the record is longer than what came.
    if (this.#held > 0) return;
    const carry = this.#pool.take(MAX_RECORD);
    bytes.copy(carry.bytes, 0, at, n);
    this.#carry = carry;
    this.#held = n - at;
    this.#size = this.#held >= HEADER ? HEADER + fragmentLength(bytes, at) : 0;
  }
}
