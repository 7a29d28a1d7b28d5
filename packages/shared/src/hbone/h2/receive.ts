// What does each frame of the peer mean for the connection and its streams? (RFC 9113 section 5.1)

import { FREE_LEASE, type Lease } from "../../copy/end.ts";
import { CODE, type CodeName, ConnectionError, codeName, MAX_31 } from "./codes.ts";
import { type AnswerHead, type Field, type RequestHead, readAnswer, readRequest } from "./fields.ts";
import type { ConnectionReceiveWindow } from "./flow.ts";
import { pingFrame, resetFrame, settingsAck, windowUpdateFrame } from "./frames.ts";
import type { Guard } from "./guard.ts";
import type { HpackDecoder } from "./hpack/decode.ts";
import type { Output } from "./output.ts";
import type { FrameHandler } from "./parse.ts";
import type { Sender } from "./send.ts";
import { INITIAL_PEER, type PeerSettings, readSettings } from "./settings.ts";
import { type H2Stream, StreamReset } from "./stream.ts";
import type { StreamTable } from "./table.ts";

/** The connection, as its frames see it. */
export type Connection = {
  readonly role: "client" | "server";
  readonly table: StreamTable<H2Stream>;
  readonly output: Output;
  readonly sender: Sender;
  readonly guard: Guard;
  readonly window: ConnectionReceiveWindow;
  readonly decoder: HpackDecoder;
  /** Whether the peer may open one more stream. */
  accepts(): boolean;
  open(id: number): H2Stream;
  onRequest(stream: H2Stream, head: RequestHead): void;
  onSettings(settings: PeerSettings): void;
  /** The peer has our settings. */
  onSettled(): void;
  onPong(opaque: Buffer): void;
  onGoaway(lastId: number, code: number): void;
};

export class Receiver implements FrameHandler {
  readonly #c: Connection;
  #peer: PeerSettings = INITIAL_PEER;
  #settled = false;
  /** Of the DATA frame in work: its stream if its octets are wanted, its length, and what of it was padding. */
  #data: H2Stream | undefined;
  #length = 0;
  #given = 0;
  /** Of the chunk that is being read, and the streams that got octets from it. */
  #lease: Lease = FREE_LEASE;
  #touched: H2Stream[] = [];

  constructor(connection: Connection) {
    this.#c = connection;
  }

  /** Frames of a chunk follow; its memory stands under the lease. */
  begin(lease: Lease): void {
    this.#lease = lease;
  }

  /** The chunk is read: what its streams got goes on now. */
  flush(): void {
    const touched = this.#touched;
    if (touched.length === 0) return;
    this.#touched = [];
    for (const stream of touched) stream.flushReceived();
  }

