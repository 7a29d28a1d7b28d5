// Where do octets wait that came for a stream nobody reads, without costing more than they count?

/** Smaller pieces are joined: each view costs memory of its own and keeps the chunk it came in. */
const SMALL = 4096;
const BLOCK = 16_384;

/** First in, first out. */
export class Held {
  #pieces: Buffer[] = [];
  #at = 0;
  #size = 0;
  /** The last piece, when it is a block of our own with room. */
  #tail: { readonly block: Buffer; used: number } | undefined;

  get size(): number {
    return this.#size;
  }

  add(piece: Buffer): void {
    this.#size += piece.length;
    if (piece.length >= SMALL) {
      this.#seal();
      this.#pieces.push(piece);
      return;
    }
    let from = 0;
    while (from < piece.length) {
      this.#tail ??= { block: Buffer.allocUnsafeSlow(BLOCK), used: 0 };
      const n = piece.copy(this.#tail.block, this.#tail.used, from);
      from += n;
      this.#tail.used += n;
      if (this.#tail.used === BLOCK) this.#seal();
    }
  }

  /** undefined when nothing waits. */
  shift(): Buffer | undefined {
    if (this.#at === this.#pieces.length) this.#seal();
    const piece = this.#pieces[this.#at];
    if (piece === undefined) return undefined;
    this.#at += 1;
    this.#size -= piece.length;
    if (this.#at === this.#pieces.length) {
      this.#pieces = [];
      this.#at = 0;
    }
    return piece;
  }

  clear(): void {
    this.#pieces = [];
    this.#at = 0;
    this.#size = 0;
    this.#tail = undefined;
  }

  #seal(): void {
    if (this.#tail === undefined) return;
    const { block, used } = this.#tail;
    this.#tail = undefined;
    // A block that is mostly empty would keep more than it holds.
    this.#pieces.push(used > BLOCK / 2 ? block.subarray(0, used) : Buffer.from(block.subarray(0, used)));
  }
}
