// How do frames leave: gathered as views, one write at a time?

import type { Wire } from "../wire.ts";
import { FLAG, FRAME } from "./codes.ts";
import { FRAME_HEADER, putHeader } from "./frames.ts";

/** Payload of one write: what the kernel takes at once, and what one connection does before others have their turn. */
const WRITE = 256 * 1024;
/** A data frame is not begun in less room than this. */
const LEAST = 1024;
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
  /** Frames of other kinds, which wait for the end of the turn or the wire. */
  #control: Buffer[] = [];
  #controlSize = 0;
  #data: Buffer[] = [];
  #dataSize = 0;
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

  /** A DATA frame of n octets (at most `room`). */
  data(from: DataSource, n: number, endStream: boolean): void {
    const header = HEADERS.subarray(this.#headers, this.#headers + FRAME_HEADER);
    putHeader(header, 0, { type: FRAME.DATA, flags: endStream ? FLAG.END_STREAM : 0, id: from.id, length: n });
    this.#headers += FRAME_HEADER;
    this.#data.push(header);
    if (n > 0) from.take(n, this.#data);
    this.#dataSize += n;
  }

  /** A whole frame of another kind. */
  control(frame: Buffer): void {
    if (this.#closed) return;
    this.#control.push(frame);
    this.#controlSize += frame.length;
    if (this.#controlSize > CLOGGED) this.#hooks.onClogged();
    if (this.#scheduled || this.#writing) return;
    this.#scheduled = true;
    // Once a turn: what one event gives rise to leaves together.
    process.nextTick(() => {
      this.#scheduled = false;
      this.flush();
    });
  }

  /** Nothing more is taken; what was is written, and `end` is told to the wire. */
  end(): void {
    this.flush();
    this.#closed = true;
    this.#endWhenWritten();
  }

  #endWhenWritten(): void {
    if (this.#closed && !this.#writing && this.#control.length === 0) this.#wire.end();
  }

  /** Nothing is written any more. */
  discard(): void {
    this.#closed = true;
    this.#control = [];
    this.#data = [];
  }

  /** Writes what there is, unless a write is under way: data frames are never given then. */
  flush(): void {
    if (this.#writing || (this.#control.length === 0 && this.#data.length === 0)) return;
    const parts = this.#control.length === 0 ? this.#data : this.#data.length === 0 ? this.#control : this.#control.concat(this.#data);
    this.#control = [];
    this.#controlSize = 0;
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
  }

  #written(): void {
    if (!this.#closed) this.#hooks.onRoom();
    this.flush();
    this.#endWhenWritten();
  }
}
