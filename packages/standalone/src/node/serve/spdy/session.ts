// How do the streams of one SPDY/3.1 connection share it (the server's side)?

import type { Duplex } from "node:stream";
import type { World } from "@ambit/shared/runtime/world.ts";
import { type Frame, GOAWAY, newParser, parseFrames, printFrame, RST } from "./frames.ts";
import { decodeHeaders, encodeHeaders, newCoder } from "./header-block.ts";
import { createStream, type SpdyStream, type StreamFeed } from "./stream.ts";

const MAX_STREAMS = 1000;
/** Answers a peer may leave unread. */
const MAX_UNREAD_ANSWERS = 256 * 1024;
const PING_MS = 5_000;
const LINGER_MS = 10_000;

export type SpdySession = {
  /**
   * GOAWAY: no new streams; the peer hangs up when it has read all. Not we: spdystream may drop what it has not yet
   * given to its reader when the connection ends, and that reader may be a pager.
   */
  close(): void;
  /** Aborts when the connection is over; its reason says why. */
  readonly closed: AbortSignal;
};

export type SessionOptions = {
  readonly world: World;
  /** Takes a stream that the peer opens, or says why not. */
  accept(stream: SpdyStream): string | undefined;
  /** The peer broke the protocol: the connection ends. */
  broken(why: string): void;
};

/**
 * Serves the connection until the peer leaves. As in the only other programs that speak it (moby/spdystream, in every
 * kubectl), there are no windows: nobody sends WINDOW_UPDATE and nobody waits for one; a stream whose reader is slow
 * holds the connection back once its read-ahead is full.
 */
