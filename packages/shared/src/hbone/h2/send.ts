// Which stream's octets are sent next, within both windows and without one stream starving the others?

import { ConnectionError, MAX_31 } from "./codes.ts";
import type { Output } from "./output.ts";
import { DEFAULT_WINDOW, INITIAL_PEER } from "./settings.ts";
import type { H2Stream } from "./stream.ts";

/** What one stream sends before the next has its turn, where others wait. */
const TURN = 65_536;

/** Streams with something to send take turns. */
export class Sender {
  readonly #output: Output;
  #ready: H2Stream[] = [];
  /** Wait for the connection's window. */
  #starved: H2Stream[] = [];
  /** Given to the output and not written yet. */
  #given: { readonly stream: H2Stream; readonly n: number; readonly end: boolean }[] = [];
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

  /** Sends what may be sent. One write carries as much as there is room for; streams are told when it has been taken. */
  pump(): void {
    // Streams call their writers back, who may write at once.
    if (this.#pumping) return;
    this.#pumping = true;
    while (this.#ready.length > 0 && this.#output.room > 0) {
      while (this.#ready.length > 0 && this.#output.room > 0) {
        const stream = this.#ready.shift();
        if (stream !== undefined) this.#turn(stream, this.#output.room);
      }
      this.#write();
    }
    this.#pumping = false;
  }

  #write(): void {
    const given = this.#given;
    if (given.length === 0) return;
    this.#given = [];
    this.#output.flush();
    for (const { stream, n, end } of given) stream.sent(n, end);
  }

  #turn(stream: H2Stream, room: number): void {
    const { pending } = stream;
    if (stream.closed || stream.localEnded || (pending > 0 && stream.sendWindow <= 0)) {
      // Its own window's update brings it back.
      stream.queued = false;
      return;
    }
    if (pending > 0 && this.#window <= 0) {
      this.#starved.push(stream);
      return;
    }
    stream.queued = false;
    const turn = this.#ready.length > 0 ? TURN : room;
    const n = Math.min(pending, stream.sendWindow, this.#window, this.maxFrame, room, turn);
    if (n === 0 && !stream.ending) return;
    const end = stream.ending && n === pending;
    this.#window -= n;
    stream.sendWindow -= n;
    const copied = this.#output.data(stream, n, end);
    if (!copied) this.#given.push({ stream, n, end });
    if (n > 0) this.#onSent(n);
    if (n < pending) {
      stream.queued = true;
      this.#ready.push(stream);
    }
    if (copied) stream.sent(n, end);
  }
}
