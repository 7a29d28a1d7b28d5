// Where do octets wait that cannot go on yet, without costing more than they count?

/** Blocks grow with what waits: a few octets cost little, and many come out in large pieces. */
const BLOCKS = [1024, 4096, 16_384, 65_536] as const;
const LARGEST = 65_536;
/** Largest blocks kept for the next who must wait (of this thread). */
const spare: Buffer[] = [];
const SPARE = 32;

const block = (size: number): Buffer => (size === LARGEST ? spare.pop() : undefined) ?? Buffer.allocUnsafeSlow(size);

/** Pieces that came out of a Held and are not used by anybody any more may be given back; those that are not are garbage collected. */
export const giveBack = (piece: Buffer): void => {
  if (piece.buffer.byteLength !== LARGEST || spare.length >= SPARE) return;
  spare.push(Buffer.from(piece.buffer));
};

/** First in, first out. What is added is copied. */
export class Held {
  #pieces: Buffer[] = [];
  #at = 0;
  #size = 0;
  #tail: Buffer | undefined;
  #used = 0;

  get size(): number {
    return this.#size;
  }

  add(piece: Buffer): void {
    let from = 0;
    while (from < piece.length) {
      this.#tail ??= this.#begin(piece.length - from);
      const n = piece.copy(this.#tail, this.#used, from);
      from += n;
      this.#used += n;
      this.#size += n;
      if (this.#used === this.#tail.length) this.#seal();
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
    for (let p = this.shift(); p !== undefined; p = this.shift()) giveBack(p);
  }

  /** For `more` octets at least, or as many as what waits already. */
  #begin(more: number): Buffer {
    const wanted = Math.max(more, this.#size);
    return block(BLOCKS.find((size) => size >= wanted) ?? LARGEST);
  }

  #seal(): void {
    if (this.#tail === undefined) return;
    const [tail, used] = [this.#tail, this.#used];
    this.#tail = undefined;
    this.#used = 0;
    this.#pieces.push(used === tail.length ? tail : tail.subarray(0, used));
  }
}
