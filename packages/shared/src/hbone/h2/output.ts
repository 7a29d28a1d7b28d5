// How do frames leave: laid one behind the other in one buffer, one write at a time?

import type { Duplex } from "node:stream";
import { FLAG, FRAME } from "./codes.ts";
import { FRAME_HEADER, putHeader } from "./frames.ts";

/** Four TLS records; larger writes were slower, smaller ones cost a callback each. */
const SLAB = 65_536;
/** A data frame is not begun in less room than this. */
const LEAST = 1024;
/** Slabs that may wait while one is being written. */
const WAITING = 2;
/** Answers that pile up because the peer asks and does not read. */
const CLOGGED = 1 << 20;

/** Kept for the next write of any connection of this thread; busy connections hold three, idle ones none. */
const spare: Buffer[] = [];
const SPARE = 32;

type Segment = { readonly bytes: Buffer; used: number; readonly slab: boolean };

/** Whose octets become DATA: copies the next n of them to `at`. */
export type DataSource = { readonly id: number; copyInto(target: Buffer, at: number, n: number): void };

export type OutputHooks = {
  /** More may be given. */
  onRoom(): void;
  /** The peer makes us answer and does not read the answers. */
  onClogged(): void;
};

/** The writing side of one connection. */
export class Output {
  readonly #socket: Duplex;
  readonly #hooks: OutputHooks;
  #segments: Segment[] = [];
  #queued = 0;
  #writing = false;
  #scheduled = false;
  #closed = false;

  constructor(socket: Duplex, hooks: OutputHooks) {
    this.#socket = socket;
    this.#hooks = hooks;
  }

  /** Octets of payload that a data frame may have now; 0 when none may be sent. */
  get room(): number {
    const tail = this.#segments.at(-1);
    if (tail?.slab && SLAB - tail.used >= FRAME_HEADER + LEAST) return SLAB - tail.used - FRAME_HEADER;
    return this.#segments.length < WAITING && !this.#closed ? SLAB - FRAME_HEADER : 0;
  }

  /** A DATA frame of n octets (at most `room`). */
  data(from: DataSource, n: number, endStream: boolean): void {
    const { bytes, used } = this.#tail(FRAME_HEADER + n);
    putHeader(bytes, used, { type: FRAME.DATA, flags: endStream ? FLAG.END_STREAM : 0, id: from.id, length: n });
    from.copyInto(bytes, used + FRAME_HEADER, n);
    this.#grow(FRAME_HEADER + n);
  }

  /** A whole frame of another kind. */
  control(frame: Buffer): void {
    if (this.#closed) return;
    if (frame.length > SLAB) this.#segments.push({ bytes: frame, used: 0, slab: false });
    else frame.copy(this.#tail(frame.length).bytes, this.#segments.at(-1)?.used ?? 0);
    this.#grow(frame.length);
    if (this.#queued > CLOGGED) this.#hooks.onClogged();
  }

  /** Nothing more is taken; what was is written, and `end` is told to the socket. */
  end(): void {
    this.#closed = true;
    this.flush();
    this.#endWhenWritten();
  }

  #endWhenWritten(): void {
    if (this.#closed && !this.#writing && this.#segments.length === 0) this.#socket.end();
  }

  /** Nothing is written any more. */
  discard(): void {
    this.#closed = true;
    this.#segments = [];
  }

  /** One buffer a write: several would be copied into one below. */
  flush(): void {
    this.#scheduled = false;
    if (this.#writing || this.#socket.destroyed) return;
    const segment = this.#segments.shift();
    if (segment === undefined) return;
    this.#queued -= segment.used;
    this.#writing = true;
    this.#socket.write(segment.bytes.subarray(0, segment.used), () => this.#written(segment));
  }

  #written({ bytes, slab }: Segment): void {
    if (slab && spare.length < SPARE) spare.push(bytes);
    this.#writing = false;
    if (!this.#closed) this.#hooks.onRoom();
    this.flush();
    this.#endWhenWritten();
  }

  /** A slab with room for n octets at the end of what waits. */
  #tail(n: number): Segment {
    const tail = this.#segments.at(-1);
    if (tail?.slab && SLAB - tail.used >= n) return tail;
    // What is full need not wait for the end of the turn.
    if (tail !== undefined) this.flush();
    const made: Segment = { bytes: spare.pop() ?? Buffer.allocUnsafeSlow(SLAB), used: 0, slab: true };
    this.#segments.push(made);
    return made;
  }

  #grow(n: number): void {
    const tail = this.#segments.at(-1);
    if (tail !== undefined) tail.used += n;
    this.#queued += n;
    if (this.#scheduled || this.#writing) return;
    this.#scheduled = true;
    // Once a turn: what one event gives rise to (HEADERS and DATA, several streams) leaves together.
    process.nextTick(() => this.flush());
  }
}
