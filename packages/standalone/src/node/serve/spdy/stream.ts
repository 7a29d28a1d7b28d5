// What is one SPDY stream to the code that uses it?

import { Duplex } from "node:stream";
import type { Headers } from "./header-block.ts";

/** A stream's side of its connection. */
export type StreamSession = {
  /** Sends a piece; the callback says when the next may come. */
  send(piece: { readonly bytes: Buffer; readonly fin: boolean }, then: (error?: Error) => void): void;
  /** Tells the peer that this stream is over before its time. */
  reset(): void;
  /** The reader wants more than it was given until now. */
  wanted(): void;
  /** Neither side will say more. */
  over(): void;
};

export type SpdyStream = {
  readonly id: number;
  readonly headers: Headers;
  /** Half-closes both ways: `end()` sends FIN, the peer's FIN ends the reading. Destroyed before that, the peer gets RST_STREAM. */
  readonly io: Duplex;
};

/** The connection's side of a stream. */
export type StreamFeed = {
  readonly stream: SpdyStream;
  /** False when the reader has enough for now. */
  data(bytes: Buffer): boolean;
  fin(): void;
  /** The peer ended the stream before its time, or the connection is gone. */
  cut(): void;
};

/** What waits for a slow reader before the whole connection waits for it. */
const READ_AHEAD = 1024 * 1024;

export const createStream = (id: number, headers: Headers, session: StreamSession): StreamFeed => {
  let said = false;
  let heard = false;
  const check = (): void => {
    if (said && heard) session.over();
  };
  const io = new Duplex({
    readableHighWaterMark: READ_AHEAD,
    read: () => session.wanted(),
    write: (bytes: Buffer, _encoding, then) => session.send({ bytes, fin: false }, then),
    final: (then) => {
      said = true;
      session.send({ bytes: Buffer.alloc(0), fin: true }, then);
      check();
    },
    destroy: (error, then) => {
      const early = !said || !heard;
      said = heard = true;
      if (early) session.reset();
      session.over();
      then(error);
    },
  });
  io.on("error", () => {}); // a write after the connection's end; users learn of that end by "close"
  return {
    stream: { id, headers, io },
    data: (bytes) => heard || io.push(bytes),
    fin: () => {
      if (heard) return;
      heard = true;
      io.push(null);
      check();
    },
    cut: () => {
      said = heard = true;
      io.destroy();
    },
  };
};
