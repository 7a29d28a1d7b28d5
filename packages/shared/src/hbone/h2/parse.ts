// Which frames do the bytes of a connection hold, however they were cut? (payload is never copied; RFC 9113 section 4)

import { ConnectionError, FLAG, FRAME, MAX_31 } from "./codes.ts";
import { FRAME_HEADER, type FrameHeader, PREFACE, refuseHeader } from "./frames.ts";
import { MAX_SETTINGS } from "./settings.ts";

/** What becomes of frames. Pieces and payloads are views of the chunk they came in: valid as long as anybody holds them. */
export type FrameHandler = {
  /** A DATA frame begins; `length` counts for flow control (padding included). */
  dataStart(id: number, length: number): void;
  dataPiece(piece: Buffer): void;
  dataEnd(endStream: boolean): void;
  /** A whole header block, HEADERS and CONTINUATIONs joined. */
  headers(id: number, block: Buffer, endStream: boolean): void;
  settings(payload: Buffer): void;
  settingsAck(): void;
  ping(opaque: Buffer, ack: boolean): void;
  goaway(lastId: number, code: number): void;
  reset(id: number, code: number): void;
  windowUpdate(id: number, increment: number): void;
  /** Frames that say nothing to us: PRIORITY and types we do not know. */
  noise(): void;
};

export type ParserLimits = {
  readonly maxFrame: number;
  /** Octets of one header block as it comes, joined. */
  readonly maxBlock: number;
};

/** A block of honest size, in frames of the smallest size allowed, has fewer (nghttp2 takes 8). */
const MAX_CONTINUATIONS = 8;

const NONE = Buffer.alloc(0);

type State = "preface" | "header" | "pad" | "data" | "skip" | "gather";

/** One per connection. `push` throws ConnectionError when the peer broke a rule; it cannot be used after that. */
export class FrameParser {
  readonly #to: FrameHandler;
  readonly #limits: ParserLimits;
  #state: State;
  /** Of the part in work: how much is still to come. */
  #left: number;
  /** A part that is used whole and came in pieces. */
  #gathered: Buffer = NONE;
  #have = 0;
  #type = 0;
  #flags = 0;
  #id = 0;
  #padding = 0;
  #first = true;
  #stopped = false;
  /** The header block that is being gathered. */
  #block: { readonly id: number; readonly endStream: boolean; readonly parts: Buffer[]; size: number } | undefined;

  /** role: who we are; a server's peer begins with the preface. */
  constructor(to: FrameHandler, role: "client" | "server", limits: ParserLimits) {
    this.#to = to;
    this.#limits = limits;
    this.#state = role === "server" ? "preface" : "header";
    this.#left = role === "server" ? PREFACE.length : FRAME_HEADER;
  }

