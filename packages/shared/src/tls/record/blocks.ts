// Which memory do records pass through? (blocks shared by all connections of a thread, so that an idle connection holds none)

import type { Address, Evp } from "./evp.ts";
import { MAX_RECORD } from "./limits.ts";

/** Records laid one behind the other; the largest class is what one read of 256 KiB or one write carries. */
export const RECORDS = 17;
const CLASSES = [2048, MAX_RECORD, RECORDS * MAX_RECORD] as const;
/** Spare blocks kept of each class. */
const SPARE = [64, 16, 4] as const;
/** Bytes off the JavaScript heap, and where they lie. */
export type Memory = { readonly bytes: Buffer; readonly address: Address };

/** A piece of memory, given back when all who hold it have let go. */
export class Block {
  readonly bytes: Buffer;
  readonly address: Address;
  readonly #pool: BlockPool;
  readonly #kind: number;
  #holders = 0;
  #retained = 0;

  constructor(pool: BlockPool, kind: number, evp: Evp) {
    this.#pool = pool;
    this.#kind = kind;
    this.bytes = Buffer.allocUnsafeSlow(CLASSES[kind] ?? 0);
    this.address = evp.addressOf(this.bytes);
  }

  hold(): void {
    this.#holders += 1;
  }

  drop(): void {
    if (this.#holders === 0) throw new Error("a block was given back twice");
    this.#holders -= 1;
    if (this.#holders === 0) this.#pool.give(this, this.#kind);
  }

  retain(): boolean {
    if (this.#retained === 0 && !this.#pool.mayRetain()) return false;
    this.#retained += 1;
    this.#holders += 1;
    return true;
  }

  release(): void {
    if (this.#retained === 0) throw new Error("a lease was released that was not retained");
    this.#retained -= 1;
    if (this.#retained === 0) this.#pool.released();
    this.drop();
  }
}

export class BlockPool {
  readonly #evp: Evp;
  readonly #spare: Block[][] = CLASSES.map(() => []);
  readonly #most: number;
  #retained = 0;

  /** At most so many blocks are kept by others at once; beyond that they are asked to copy. */
  constructor(evp: Evp, most: number) {
    this.#evp = evp;
    this.#most = most;
  }

  /** A block of at least n octets (at most RECORDS records), held once. */
  take(n: number): Block {
    const kind = CLASSES.findIndex((size) => size >= n);
    if (kind < 0) throw new RangeError(`${n} octets do not fit in a block`);
    const block = this.#spare[kind]?.pop() ?? new Block(this, kind, this.#evp);
    block.hold();
    return block;
  }

  give(block: Block, kind: number): void {
    const spare = this.#spare[kind];
    if (spare !== undefined && spare.length < (SPARE[kind] ?? 0)) spare.push(block);
  }

  mayRetain(): boolean {
    if (this.#retained >= this.#most) return false;
    this.#retained += 1;
    return true;
  }

  released(): void {
    this.#retained -= 1;
  }

  /** Blocks that readers keep now. */
  get retained(): number {
    return this.#retained;
  }
}
