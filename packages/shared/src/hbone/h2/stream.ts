// How does an HTTP/2 stream become a tunnel's two halves: each ends on its own, and a cut is never taken for an end?

import { type End, type EndEvents, FREE_LEASE, type Lease } from "../../copy/end.ts";
import { giveBack, Held } from "../../copy/held.ts";
import type { CodeName } from "./codes.ts";
import type { AnswerHead, PlainFields } from "./fields.ts";
import { ReceiveWindow } from "./flow.ts";

/** What a stream tells its connection. */
export type StreamOwner = {
  /** It has octets, or its end, to send. */
  ready(stream: H2Stream): void;
  /** Octets of it were passed on, or nobody wants them any more. */
  consumed(stream: H2Stream, n: number): void;
  /** It is not used any more; `code` goes to a peer that does not know yet. */
  dropped(stream: H2Stream, code: CodeName): void;
  /** Sends a head. */
  answer(stream: H2Stream, head: { readonly status: number; readonly headers: PlainFields }, endStream: boolean): void;
};

/** Why a stream was cut; code and message as net.Socket reports the same thing. */
export class StreamReset extends Error {
  readonly code = "ECONNRESET";
  /** The peer has not looked at the stream (RFC 9113 section 8.7): its request may be sent again elsewhere. */
  readonly refused: boolean;
  /** The peer wants no more of ours, and its own half had ended (NO_ERROR, RFC 9113 section 8.1): what came is whole. */
  readonly late: boolean;

  constructor(detail: string, why: { readonly refused?: boolean; readonly late?: boolean; readonly cause?: unknown } = {}) {
    super(detail, why.cause === undefined ? undefined : { cause: why.cause });
    this.refused = why.refused ?? false;
    this.late = why.late ?? false;
  }
}

const NOTHING: Buffer[] = [];

/**
 * The octets of one stream. end() sends END_STREAM; cut() before both halves have ended sends RST_STREAM (CANCEL) and nothing else; a reset by the
 * peer or a lost connection closes it with StreamReset. What is not credited stays uncredited, so the peer stops at the window.
 */
export class H2Stream implements End {
  readonly id: number;
  readonly #owner: StreamOwner;
  #events: EndEvents | undefined;
  closed = false;
  /** A client's: called with the final answer. */
  onAnswer: ((head: AnswerHead) => void) | undefined;
  /** Called once when the stream is over, whatever became of it; with a StreamReset when it was not in order and not our doing. */
  onOver: ((reset: Error | undefined) => void) | undefined;

  // The sending half; Sender works on these.
  sendWindow: number;
  queued = false;
  pending = 0;
  ending = false;
  localEnded = false;
  /** Pushed, and sent or copied before flush() returns. */
  #pushed: Buffer[] = NOTHING;
  /** Copies that wait for the peer's window or the wire, and the one of them that is being sent. */
  #waiting: Held | undefined;
  #piece: Buffer | undefined;
  #offset = 0;
  /** Sent from, to be given back once the wire has taken them. */
  #spent: Buffer[] = NOTHING;
  /** Octets that flush() told as kept. */
  #kept = 0;

  // The receiving half.
  readonly window: ReceiveWindow;
  remoteEnded = false;
  answered = false;
  /** Octets of it came in the chunk that is being read. */
  touched = false;
  /** What came before anybody listened. */
  #held: Held | undefined;
  #uncredited = 0;
  /** The peer knows that the stream is over, or the connection is. */
  #told = false;
  #reset: StreamReset | undefined;

  constructor(owner: StreamOwner, about: { readonly id: number; readonly sendWindow: number; readonly receiveWindow: number }) {
    this.#owner = owner;
    this.id = about.id;
    this.sendWindow = about.sendWindow;
    this.window = new ReceiveWindow(about.receiveWindow);
  }

  /** Octets that came and wait for somebody to start. */
  get held(): number {
    return this.#held?.size ?? 0;
  }

  /** Nothing more can be sent, and the peer knows. */
  get over(): boolean {
    return this.#told || (this.localEnded && this.remoteEnded);
  }

  /** Answers with a status below 300 and stays open, or with any and ends (the peer need not send more). Throws TypeError for fields that cannot be sent. */
  respond(status: number, headers: PlainFields, then: "tunnel" | "end"): void {
    this.#owner.answer(this, { status, headers }, then === "end");
    this.answered = true;
    if (then === "tunnel") return;
    this.localEnded = true;
    this.#drop("NO_ERROR");
  }

