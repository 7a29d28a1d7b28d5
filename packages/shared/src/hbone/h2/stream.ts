// How does an HTTP/2 stream become a tunnel's two halves: each ends on its own, and a cut is never taken for an end?

import { Duplex } from "node:stream";
import type { CodeName } from "./codes.ts";
import type { AnswerHead, PlainFields } from "./fields.ts";
import { ReceiveWindow } from "./flow.ts";
import { Held } from "../../copy/held.ts";

/** What a stream tells its connection. */
export type StreamOwner = {
  /** It has octets, or its end, to send. */
  ready(stream: H2Stream): void;
  /** Octets of it were handed to the reader. */
  consumed(stream: H2Stream, n: number): void;
  /** It is not used any more; `code` goes to a peer that does not know yet. */
  dropped(stream: H2Stream, code: CodeName): void;
  /** Sends a head. */
  answer(stream: H2Stream, head: { readonly status: number; readonly headers: PlainFields }, endStream: boolean): void;
};

/** Why a stream was destroyed; code and message as net.Socket reports the same thing. */
export class StreamReset extends Error {
  readonly code = "ECONNRESET";
  /** The peer has not looked at the stream (RFC 9113 section 8.7): its request may be sent again elsewhere. */
  readonly refused: boolean;

  constructor(detail: string, why: { readonly refused?: boolean; readonly cause?: unknown } = {}) {
    super(detail, why.cause === undefined ? undefined : { cause: why.cause });
    this.refused = why.refused ?? false;
  }
}

/**
 * The octets of one stream. end() sends END_STREAM; destroy() before both halves have ended sends RST_STREAM (CANCEL) and nothing else;
 * a reset by the peer or a lost connection destroys it with StreamReset. Octets that nobody reads stay uncredited, so the peer stops
 * at the window.
 */
export class H2Stream extends Duplex {
  readonly id: number;
  readonly #owner: StreamOwner;
  /** A client's: called with the final answer. */
  onAnswer: ((head: AnswerHead) => void) | undefined;

  // The sending half; Sender works on these.
  sendWindow: number;
  queued = false;
  pending = 0;
  localEnded = false;
  #chunks: Buffer[] = [];
  #offset = 0;
  #written: ((e?: Error | null) => void) | undefined;
  #final: ((e?: Error | null) => void) | undefined;

  // The receiving half.
  readonly window: ReceiveWindow;
  remoteEnded = false;
  answered = false;
  readonly #held = new Held();
  #wanted = false;
  /** The peer knows that the stream is over, or the connection is. */
  #told = false;
  #code: CodeName = "CANCEL";

  constructor(owner: StreamOwner, about: { readonly id: number; readonly sendWindow: number; readonly receiveWindow: number }) {
    // What is handed to the reader is credited: little waits there, the rest is held (and coalesced) here.
    super({ allowHalfOpen: true, readableHighWaterMark: 16_384 });
    this.#owner = owner;
    this.id = about.id;
    this.sendWindow = about.sendWindow;
    this.window = new ReceiveWindow(about.receiveWindow);
  }

  get ending(): boolean {
    return this.#final !== undefined;
  }

  /** Octets that wait for a reader. */
  get held(): number {
    return this.#held.size;
  }

  /** Answers with a status below 300 and stays open, or with any and ends (the peer need not send more). Throws TypeError for fields that cannot be sent. */
  respond(status: number, headers: PlainFields, then: "tunnel" | "end"): void {
    this.#owner.answer(this, { status, headers }, then === "end");
    this.answered = true;
    if (then === "tunnel") return;
    this.localEnded = true;
    this.#code = "NO_ERROR";
    this.destroy();
  }

  receive(piece: Buffer): void {
    if (this.destroyed) return void this.#owner.consumed(this, piece.length);
    if (!this.#wanted) return void this.#held.add(piece);
    this.#owner.consumed(this, piece.length);
    this.#wanted = this.push(piece);
  }

  receiveEnd(): void {
    this.remoteEnded = true;
    if (this.#held.size === 0) this.push(null);
    this.#whole();
  }

  /** The peer reset it, or it is refused or lost with its connection. */
  receiveReset(reason: StreamReset, code: CodeName | "other"): void {
    this.#told = true;
    // NO_ERROR after a whole answer (RFC 9113 section 8.1): what came is still read, then our half fails.
    if (code === "NO_ERROR" && this.remoteEnded && !this.readableEnded) {
      this.once("end", () => this.destroy(reason));
      return;
    }
    this.destroy(reason);
  }

  /** The peer broke a rule of this stream only. */
  fail(code: CodeName, detail: string): void {
    this.#code = code;
    this.destroy(new StreamReset(detail));
  }

  copyInto(target: Buffer, at: number, n: number): void {
    let left = n;
    let to = at;
    while (left > 0) {
      const chunk = this.#chunks[0];
      if (chunk === undefined) throw new Error("a stream was asked for more than it has");
      const part = chunk.copy(target, to, this.#offset, Math.min(chunk.length, this.#offset + left));
      this.#offset += part;
      to += part;
      left -= part;
      if (this.#offset === chunk.length) {
        this.#chunks.shift();
        this.#offset = 0;
      }
    }
    this.pending -= n;
  }

  /** After copyInto: the writer may go on when all was taken. */
  sent(): void {
    if (this.pending > 0) return;
    const written = this.#written;
    this.#written = undefined;
    written?.();
  }

  sentEnd(): void {
    const final = this.#final;
    this.#final = undefined;
    this.localEnded = true;
    final?.();
    this.#whole();
  }

  /** Both halves have ended: the connection may forget it, while what came may still be read. */
  #whole(): void {
    if (this.localEnded && this.remoteEnded) this.#owner.dropped(this, "NO_ERROR");
  }

  override _read(): void {
    this.#wanted = true;
    while (this.#wanted) {
      const piece = this.#held.shift();
      if (piece === undefined) break;
      this.#owner.consumed(this, piece.length);
      this.#wanted = this.push(piece);
    }
    if (this.remoteEnded && this.#held.size === 0 && !this.readableEnded) this.push(null);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (e?: Error | null) => void): void {
    this.#take([chunk], chunk.length, done);
  }

  override _writev(chunks: { chunk: Buffer; encoding: BufferEncoding }[], done: (e?: Error | null) => void): void {
    const list = chunks.map((c) => c.chunk);
    this.#take(
      list,
      list.reduce((n, c) => n + c.length, 0),
      done,
    );
  }

  #take(chunks: Buffer[], size: number, done: (e?: Error | null) => void): void {
    if (this.#told) return; // destroyed when the reader is through
    if (size === 0) return void done();
    this.#chunks = chunks.filter((c) => c.length > 0);
    this.pending = size;
    this.#written = done;
    this.#owner.ready(this);
  }

  override _final(done: (e?: Error | null) => void): void {
    if (this.localEnded) return void done();
    this.#final = done;
    if (!this.#told) this.#owner.ready(this);
  }

  override _destroy(error: Error | null, done: (e?: Error | null) => void): void {
    const held = this.#held.size;
    this.#held.clear();
    if (held > 0) this.#owner.consumed(this, held);
    this.#chunks = [];
    this.pending = 0;
    this.#owner.dropped(this, this.#code);
    const cut = error ?? new StreamReset("the tunnel was closed before its end");
    this.#written?.(cut);
    this.#final?.(cut);
    done(error);
  }

  /** Nothing more can be sent, and the peer knows. */
  get over(): boolean {
    return this.#told || (this.localEnded && this.remoteEnded);
  }
}
