// How does one HTTP/2 connection that carries tunnels live and end? (RFC 9113; client or server, over any byte stream)

import { EventEmitter } from "node:events";
import type { Lease } from "../../copy/end.ts";
import type { World } from "../../runtime/world.ts";
import type { Wire } from "../wire.ts";
import { type CodeName, ConnectionError, codeName, MAX_31 } from "./codes.ts";
import { type AnswerHead, answerFields, connectFields, type Field, type PlainFields, type RequestHead } from "./fields.ts";
import { ConnectionReceiveWindow } from "./flow.ts";
import { goawayFrame, headersFrames, PREFACE, pingFrame, resetFrame, settingsFrame, windowUpdateFrame } from "./frames.ts";
import { Guard } from "./guard.ts";
import { HpackDecoder, listSize } from "./hpack/decode.ts";
import { encodeBlock } from "./hpack/encode.ts";
import { Output } from "./output.ts";
import { FrameParser } from "./parse.ts";
import { Pings } from "./pings.ts";
import { Receiver } from "./receive.ts";
import { Sender } from "./send.ts";
import {
  CONNECTION_WINDOW,
  DEFAULT_WINDOW,
  HEADER_LIST,
  HEADER_TABLE,
  INITIAL_PEER,
  MAX_FRAME,
  ownSettings,
  type PeerSettings,
  STREAM_WINDOW,
} from "./settings.ts";
import { H2Stream, type StreamOwner, StreamReset } from "./stream.ts";
import { StreamTable } from "./table.ts";

export type H2Events = {
  /** A server's: a CONNECT or another request. Its stream is answered with `respond`. */
  request: [stream: H2Stream, head: RequestHead];
  /** The peer's settings came (the first time, or changed). */
  settings: [settings: PeerSettings];
  /** The peer takes no new streams; those it has go on. */
  goaway: [code: string];
  /** The connection fails: told at once, and only once; "close" follows. */
  failed: [error: Error];
  /** The socket is closed; the error says why, if it was not in order. */
  close: [error: Error | undefined];
};

export type H2SessionOptions = {
  readonly role: "client" | "server";
  readonly world: World;
  /** How many streams the peer may have open (servers only). */
  readonly maxStreams: number;
  /** Octets that streams nobody reads may hold without stopping the others; together with the window it bounds what a connection holds. */
  readonly slack?: number;
};

/** What streams that nobody reads may hold beyond the connection's window. */
const SLACK = CONNECTION_WINDOW;
/** A header block as it comes. More than the lists allow, so that a list that is too large costs its stream and not the connection. */
const MAX_BLOCK = 2 * HEADER_LIST.server;
/** How long the peer has to take our last words. */
const LINGER_MS = 1000;
/** How long it has to take our settings (RFC 9113 section 6.5.3). */
const SETTLE_MS = 10_000;
/** How long after the first GOAWAY the second one waits for the answer to a PING. */
const LEAVE_MS = 1000;

/** "leaving": the peer was told and its requests under way are still taken. "ending": our last words are being written, nothing is read any more. */
type Life = "open" | "leaving" | "draining" | "ending" | "closed";