  start(events: EndEvents): void {
    this.#events = events;
    const held = this.#held;
    this.#held = undefined;
    if (held !== undefined) {
      for (let piece = held.shift(); piece !== undefined; piece = held.shift()) {
        events.data(piece, FREE_LEASE);
        events.flush();
      }
    }
    if (this.remoteEnded) events.end();
    if (this.closed) events.closed(this.#reset === undefined && this.over, this.#reset);
  }

  receive(piece: Buffer, lease: Lease): void {
    if (this.closed) return void this.#owner.consumed(this, piece.length);
    this.#uncredited += piece.length;
    if (this.#events !== undefined) return void this.#events.data(piece, lease);
    this.#held ??= new Held();
    this.#held.add(piece);
  }

  /** After the pieces of a chunk. */
  flushReceived(): void {
    this.touched = false;
    if (!this.closed) this.#events?.flush();
  }

  receiveEnd(): void {
    this.flushReceived();
    this.remoteEnded = true;
    if (this.closed) return;
    this.#events?.end();
    this.#whole();
  }

  /** The peer reset it, or it is refused or lost with its connection. */
  receiveReset(reason: StreamReset): void {
    this.#told = true;
    this.#close(reason);
  }

  /** The peer broke a rule of this stream only. */
  fail(code: CodeName, detail: string): void {
    if (this.closed) return;
    this.#owner.dropped(this, code);
    this.#close(new StreamReset(detail));
  }

  push(chunk: Buffer, lease: Lease): void;
  push(chunk: Buffer): void {
    if (this.closed || this.ending) return;
    if (this.#pushed === NOTHING) this.#pushed = [];
    this.#pushed.push(chunk);
    this.pending += chunk.length;
  }

  flush(): number {
    if (this.#pushed.length === 0) return 0;
    this.#owner.ready(this);
    for (const rest of this.#pushed) {
      this.#waiting ??= new Held();
      this.#waiting.add(rest);
    }
    this.#pushed = NOTHING;
    const kept = this.pending - this.#kept;
    this.#kept = this.pending;
    return kept;
  }

  /** The next n octets to send; their memory is used until sent(). */
  take(n: number, into: Buffer[]): void {
    let left = n;
    while (left > 0) {
      this.#piece ??= this.#waiting?.shift();
      const piece = this.#piece ?? this.#pushed[0];
      if (piece === undefined) throw new Error("a stream was asked for more than it has");
      const end = Math.min(piece.length, this.#offset + left);
      into.push(this.#offset === 0 && end === piece.length ? piece : piece.subarray(this.#offset, end));
      left -= end - this.#offset;
      this.#offset = end;
      if (end === piece.length) this.#done(piece);
    }
    this.pending -= n;
    // What is left of a pushed piece is the piece from now on.
    const first = this.#piece === undefined && this.#offset > 0 ? this.#pushed[0] : undefined;
    if (first === undefined) return;
    this.#pushed[0] = first.subarray(this.#offset);
    this.#offset = 0;
  }

  #done(piece: Buffer): void {
    this.#offset = 0;
    if (this.#piece === undefined) return void this.#pushed.shift();
    this.#piece = undefined;
    if (this.#waiting?.size === 0) this.#waiting = undefined;
    if (this.#spent === NOTHING) this.#spent = [];
    this.#spent.push(piece);
  }

  /** The wire has taken n octets, and our end. */
  sent(n: number, end: boolean): void {
    if (this.#spent.length > 0) {
      for (const piece of this.#spent) giveBack(piece);
      this.#spent = NOTHING;
    }
    if (this.closed) return;
    const taken = Math.min(n, this.#kept);
    this.#kept -= taken;
    if (taken > 0) this.#events?.taken(taken);
    if (!end || this.closed) return;
    this.localEnded = true;
    this.#events?.finished();
    this.#whole();
  }

  credit(n: number): void {
    const owed = Math.min(n, this.#uncredited);
    this.#uncredited -= owed;
    if (owed > 0) this.#owner.consumed(this, owed);
  }

  /** The window does this. */
  pause(): void {}
  resume(): void {}

  end(): void {
    if (this.ending || this.closed) return;
    this.flush();
    this.ending = true;
    this.#owner.ready(this);
  }

  cut(): void {
    this.#drop("CANCEL");
    this.credit(this.#uncredited);
    this.#held?.clear();
    this.#held = undefined;
  }

  close(): void {
    this.cut();
  }

  /** Over by our own will: nobody is told but the peer. */
  #drop(code: CodeName): void {
    if (this.closed) return;
    this.#events = undefined;
    this.#owner.dropped(this, code);
    this.#close(undefined);
  }

  /** Both halves have ended: the connection may forget it, while what came may still be on its way. */
  #whole(): void {
    if (this.closed || !this.localEnded || !this.remoteEnded) return;
    this.#owner.dropped(this, "NO_ERROR");
    this.#close(undefined);
  }

  #close(reset: StreamReset | undefined): void {
    if (this.closed) return;
    this.closed = true;
    this.#reset = reset;
    this.#pushed = NOTHING;
    this.pending = 0;
    this.#waiting?.clear();
    this.#waiting = undefined;
    this.#piece = undefined;
    this.onOver?.(reset);
    this.#events?.closed(reset === undefined, reset);
  }
}
