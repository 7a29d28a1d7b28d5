// Which stream's octets are sent next, within both windows and without one stream starving the others?

import { ConnectionError, MAX_31 } from "./codes.ts";
import type { Output } from "./output.ts";
import { DEFAULT_WINDOW, INITIAL_PEER } from "./settings.ts";
import type { H2Stream } from "./stream.ts";

/** Streams with something to send take turns, a frame each. */
export class Sender {
  readonly #output: Output;
  #ready: H2Stream[] = [];
  /** Wait for the connection's window. */
  #starved: H2Stream[] = [];
  #window = DEFAULT_WINDOW;
  #pumping = false;
  maxFrame = INITIAL_PEER.maxFrame;
  /** Called with the octets of each data frame. */
  readonly #onSent: (n: number) => void;

  constructor(output: Output, onSent: (n: number) => void) {
    this.#output = output;
    this.#onSent = onSent;
  }

  /** The stream has octets, or its end, to send. */
  add(stream: H2Stream): void {
    if (!stream.queued) {
      stream.queued = true;
      this.#ready.push(stream);
    }
    this.pump();
  }

  /** The peer allows more on the connection. Throws ConnectionError. */
  widen(increment: number): void {
    this.#window += increment;
    if (this.#window > MAX_31) throw new ConnectionError("FLOW_CONTROL_ERROR", "the connection's window grew too large");
    if (this.#window <= 0 || this.#starved.length === 0) return;
    this.#ready.push(...this.#starved);
    this.#starved = [];
    this.pump();
  }

  pump(): void {
    // Sending calls a stream's writer back, who may write at once.
    if (this.#pumping) return;
    this.#pumping = true;
    while (this.#ready.length > 0) {
      const room = this.#output.room;
      if (room === 0) break;
      const stream = this.#ready.shift();
      if (stream !== undefined) this.#turn(stream, room);
    }
    this.#pumping = false;
  }

  #turn(stream: H2Stream, room: number): void {
    const { pending } = stream;
    if (stream.destroyed || stream.over || (pending > 0 && stream.sendWindow <= 0)) {
      // Its own window's update brings it back.
      stream.queued = false;
      return;
    }
    if (pending > 0 && this.#window <= 0) {
      this.#starved.push(stream);
      return;
    }
    stream.queued = false;
    const n = Math.min(pending, stream.sendWindow, this.#window, this.maxFrame, room);
    if (pending > 0) {
      this.#window -= n;
      stream.sendWindow -= n;
      this.#output.data(stream, n, false);
      this.#onSent(n);
      if (n < pending) {
        stream.queued = true;
        this.#ready.push(stream);
      }
      stream.sent();
    } else if (stream.ending) {
      this.#output.data(stream, 0, true);
      stream.sentEnd();
    }
  }
}