  /** No frame is told any more, also not from a chunk that is being read. */
  stop(): void {
    this.#stopped = true;
  }

  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && !this.#stopped) {
      const n = Math.min(this.#left, chunk.length - at);
      const from = at;
      at += n;
      if (this.#state === "data") {
        this.#left -= n;
        this.#to.dataPiece(chunk.subarray(from, at));
        if (this.#left === 0) this.#next();
      } else if (this.#state === "skip") {
        this.#left -= n;
        if (this.#left === 0) this.#next();
      } else this.#part(chunk, from, at);
    }
  }

  /** A part that is used whole: taken as it lies in the chunk, or gathered. */
  #part(chunk: Buffer, from: number, to: number): void {
    if (this.#have === 0 && to - from === this.#left) return void this.#whole(chunk, from);
    if (this.#have === 0) this.#gathered = Buffer.allocUnsafe(this.#left);
    chunk.copy(this.#gathered, this.#have, from, to);
    this.#have += to - from;
    this.#left -= to - from;
    if (this.#state === "preface" && PREFACE.compare(this.#gathered, 0, this.#have, 0, this.#have) !== 0) this.#noPreface();
    if (this.#left > 0) return;
    const whole = this.#gathered;
    this.#left = whole.length;
    this.#have = 0;
    this.#gathered = NONE;
    this.#whole(whole, 0);
  }

  #noPreface(): never {
    throw new ConnectionError("PROTOCOL_ERROR", "the peer does not begin as HTTP/2 does");
  }

  /** `#left` octets at `at` are the part. */
  #whole(b: Buffer, at: number): void {
    switch (this.#state) {
      case "preface":
        if (PREFACE.compare(b, at, at + PREFACE.length) !== 0) this.#noPreface();
        return void this.#expect("header", FRAME_HEADER);
      case "header":
        return void this.#header(b, at);
      case "pad":
        return void this.#padded(b[at] ?? 0);
      case "gather":
        this.#control(b.subarray(at, at + this.#left));
        return void this.#expect("header", FRAME_HEADER);
      case "data":
      case "skip":
        throw new Error(`a part of ${this.#state} is never gathered`);
    }
  }

  #expect(state: State, left: number): void {
    this.#state = state;
    this.#left = left;
  }

  #header(b: Buffer, at: number): void {
    const u8 = (i: number): number => b[at + i] ?? 0;
    const h: FrameHeader = {
      length: (u8(0) << 16) | (u8(1) << 8) | u8(2),
      type: u8(3),
      flags: u8(4),
      id: ((u8(5) & 0x7f) << 24) | (u8(6) << 16) | (u8(7) << 8) | u8(8),
    };
    if (this.#first && (h.type !== FRAME.SETTINGS || (h.flags & FLAG.ACK) !== 0))
      throw new ConnectionError("PROTOCOL_ERROR", "the peer's first frame is not SETTINGS");
    this.#first = false;
    const refusal = refuseHeader(h, this.#limits.maxFrame, this.#block?.id);
    if (refusal !== undefined) throw new ConnectionError(refusal.code, refusal.detail);
    this.#type = h.type;
    this.#flags = h.flags;
    this.#id = h.id;
    if (h.type === FRAME.DATA) return void this.#data(h);
    if (h.type === FRAME.PRIORITY || h.type > FRAME.CONTINUATION) {
      this.#to.noise();
      this.#padding = 0;
      return void this.#expect(h.length === 0 ? "header" : "skip", h.length === 0 ? FRAME_HEADER : h.length);
    }
    this.#checkGathered(h);
    if (h.length > 0) return void this.#expect("gather", h.length);
    this.#control(NONE);
    this.#expect("header", FRAME_HEADER);
  }

  /** What is gathered is bounded before its first octet is. */
  #checkGathered(h: FrameHeader): void {
    const tooMuch =
      h.type === FRAME.SETTINGS
        ? h.length > MAX_SETTINGS * 6
        : (this.#block?.size ?? 0) + h.length > this.#limits.maxBlock || (this.#block?.parts.length ?? 0) > MAX_CONTINUATIONS;
    if (tooMuch) throw new ConnectionError("ENHANCE_YOUR_CALM", "the peer sends more headers or settings than anybody needs");
  }

  #data({ id, length, flags }: FrameHeader): void {
    const padded = (flags & FLAG.PADDED) !== 0;
    if (padded && length === 0) throw new ConnectionError("FRAME_SIZE_ERROR", "a padded DATA frame has no room for its padding");
    this.#padding = 0;
    this.#to.dataStart(id, length);
    if (padded) {
      this.#padding = length - 1;
      return void this.#expect("pad", 1);
    }
    this.#expect("data", length);
    if (length === 0) this.#next();
  }

  /** `#padding` holds what follows the length octet until the length is known. */
  #padded(length: number): void {
    const rest = this.#padding;
    if (length > rest) throw new ConnectionError("PROTOCOL_ERROR", "a DATA frame is padded by more than its length");
    this.#padding = length;
    this.#expect("data", rest - length);
    if (rest === length) this.#next();
  }

  /** After data or skipped octets. */
  #next(): void {
    if (this.#padding > 0) {
      this.#expect("skip", this.#padding);
      this.#padding = 0;
      return;
    }
    this.#expect("header", FRAME_HEADER);
    if (this.#type === FRAME.DATA) this.#to.dataEnd((this.#flags & FLAG.END_STREAM) !== 0);
  }

  #control(payload: Buffer): void {
    const ack = (this.#flags & FLAG.ACK) !== 0;
    switch (this.#type) {
      case FRAME.HEADERS:
      case FRAME.CONTINUATION:
        return void this.#headers(payload);
      case FRAME.RST_STREAM:
        return void this.#to.reset(this.#id, payload.readUInt32BE(0));
      case FRAME.SETTINGS:
        if (ack) return void this.#to.settingsAck();
        return void this.#to.settings(payload);
      case FRAME.PING:
        return void this.#to.ping(payload, ack);
      case FRAME.GOAWAY:
        return void this.#to.goaway(payload.readUInt32BE(0) & MAX_31, payload.readUInt32BE(4));
      case FRAME.WINDOW_UPDATE:
        return void this.#to.windowUpdate(this.#id, payload.readUInt32BE(0) & MAX_31);
      default:
        throw new Error(`a frame of type ${this.#type} is never gathered`);
    }
  }

  #headers(payload: Buffer): void {
    const fragment = this.#type === FRAME.HEADERS ? this.#fragment(payload) : payload;
    this.#block ??= { id: this.#id, endStream: (this.#flags & FLAG.END_STREAM) !== 0, parts: [], size: 0 };
    const block = this.#block;
    const done = (this.#flags & FLAG.END_HEADERS) !== 0;
    // A block that goes on would otherwise keep its whole chunk.
    block.parts.push(done ? fragment : Buffer.from(fragment));
    block.size += fragment.length;
    if (!done) return;
    this.#block = undefined;
    this.#to.headers(block.id, block.parts.length === 1 ? fragment : Buffer.concat(block.parts), block.endStream);
  }

  /** Without padding and priority. */
  #fragment(payload: Buffer): Buffer {
    const padded = (this.#flags & FLAG.PADDED) !== 0;
    const start = (padded ? 1 : 0) + ((this.#flags & FLAG.PRIORITY) !== 0 ? 5 : 0);
    const end = payload.length - (padded ? (payload[0] ?? 0) : 0);
    if (payload.length < start) throw new ConnectionError("FRAME_SIZE_ERROR", "a HEADERS frame is too short for its flags");
    if (end < start) throw new ConnectionError("PROTOCOL_ERROR", "a HEADERS frame is padded by more than its length");
    return payload.subarray(start, end);
  }
}