export const serveSession = (transport: Duplex, options: SessionOptions): SpdySession => {
  const over = new AbortController();
  const streams = new Map<number, StreamFeed>();
  const full = new Set<number>();
  let waiting: (() => void)[] = [];
  let parser = newParser;
  let inbound = newCoder;
  let outbound = newCoder;
  let last = 0;
  let leaving = false;
  let peerLeaves = false;
  let unreadAnswers = 0;

  const end = (why: string): void => {
    if (over.signal.aborted) return;
    over.abort(new Error(why));
    waiting = [];
    for (const s of [...streams.values()]) s.cut();
    transport.destroy();
  };
  const answer = (frame: Parameters<typeof printFrame>[0]): void => {
    if (over.signal.aborted || !transport.writable) return;
    const bytes = printFrame(frame);
    unreadAnswers += bytes.length;
    transport.write(bytes, () => {
      unreadAnswers -= bytes.length;
    });
    if (unreadAnswers > MAX_UNREAD_ANSWERS) end("the peer sends and does not read");
  };
  /** We have ended our side; the peer has this long to end its own. */
  const linger = (): void => {
    options.world.sleep(LINGER_MS, over.signal).then(
      () => end("the peer did not hang up in time"),
      () => {}, // it did
    );
  };
  const breakOff = (why: string): void => {
    answer({ kind: "goaway", last, status: GOAWAY.protocolError });
    options.broken(why);
    leaving = true;
    transport.removeListener("data", read);
    transport.resume();
    for (const s of [...streams.values()]) s.cut();
    transport.end();
    linger();
  };
  const close = (): void => {
    if (leaving || over.signal.aborted) return;
    leaving = true;
    answer({ kind: "goaway", last, status: GOAWAY.ok });
  };
  const leaveAfterThePeer = (): void => {
    if (!peerLeaves || streams.size > 0 || transport.writableEnded) return;
    transport.end();
    linger();
  };
  const flow = (): void => {
    if (full.size === 0 && transport.isPaused()) transport.resume();
  };

  /** Whether a stream may begin; refused to the peer otherwise. */
  const mayOpen = (id: number): boolean => {
    if (leaving) return false;
    const wrong = id % 2 === 0 || id <= last;
    if (!wrong) last = id;
    if (!wrong && streams.size < MAX_STREAMS) return true;
    answer({ kind: "rst-stream", id, status: wrong ? RST.protocolError : RST.refusedStream });
    return false;
  };
  const begin = (id: number, headers: ReadonlyMap<string, string>): StreamFeed => {
    const feed = createStream(id, headers, {
      send: ({ bytes, fin }, then) => {
        if (over.signal.aborted || !transport.writable) then(new Error("the connection is over"));
        else if (transport.write(printFrame({ kind: "data", id, fin, bytes }))) then();
        else waiting.push(then);
      },
      reset: () => {
        if (streams.has(id)) answer({ kind: "rst-stream", id, status: RST.cancel });
      },
      wanted: () => {
        if (full.delete(id)) flow();
      },
      over: () => {
        streams.delete(id);
        if (full.delete(id)) flow();
        leaveAfterThePeer();
      },
    });
    streams.set(id, feed);
    return feed;
  };
  const reply = (id: number): void => {
    const { bytes, coder } = encodeHeaders(outbound, new Map());
    outbound = coder;
    answer({ kind: "syn-reply", id, fin: false, block: bytes });
  };

  /** One frame; a text says how it breaks the protocol. */
  const take = (frame: Frame): string | undefined => {
    switch (frame.kind) {
      case "syn-stream":
      case "headers":
      case "syn-reply": {
        // Also of a frame that changes nothing: the compression is one for the whole connection.
        const decoded = decodeHeaders(inbound, frame.block);
        if (!decoded.ok) return decoded.error;
        inbound = decoded.value.coder;
        if (frame.kind === "syn-stream" && mayOpen(frame.id)) {
          const feed = begin(frame.id, decoded.value.headers);
          reply(frame.id);
          const refusal = options.accept(feed.stream);
          if (refusal !== undefined) feed.stream.io.destroy();
        }
        if (frame.fin) streams.get(frame.id)?.fin();
        return undefined;
      }
      case "data": {
        // A stream that is gone: its peer may not have heard of that yet.
        const feed = streams.get(frame.id);
        if (feed === undefined) return undefined;
        if (frame.bytes.length > 0 && !feed.data(frame.bytes) && streams.has(frame.id)) full.add(frame.id);
        if (frame.fin) feed.fin();
        return undefined;
      }
      case "rst-stream": {
        const feed = streams.get(frame.id);
        streams.delete(frame.id);
        feed?.cut();
        return undefined;
      }
      case "ping":
        if (frame.id % 2 === 1) answer(frame);
        return undefined;
      case "goaway":
        leaving = true;
        peerLeaves = true;
        leaveAfterThePeer();
        return undefined;
      case "window-update":
      case "ignored":
        return undefined;
    }
  };
  const read = (bytes: Buffer): void => {
    const parsed = parseFrames(parser, bytes);
    if (!parsed.ok) {
      breakOff(parsed.error);
      return;
    }
    parser = parsed.value.state;
    for (const frame of parsed.value.frames) {
      if (over.signal.aborted) return;
      const wrong = take(frame);
      if (wrong !== undefined) {
        breakOff(wrong);
        return;
      }
    }
    if (full.size > 0) transport.pause();
  };

  /** While a slow reader holds the connection back, only a write tells that the peer is gone. */
  const keepAsking = async (): Promise<void> => {
    for (let id = 2; !over.signal.aborted; id += 2) {
      const due = await options.world.sleep(PING_MS, over.signal).then(
        () => true,
        () => false,
      );
      if (due) answer({ kind: "ping", id });
    }
  };

  transport.on("data", read);
  transport.on("drain", () => {
    const ready = waiting;
    waiting = [];
    for (const then of ready) then();
  });
  transport.once("end", () => end("the peer hung up"));
  transport.once("close", () => end("the connection is closed"));
  transport.on("error", (e) => end(e.message));
  void keepAsking();
  return { close, closed: over.signal };
};