/** Takes the wire over: it must not have been started. */
export class H2Session extends EventEmitter<H2Events> {
  readonly role: "client" | "server";
  readonly #wire: Wire;
  readonly #world: World;
  readonly #maxStreams: number;
  readonly #table: StreamTable<H2Stream>;
  readonly #output: Output;
  readonly #sender: Sender;
  readonly #guard: Guard;
  readonly #receiver: Receiver;
  readonly #parser: FrameParser;
  readonly #pings = new Pings((opaque) => this.#output.control(pingFrame(opaque, "ask")));
  #life: Life = "open";
  #goneAway = false;
  #peer: PeerSettings = INITIAL_PEER;
  #firstBlock = true;
  #error: Error | undefined;
  /** Aborts when the connection is over, and the timers with it. */
  readonly #over = new AbortController();
  readonly #settled = new AbortController();
  readonly #owner: StreamOwner = {
    ready: (s) => this.#sender.add(s),
    consumed: (s, n) => this.#receiver.consumed(s, n),
    dropped: (s, code) => this.#dropped(s, code),
    answer: (s, head, end) => this.#sendHead(s, answerFields(head.status, head.headers), end),
  };

  constructor(wire: Wire, options: H2SessionOptions) {
    super();
    const { role, world } = options;
    this.role = role;
    this.#wire = wire;
    this.#world = world;
    this.#maxStreams = options.maxStreams;
    this.#table = new StreamTable(role);
    this.#guard = new Guard(() => world.now());
    this.#output = new Output(wire, {
      onRoom: () => this.#sender.pump(),
      onClogged: () => this.#fatal(new ConnectionError("ENHANCE_YOUR_CALM", "the peer does not read what it makes us answer")),
    });
    // The peer may update both windows for every part of a frame that it takes.
    this.#sender = new Sender(this.#output, (n) => this.#guard.earn("window", 2 + n / 1024));
    this.#receiver = new Receiver({
      role,
      table: this.#table,
      output: this.#output,
      sender: this.#sender,
      guard: this.#guard,
      window: new ConnectionReceiveWindow(CONNECTION_WINDOW, options.slack ?? SLACK),
      decoder: new HpackDecoder(HEADER_TABLE, HEADER_LIST[role]),
      accepts: () => (this.#life === "open" || this.#life === "leaving") && this.#table.theirs < this.#maxStreams,
      open: (id) => this.#add(id),
      onRequest: (stream, head) => this.emit("request", stream, head),
      onSettings: (settings) => {
        this.#peer = settings;
        this.emit("settings", settings);
      },
      onSettled: () => this.#settled.abort(),
      onPong: (opaque) => this.#pings.answered(opaque),
      onGoaway: (lastId, code) => this.#onGoaway(lastId, code),
    });
    this.#parser = new FrameParser(this.#receiver, role, { maxFrame: MAX_FRAME, maxBlock: MAX_BLOCK });
    this.#begin();
  }

  #begin(): void {
    if (this.role === "client") this.#output.control(PREFACE);
    this.#output.control(settingsFrame(ownSettings(this.role, this.#maxStreams)));
    this.#output.control(windowUpdateFrame(0, CONNECTION_WINDOW - DEFAULT_WINDOW));
    this.#after(SETTLE_MS, AbortSignal.any([this.#settled.signal, this.#over.signal]), () =>
      this.#fatal(new ConnectionError("SETTINGS_TIMEOUT", "the peer did not acknowledge our SETTINGS")),
    );
    this.#wire.start({
      data: (chunk, lease) => this.#onData(chunk, lease),
      end: () => this.#onEnd(),
      error: (e) => this.#fail(e),
      close: () => this.#onClose(),
    });
  }

  #after(ms: number, unless: AbortSignal, then: () => void): void {
    this.#world.sleep(ms, unless).then(then, () => undefined); // rejected: it is not needed any more
  }

  /** No new streams: we or the peer are going away, or the connection is over. */
  get closed(): boolean {
    return this.#life !== "open" || this.#goneAway;
  }

  get destroyed(): boolean {
    return this.#life === "ending" || this.#life === "closed";
  }

  get streams(): number {
    return this.#table.size;
  }

  get peerSettings(): PeerSettings {
    return this.#peer;
  }

  /** Opens a CONNECT stream (client). Throws StreamReset (refused) when no stream may be opened now, TypeError for what cannot be sent. */
  connect(authority: string, headers: PlainFields, onAnswer: (head: AnswerHead) => void): H2Stream {
    const fields = connectFields(authority, headers);
    if (listSize(fields) > this.#peer.maxHeaderList) throw new TypeError("the headers are larger than the peer allows");
    const free = !this.closed && this.#table.size < this.#peer.maxConcurrentStreams;
    const id = free ? this.#table.takeId() : undefined;
    if (id === undefined) throw new StreamReset("the connection takes no more streams", { refused: true });
    const stream = this.#add(id);
    stream.onAnswer = onAnswer;
    // The server may reset it, also when we have just done so.
    this.#guard.earn("reset", 1);
    this.#sendHead(stream, fields, false);
    return stream;
  }

  /** Whether the peer answers a PING; false when the connection ends before it does. The caller brings the deadline. */
  ping(): Promise<boolean> {
    return this.destroyed ? Promise.resolve(false) : this.#pings.ask();
  }

  /**
   * No new streams; closes when those there are have ended. A server tells so in two steps (RFC 9113 section 6.8): requests that
   * crossed the first GOAWAY are still taken, and the second one, a round trip later, names the last of them.
   */
  close(): void {
    if (this.#life !== "open") return;
    if (this.role === "client") return void this.#leave();
    this.#life = "leaving";
    this.#output.control(goawayFrame(MAX_31, "NO_ERROR"));
    void this.ping().then(() => this.#leave());
    this.#after(LEAVE_MS, this.#over.signal, () => this.#leave());
  }

  #leave(): void {
    if (this.#life !== "open" && this.#life !== "leaving") return;
    this.#life = "draining";
    this.#output.control(goawayFrame(this.#table.highestTheirs, "NO_ERROR"));
    this.#endWhenIdle();
  }

  /** Cuts everything now. */
  destroy(error?: Error): void {
    if (this.#life === "closed") return;
    if (error !== undefined) this.#fail(error);
    this.#cutAll(new StreamReset(error?.message ?? "the connection was closed", { cause: error }));
    this.#life = "ending";
    this.#parser.stop();
    this.#output.discard();
    this.#wire.destroy();
  }

  /** Cuts the streams now, but in order: what was answered before is still sent, then GOAWAY and the end. */
  cut(): void {
    if (this.destroyed) return;
    this.#life = "draining";
    this.#output.control(goawayFrame(this.#table.highestTheirs, "NO_ERROR"));
    this.#cutAll(new StreamReset("the connection was closed"));
    this.#end();
  }

  #add(id: number): H2Stream {
    const stream = new H2Stream(this.#owner, { id, sendWindow: this.#peer.initialWindow, receiveWindow: STREAM_WINDOW });
    this.#table.add(id, stream);
    return stream;
  }

  #sendHead(stream: H2Stream, fields: readonly Field[], endStream: boolean): void {
    if (this.destroyed || stream.closed) return;
    const block = encodeBlock(fields, this.#firstBlock);
    this.#firstBlock = false;
    this.#output.control(headersFrames(stream.id, block, { endStream, maxFrame: this.#peer.maxFrame }));
  }

  #dropped(stream: H2Stream, code: CodeName): void {
    if (this.#table.find(stream.id) !== stream) return;
    const told = stream.over;
    this.#table.close(stream.id, told ? "ended" : "reset-by-us");
    if (!told) {
      // Its end, trailers or reset may be under way.
      this.#guard.earn("noise", 3);
      if (!this.destroyed) this.#output.control(resetFrame(stream.id, code));
    }
    this.#endWhenIdle();
  }

  #endWhenIdle(): void {
    if (this.#table.size === 0 && (this.#life === "draining" || (this.#life === "open" && this.#goneAway))) this.#end();
  }

  /** Our last words are written, then the socket ends. */
  #end(): void {
    if (this.destroyed) return;
    this.#life = "ending";
    this.#parser.stop();
    this.#pings.end();
    this.#output.end();
    this.#after(LINGER_MS, this.#over.signal, () => this.#wire.destroy());
  }

  #fail(error: Error): void {
    if (this.#error !== undefined || this.#life === "closed") return;
    this.#error = error;
    this.emit("failed", error);
  }

  #fatal(error: ConnectionError): void {
    if (this.destroyed) return;
    this.#fail(error);
    this.#parser.stop();
    this.#output.control(goawayFrame(this.#table.highestTheirs, error.code, error.message));
    this.#life = "draining";
    this.#goneAway = true;
    this.#cutAll(new StreamReset(`the connection failed: ${error.message}`, { cause: error }));
    this.#end();
  }

  #cutAll(reason: StreamReset): void {
    for (const stream of this.#table.values()) {
      this.#table.close(stream.id, "reset-by-us");
      stream.receiveReset(reason);
    }
  }

  #onData(chunk: Buffer, lease: Lease): void {
    if (this.destroyed) return;
    try {
      this.#receiver.begin(lease);
      this.#parser.push(chunk);
      this.#receiver.flush();
    } catch (e) {
      if (!(e instanceof ConnectionError)) throw e;
      this.#receiver.flush();
      this.#fatal(e);
    }
  }

  #onGoaway(lastId: number, code: number): void {
    this.#goneAway = true;
    for (const stream of this.#table.values()) {
      if (this.role === "server" || stream.id <= lastId) continue;
      this.#table.close(stream.id, "reset-by-peer");
      stream.receiveReset(new StreamReset("the peer went away before it looked at the stream", { refused: true }));
    }
    this.emit("goaway", codeName(code));
    this.#endWhenIdle();
  }

  /** The peer will send nothing more, so that no stream of it can end in order. */
  #onEnd(): void {
    if (this.destroyed) return;
    this.#cutAll(new StreamReset("the peer closed the connection"));
    this.#end();
  }

  #onClose(): void {
    if (this.#life === "closed") return;
    this.#life = "closed";
    this.#over.abort();
    this.#parser.stop();
    this.#output.discard();
    this.#cutAll(new StreamReset("the connection was lost", { cause: this.#error }));
    this.#pings.end();
    this.emit("close", this.#error);
  }
}