  dataStart(id: number, length: number): void {
    const { table, window } = this.#c;
    this.#length = length;
    this.#given = 0;
    this.#credit(window.take(length));
    const stream = table.find(id);
    this.#data = stream?.remoteEnded || stream?.closed ? undefined : stream;
    if (this.#data === undefined) return void this.#dataNowhere(id);
    if (this.#c.role === "client" && !this.#data.answered)
      return void this.#data.fail("PROTOCOL_ERROR", "the peer sent data before its answer");
    this.#data.window.take(length);
  }

  #dataNowhere(id: number): void {
    const place = this.#c.table.place(id);
    if (place.t === "idle") throw new ConnectionError("PROTOCOL_ERROR", `DATA on stream ${id}, which nobody has opened`);
    if (place.t === "open") {
      if (place.stream.remoteEnded) place.stream.fail("STREAM_CLOSED", "the peer sent data after its end");
      return;
    }
    if (place.how === "ended" || place.how === "skipped" || place.how === "reset-by-peer")
      throw new ConnectionError("STREAM_CLOSED", `DATA on stream ${id}, which is closed`);
    // What was under way when we reset the stream is honest, and as much as the windows allowed; only what they do not count is.
    if (this.#length === 0) this.#c.guard.count("noise");
  }

  dataPiece(piece: Buffer): void {
    const stream = this.#data;
    if (stream === undefined) return;
    this.#given += piece.length;
    if (!stream.touched) {
      stream.touched = true;
      this.#touched.push(stream);
    }
    stream.receive(piece, this.#lease);
  }

  dataEnd(endStream: boolean): void {
    const stream = this.#data;
    this.#data = undefined;
    // Padding, and what nobody takes, is consumed here.
    const rest = this.#length - this.#given;
    if (rest > 0) {
      this.#credit(this.#c.window.give(rest));
      if (stream !== undefined) this.#creditStream(stream, rest);
    }
    // Only a frame without octets is empty: those of a stream that was cut meanwhile are just not taken any more.
    if (stream !== undefined && this.#given === 0 && !stream.closed && !endStream) this.#c.guard.count("empty");
    if (endStream && stream !== undefined && !stream.closed) stream.receiveEnd();
  }

  /** The reader took n octets. */
  consumed(stream: H2Stream, n: number): void {
    this.#credit(this.#c.window.give(n));
    this.#creditStream(stream, n);
  }

  #credit(increment: number): void {
    if (increment > 0) this.#c.output.control(windowUpdateFrame(0, increment));
  }

  #creditStream(stream: H2Stream, n: number): void {
    const increment = stream.window.give(n);
    if (increment > 0 && !stream.remoteEnded && !stream.closed) this.#c.output.control(windowUpdateFrame(stream.id, increment));
  }

  headers(id: number, block: Buffer, endStream: boolean): void {
    // Always decoded, also for nobody: the next block builds on it.
    const decoded = this.#c.decoder.decode(block);
    const fields = decoded.t === "fields" ? decoded.fields : undefined;
    const stream = this.#c.table.find(id);
    if (stream !== undefined) return void this.#headersOf(stream, fields, endStream);
    const place = this.#c.table.place(id);
    if (place.t === "closed") {
      if (place.how === "reset-by-us" || place.how === "forgotten") return void this.#c.guard.count("noise");
      throw new ConnectionError(place.how === "skipped" ? "PROTOCOL_ERROR" : "STREAM_CLOSED", `HEADERS on stream ${id}, which is closed`);
    }
    if (this.#c.role === "client" || !this.#c.table.peerOpens(id))
      throw new ConnectionError("PROTOCOL_ERROR", `HEADERS on stream ${id}, which the peer may not open`);
    this.#request(id, fields, endStream);
  }

  /** A new stream of the peer. */
  #request(id: number, fields: readonly Field[] | undefined, endStream: boolean): void {
    const { table, guard } = this.#c;
    const head = fields === undefined ? undefined : readRequest(fields);
    if (!this.#c.accepts() || head?.ok === false) {
      // A peer that makes us reset costs as much as one that resets.
      guard.count("reset");
      table.close(id, "reset-by-us");
      return void this.#c.output.control(resetFrame(id, head?.ok === false ? "PROTOCOL_ERROR" : "REFUSED_STREAM"));
    }
    const stream = this.#c.open(id);
    if (endStream) stream.receiveEnd();
    if (head === undefined) {
      guard.count("reset");
      return void stream.respond(431, {}, "end");
    }
    this.#c.onRequest(stream, head.value);
  }

  /** An answer, or trailers (which say nothing to a tunnel and end it). */
  #headersOf(stream: H2Stream, fields: readonly Field[] | undefined, endStream: boolean): void {
    const fail = (code: CodeName, detail: string): void => {
      this.#c.guard.count("reset");
      stream.fail(code, detail);
    };
    if (stream.closed) return;
    if (stream.remoteEnded) return void fail("STREAM_CLOSED", "the peer sent headers after its end");
    const answering = this.#c.role === "client" && !stream.answered;
    if (fields === undefined) return void fail("PROTOCOL_ERROR", "the peer's headers are larger than we allow");
    if (!answering) {
      if (!endStream) return void fail("PROTOCOL_ERROR", "the peer sent headers in the middle of its data");
      if (fields.some(([n]) => n.startsWith(":"))) return void fail("PROTOCOL_ERROR", "the peer's trailers hold a pseudo-header");
      return void stream.receiveEnd();
    }
    const head = readAnswer(fields);
    if (!head.ok) return void fail("PROTOCOL_ERROR", `the peer's answer cannot be read: ${head.error}`);
    this.#answer(stream, head.value, endStream);
  }

  #answer(stream: H2Stream, head: AnswerHead, endStream: boolean): void {
    // Interim answers say nothing to a tunnel.
    if (head.status < 200 && endStream) return void stream.fail("PROTOCOL_ERROR", "an interim answer ended the stream");
    if (head.status < 200) return void this.#c.guard.count("noise");
    stream.answered = true;
    stream.onAnswer?.(head);
    if (endStream && !stream.closed) stream.receiveEnd();
  }

