// How does one HTTP/2 connection that carries tunnels live and end? (RFC 9113; client or server, over any byte stream)

import { EventEmitter } from "node:events";
import type { Duplex } from "node:stream";
import type { World } from "../../runtime/world.ts";
import { type CodeName, ConnectionError, codeName } from "./codes.ts";
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
import { H2Stream, StreamReset } from "./stream.ts";
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

/** "ending": our last words are being written, nothing is read any more. */
type Life = "open" | "draining" | "ending" | "closed";

/** Takes the socket over: it must be connected, and nobody else may read or write it. */
export class H2Session extends EventEmitter<H2Events> {
  readonly role: "client" | "server";
  readonly #socket: Duplex;
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

  constructor(socket: Duplex, options: H2SessionOptions) {
    super();
    const { role, world } = options;
    this.role = role;
    this.#socket = socket;
    this.#world = world;
    this.#maxStreams = options.maxStreams;
    this.#table = new StreamTable(role);
    this.#guard = new Guard(() => world.now());
    this.#output = new Output(socket, {
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
      accepts: () => this.#life === "open" && this.#table.theirs < this.#maxStreams,
      open: (id) => this.#add(id),
      onRequest: (stream, head) => this.emit("request", stream, head),
      onSettings: (settings) => {
        this.#peer = settings;
        this.emit("settings", settings);
      },
      onPong: (opaque) => this.#pings.answered(opaque),
      onGoaway: (lastId, code) => this.#onGoaway(lastId, code),
    });
    this.#parser = new FrameParser(this.#receiver, role, { maxFrame: MAX_FRAME, maxBlock: MAX_BLOCK });
    this.#begin();
  }

  #begin(): void {
    const socket = this.#socket;
    if (this.role === "client") this.#output.control(PREFACE);
    this.#output.control(settingsFrame(ownSettings(this.role, this.#maxStreams)));
    this.#output.control(windowUpdateFrame(0, CONNECTION_WINDOW - DEFAULT_WINDOW));
    socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    socket.on("error", (e) => this.#fail(e));
    socket.once("end", () => this.#onEnd());
    socket.once("close", () => this.#onClose());
    if (socket.destroyed) process.nextTick(() => this.#onClose());
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

  /** No new streams (GOAWAY); closes when those there are have ended. */
  close(): void {
    if (this.#life !== "open") return;
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
    this.#socket.destroy();
  }

  #add(id: number): H2Stream {
    const owner = {
      ready: (s: H2Stream) => this.#sender.add(s),
      consumed: (s: H2Stream, n: number) => this.#receiver.consumed(s, n),
      dropped: (s: H2Stream, code: CodeName) => this.#dropped(s, code),
      answer: (s: H2Stream, head: AnswerHead, end: boolean) => this.#sendHead(s, answerFields(head.status, head.headers), end),
    };
    const stream = new H2Stream(owner, { id, sendWindow: this.#peer.initialWindow, receiveWindow: STREAM_WINDOW });
    this.#table.add(id, stream);
    return stream;
  }

  #sendHead(stream: H2Stream, fields: readonly Field[], endStream: boolean): void {
    if (this.destroyed || stream.destroyed) return;
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
    const closed = new AbortController();
    this.#socket.once("close", () => closed.abort());
    void this.#world.sleep(LINGER_MS, closed.signal).then(
      () => this.#socket.destroy(),
      () => undefined,
    );
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
      stream.receiveReset(reason, "other");
    }
  }

  #onData(chunk: Buffer): void {
    if (this.destroyed) return;
    try {
      this.#parser.push(chunk);
    } catch (e) {
      if (!(e instanceof ConnectionError)) throw e;
      this.#fatal(e);
    }
  }

  #onGoaway(lastId: number, code: number): void {
    this.#goneAway = true;
    for (const stream of this.#table.values()) {
      if (this.role === "server" || stream.id <= lastId) continue;
      this.#table.close(stream.id, "reset-by-peer");
      stream.receiveReset(new StreamReset("the peer went away before it looked at the stream", { refused: true }), "other");
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
    this.#parser.stop();
    this.#output.discard();
    this.#cutAll(new StreamReset("the connection was lost", { cause: this.#error }));
    this.#pings.end();
    this.emit("close", this.#error);
  }
}
