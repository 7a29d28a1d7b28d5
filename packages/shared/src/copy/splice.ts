// How do bytes pass between two connections until both directions have ended? (the only per-chunk code)

import { Socket } from "node:net";
import { Duplex } from "node:stream";
import { MeshError } from "../errors/mesh-error.ts";
import { duplexEnd } from "./duplex.ts";
import { type End, type EndEvents, isLate, isOrdinary, type Lease } from "./end.ts";
import { tcpEnd } from "./tcp.ts";

export type Meter = { add(bytes: number): void };

export type SpliceEnd =
  /** Both directions ended, or a side went away as connections do (reset, broken pipe, closed early). */
  | { readonly why: "closed" }
  /** The signal aborted; `reason` is the signal's. */
  | { readonly why: "aborted"; readonly reason: unknown }
  | { readonly why: "failed"; readonly error: Error };

export type SpliceOptions = {
  /** Counts bytes read from the first side and written to the second. */
  readonly forward: Meter;
  /** Counts bytes read from the second side and written to the first. */
  readonly backward: Meter;
  readonly signal?: AbortSignal;
};

const CLOSED: SpliceEnd = { why: "closed" };

/** One of the two ends, and what of its octets is on the way. */
class Side implements EndEvents {
  readonly own: End;
  readonly #meter: Meter;
  readonly #splice: Splice;
  #peer: Side | undefined;
  /** Told by the end and not flushed to the other one yet. */
  #gathered = 0;
  /** Kept by the end: it has them to send. */
  #kept = 0;
  #finished = false;
  /** Our octets are waited for: no more are read. */
  #paused = false;

  constructor(end: End, meter: Meter, splice: Splice) {
    this.own = end;
    this.#meter = meter;
    this.#splice = splice;
  }

  start(peer: Side): void {
    this.#peer = peer;
    this.own.start(this);
  }

  data(chunk: Buffer, lease: Lease): void {
    this.#gathered += chunk.length;
    this.#peer?.own.push(chunk, lease);
  }

  flush(): void {
    const peer = this.#peer;
    const n = this.#gathered;
    if (peer === undefined || n === 0) return;
    this.#gathered = 0;
    this.#meter.add(n);
    const kept = peer.own.flush();
    peer.#kept += kept;
    if (kept < n) this.own.credit(n - kept);
    if (peer.#kept <= 0 || this.#paused) return;
    this.#paused = true;
    this.own.pause();
  }

  end(): void {
    this.#peer?.own.end();
  }

  taken(n: number): void {
    const peer = this.#peer;
    this.#kept -= n;
    if (peer === undefined) return;
    peer.own.credit(n);
    if (this.#kept > 0 || !peer.#paused) return;
    peer.#paused = false;
    peer.own.resume();
  }

  finished(): void {
    this.#finished = true;
    this.#splice.finished();
  }

  closed(whole: boolean, error: Error | undefined): void {
    // What came is whole: the other side gets all of it before it is cut.
    const peer = this.#peer;
    if (isLate(error) && peer !== undefined && !peer.#finished) return void this.#splice.afterNext();
    // A side that is through in both directions may close while the other is still being written to.
    if (whole) return;
    // One of our own decisions, such as to cut a peer whose certificate was revoked, is no ordinary end, however it reaches the stream.
    const ours = error?.cause instanceof MeshError;
    const ordinary = error === undefined || (!ours && "code" in error && isOrdinary(error.code));
    this.#splice.over(ordinary ? CLOSED : { why: "failed", error });
  }
}

class Splice {
  readonly #first: Side;
  readonly #second: Side;
  readonly #signal: AbortSignal | undefined;
  #done: ((end: SpliceEnd) => void) | undefined;
  #left = 2;
  #lost = false;

  constructor(ends: readonly [End, End], options: SpliceOptions, done: (end: SpliceEnd) => void) {
    this.#done = done;
    this.#signal = options.signal;
    this.#first = new Side(ends[0], options.forward, this);
    this.#second = new Side(ends[1], options.backward, this);
  }

  start(): void {
    if (this.#signal?.aborted === true) return void this.#onAbort();
    this.#signal?.addEventListener("abort", this.#onAbort, { once: true });
    if (this.#first.own.closed || this.#second.own.closed) return void this.over(CLOSED);
    this.#first.start(this.#second);
    // The first may have told at once that it is over.
    if (this.#done !== undefined) this.#second.start(this.#first);
  }

  readonly #onAbort = (): void => this.over({ why: "aborted", reason: this.#signal?.reason });

  /** One direction is through. */
  finished(): void {
    this.#left -= 1;
    if (this.#left === 0 || this.#lost) this.over(CLOSED);
  }

  /** Of the two directions only the one that is still under way can end in order. */
  afterNext(): void {
    this.#lost = true;
  }

  over(end: SpliceEnd): void {
    const done = this.#done;
    if (done === undefined) return;
    this.#done = undefined;
    this.#signal?.removeEventListener("abort", this.#onAbort);
    if (this.#left > 0 || end.why !== "closed") {
      this.#first.own.cut();
      this.#second.own.cut();
    }
    done(end);
  }
}

/** A plain socket is taken over; another stream is used as it is. */
const endOf = (side: End | Duplex): End => {
  if (!(side instanceof Duplex)) return side;
  return (side instanceof Socket ? tcpEnd(side) : undefined) ?? duplexEnd(side);
};

/**
 * Copies both ways between two open connections, each half closing on its own, and resolves when both are through.
 * Takes both sides over (streams need `allowHalfOpen`; of a plain socket only "close" is emitted any more), and nobody else may read them. Data that
 * arrived before the call is not lost. A side that fails or closes early ends the other one at once, and so does the signal. Never rejects.
 */
export const splice = (first: End | Duplex, second: End | Duplex, options: SpliceOptions): Promise<SpliceEnd> =>
  new Promise((resolve) => new Splice([endOf(first), endOf(second)], options, resolve).start());