  settings(payload: Buffer): void {
    const { guard, table, sender, output, role } = this.#c;
    guard.count("settings");
    const before = this.#peer.initialWindow;
    const from = role === "client" ? "server" : "client";
    this.#peer = readSettings(payload, this.#peer, { from, first: !this.#settled });
    this.#settled = true;
    sender.maxFrame = this.#peer.maxFrame;
    // What the new settings allow is sent after it is known that they hold.
    output.control(settingsAck());
    const delta = this.#peer.initialWindow - before;
    for (const stream of delta === 0 ? [] : table.values()) {
      stream.sendWindow += delta;
      if (stream.sendWindow > MAX_31) throw new ConnectionError("FLOW_CONTROL_ERROR", "a stream's window grew too large");
      sender.add(stream);
    }
    this.#c.onSettings(this.#peer);
  }

  settingsAck(): void {
    this.#c.guard.count("settings");
    this.#c.onSettled();
  }

  ping(opaque: Buffer, ack: boolean): void {
    this.#c.guard.count("ping");
    if (ack) this.#c.onPong(opaque);
    else this.#c.output.control(pingFrame(opaque, "ack"));
  }

  goaway(lastId: number, code: number): void {
    this.#c.guard.count("noise");
    this.#c.onGoaway(lastId, code);
  }

  reset(id: number, code: number): void {
    const { guard, table } = this.#c;
    const place = table.place(id);
    if (place.t === "idle") throw new ConnectionError("PROTOCOL_ERROR", `RST_STREAM on stream ${id}, which nobody has opened`);
    if (place.t === "closed") return void guard.count("reset");
    const { stream } = place;
    // Rapid reset is to make us work and not wait for it. A tunnel that stood may be cut, and what a server does with our streams is its own.
    if (this.#c.role === "server" && !stream.answered) guard.count("reset");
    const refused = code === CODE.REFUSED_STREAM;
    const reason = new StreamReset(refused ? "the peer refused the stream" : `the tunnel was reset by the peer (${codeName(code)})`, {
      refused,
      late: code === CODE.NO_ERROR && stream.remoteEnded,
    });
    table.close(id, "reset-by-peer");
    stream.receiveReset(reason);
  }

  windowUpdate(id: number, increment: number): void {
    const { guard, table, sender } = this.#c;
    guard.count("window");
    if (id === 0) {
      if (increment === 0) throw new ConnectionError("PROTOCOL_ERROR", "WINDOW_UPDATE by 0 on the connection");
      return void sender.widen(increment);
    }
    const place = table.place(id);
    if (place.t === "idle") throw new ConnectionError("PROTOCOL_ERROR", `WINDOW_UPDATE on stream ${id}, which nobody has opened`);
    // It may cross our own end or reset.
    if (place.t === "closed") return;
    const { stream } = place;
    stream.sendWindow += increment;
    if (increment === 0 || stream.sendWindow > MAX_31) {
      guard.count("reset");
      return void stream.fail(increment === 0 ? "PROTOCOL_ERROR" : "FLOW_CONTROL_ERROR", `WINDOW_UPDATE by ${increment} on a stream`);
    }
    sender.add(stream);
  }

  noise(): void {
    this.#c.guard.count("noise");
  }
}
