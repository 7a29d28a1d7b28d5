// How do frames leave: gathered as views, one write at a time?

import type { Wire } from "../wire.ts";
import { FLAG, FRAME } from "./codes.ts";
import { FRAME_HEADER, putHeader } from "./frames.ts";

/** Payload of one write: what the kernel takes at once, and what one connection does before others have their turn. */
const WRITE = 256 * 1024;
/** A data frame is not begun in less room than this. */
const LEAST = 1024;
/** Less than this is copied and leaves with what else comes up in the turn: a write costs more than the copy. */
const SMALL = 4096;
/** Where small frames of one turn are laid together. */
const BATCH = 16_384;
/** More than this does not wait for the end of the turn. */
const TURN = 65_536;
/** Batches kept for the next write of any connection of this thread; idle connections hold none. */
const spare: Buffer[] = [];
const SPARE = 16;
/** Answers that pile up because the peer asks and does not read. */
const CLOGGED = 1 << 20;
/** Where the headers of one write's data frames lie: it is written before anybody else needs them. */
const HEADERS = Buffer.allocUnsafeSlow((WRITE / LEAST + 128) * FRAME_HEADER);

/** Whose octets become DATA: gives views of the next n of them. */
export type DataSource = { readonly id: number; take(n: number, into: Buffer[]): void };

export type OutputHooks = {
  /** More may be given. */
  onRoom(): void;
  /** The peer makes us answer and does not read the answers. */
  onClogged(): void;
};

/** The writing side of one connection. Data frames are flushed in the turn and by the code that gave them. */
export class Output {
  readonly #wire: Wire;
  readonly #hooks: OutputHooks;
  /** Small frames, which wait for the end of the turn or the wire; the last of them lie in the batch. */
  #waiting: Buffer[] = [];
  #waitingSize = 0;
  #batch: Buffer | undefined;
  #used = 0;
  /** Where the part of the batch begins that is not among the waiting yet. */
  #from = 0;
  #data: Buffer[] = [];
  #dataSize = 0;
  readonly #pieces: Buffer[] = [];
  #headers = 0;
  #writing = false;
  #scheduled = false;
  #closed = false;

  constructor(wire: Wire, hooks: OutputHooks) {
    this.#wire = wire;
    this.#hooks = hooks;
  }

  /** Octets of payload that a data frame may have now; 0 when none may be sent. */
  get room(): number {
    if (this.#writing || this.#closed || this.#headers + FRAME_HEADER > HEADERS.length) return 0;
    const room = WRITE - this.#dataSize;
    return room >= LEAST ? room : 0;
  }

  /** A DATA frame of n octets (at most `room`). False: it must be flushed in this turn, for it is a view. */
  data(from: DataSource, n: number, endStream: boolean): boolean {
    const flags = endStream ? FLAG.END_STREAM : 0;
    if (n <= SMALL && this.#data.length === 0) {
      this.#pieces.length = 0;
      if (n > 0) from.take(n, this.#pieces);
      const { bytes, at } = this.#place(FRAME_HEADER + n);
      putHeader(bytes, at, { type: FRAME.DATA, flags, id: from.id, length: n });
      let to = at + FRAME_HEADER;
      for (const piece of this.#pieces) to += piece.copy(bytes, to);
      if (this.#waitingSize > TURN) this.flush();
      else this.#schedule();
      return true;
    }
    const header = HEADERS.subarray(this.#headers, this.#headers + FRAME_HEADER);
    putHeader(header, 0, { type: FRAME.DATA, flags, id: from.id, length: n });
    this.#headers += FRAME_HEADER;
    this.#data.push(header);
    if (n > 0) from.take(n, this.#data);
    this.#dataSize += n;
    return false;
  }

  /** A whole frame of another kind. */
  control(frame: Buffer): void {
    if (this.#closed) return;
    if (frame.length > BATCH) {
      this.#seal();
      this.#waiting.push(frame);
      this.#waitingSize += frame.length;
    } else {
      const { bytes, at } = this.#place(frame.length);
      frame.copy(bytes, at);
    }
    if (this.#waitingSize + this.#used > CLOGGED) this.#hooks.onClogged();
    this.#schedule();
  }

  /** n octets behind what waits. */
  #place(n: number): { readonly bytes: Buffer; readonly at: number } {
    if (this.#batch !== undefined && this.#batch.length - this.#used < n) {
      this.#seal();
      this.#batch = undefined;
    }
    if (this.#batch === undefined) {
      this.#batch = spare.pop() ?? Buffer.allocUnsafeSlow(BATCH);
      this.#used = 0;
      this.#from = 0;
    }
    const at = this.#used;
    this.#used += n;
    return { bytes: this.#batch, at };
  }

  #seal(): void {
    if (this.#batch === undefined || this.#used === this.#from) return;
    this.#waiting.push(this.#batch.subarray(this.#from, this.#used));
    this.#waitingSize += this.#used - this.#from;
    this.#from = this.#used;
  }

  #schedule(): void {
    if (this.#scheduled || this.#writing) return;
    this.#scheduled = true;
    // When all that is ready in this turn of the loop has been looked at: what it gives rise to leaves together.
    setImmediate(this.#onTurn);
  }

  readonly #onTurn = (): void => {
    this.#scheduled = false;
    this.flush();
  };

  /** Nothing more is taken; what was is written, and `end` is told to the wire. */
  end(): void {
    this.flush();
    this.#closed = true;
    this.#endWhenWritten();
  }

  #endWhenWritten(): void {
    if (this.#closed && !this.#writing && this.#waiting.length === 0 && this.#used === this.#from) this.#wire.end();
  }

  /** Nothing is written any more. */
  discard(): void {
    this.#closed = true;
    this.#waiting = [];
    this.#batch = undefined;
    this.#used = 0;
    this.#from = 0;
    this.#data = [];
  }

  /** Writes what there is, unless a write is under way: data frames are never given then. */
  flush(): void {
    if (this.#writing) return;
    this.#seal();
    if (this.#waiting.length === 0 && this.#data.length === 0) return;
    const waited = this.#waiting;
    const parts = waited.length === 0 ? this.#data : this.#data.length === 0 ? waited : waited.concat(this.#data);
    const batch = this.#batch;
    this.#waiting = [];
    this.#waitingSize = 0;
    this.#batch = undefined;
    this.#used = 0;
    this.#from = 0;
    this.#data = [];
    this.#dataSize = 0;
    this.#headers = 0;
    this.#writing = true;
    let inside = true;
    this.#wire.write(parts, () => {
      this.#writing = false;
      if (!inside) this.#written();
    });
    inside = false;
    // The wire has done with the views.
    if (batch !== undefined && spare.length < SPARE) spare.push(batch);
  }

  #written(): void {
    if (!this.#closed) this.#hooks.onRoom();
    this.flush();
    this.#endWhenWritten();
  }
}
