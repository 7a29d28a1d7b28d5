// How are bytes pulled from and pushed into a Duplex, with back-pressure both ways?

import { Duplex } from "node:stream";

/** One reader, one writer. Nothing is read ahead of what the Duplex itself buffers. */
export type ByteStream = {
  /** What has arrived, at least one byte; undefined at the peer's end. Rejects when the connection broke. */
  read(): Promise<Buffer | undefined>;
  /** Gives bytes back: the next read yields them first. */
  unread(chunk: Buffer): void;
  /** Undefined when there is room for more; else a promise for that, rejecting when the connection broke. */
  write(chunk: Buffer | string): Promise<void> | undefined;
  cork(): void;
  uncork(): void;
  /** Ends our direction only. */
  end(): void;
  destroy(reason?: Error): void;
  /** Called once when the peer has ended its direction (all of it read) or the connection is gone. */
  onPeerEnd(listener: () => void): void;
  /** Bytes have come that nobody has read. */
  readonly pending: boolean;
  /** Called whenever bytes come while nobody reads. */
  onUnread(listener: () => void): void;
  /** True until the peer ended, we ended, or the connection broke. */
  readonly open: boolean;
  /** Yields the Duplex, unread bytes put back, for somebody who takes it over; a read or write in progress rejects. */
  release(): Duplex;
};

const brokenBy = (cause: Error | undefined): Error => cause ?? new Error("the connection was closed");
// HTTP/2 streams end like a proper end when they are reset; only the code tells.
const wasReset = (stream: Duplex): boolean => "rstCode" in stream && typeof stream.rstCode === "number" && stream.rstCode !== 0;

/** A stream whose end has been seen takes nothing back and does not end twice: this one reads the bytes, then ends. */
const rest = (stream: Duplex, unread: Buffer): Duplex => {
  const duplex = new Duplex({
    allowHalfOpen: true,
    read() {
      if (unread.length > 0) this.push(unread);
      this.push(null);
    },
    write: (chunk, _encoding, done) => void stream.write(chunk, done),
    final: (done) => void stream.end(done),
    destroy: (error, done) => {
      stream.destroy();
      done(error);
    },
  });
  stream.once("close", () => duplex.destroy());
  return duplex;
};

export const byteStream = (stream: Duplex): ByteStream => {
  const givenBack: Buffer[] = [];
  let state: "open" | "ended" | "broken" = stream.destroyed ? "broken" : stream.readableEnded ? "ended" : "open";
  let cause: Error | undefined;
  let released = false;
  let wakeReader: (() => void) | undefined;
  let wakeWriter: (() => void) | undefined;
  const peerEndListeners: (() => void)[] = [];
  const unreadListeners: (() => void)[] = [];

  const wake = (): void => {
    const [r, w] = [wakeReader, wakeWriter];
    wakeReader = undefined;
    wakeWriter = undefined;
    r?.();
    w?.();
  };
  const settle = (next: "ended" | "broken"): void => {
    if (state === "broken" || state === next) return;
    const first = state === "open";
    state = next;
    wake();
    if (first) for (const listener of peerEndListeners.splice(0)) listener();
  };
  const onReadable = (): void => {
    const r = wakeReader;
    wakeReader = undefined;
    // Nobody is reading: with nothing buffered this is the end of the stream, which only a read makes known.
    if (r === undefined && stream.readableLength === 0) stream.read(0);
    else if (r === undefined) for (const listener of unreadListeners) listener();
    r?.();
  };
  const onDrain = (): void => {
    const w = wakeWriter;
    wakeWriter = undefined;
    w?.();
  };
  const onEnd = (): void => settle(wasReset(stream) ? "broken" : "ended");
  const onError = (e: Error): void => {
    cause ??= e;
    settle("broken");
  };
  const onClose = (): void => {
    if (state === "ended" && stream.writableFinished) wake();
    else settle("broken");
  };
  stream.on("readable", onReadable);
  stream.on("drain", onDrain);
  stream.on("end", onEnd);
  stream.on("error", onError);
  stream.on("close", onClose);

  const waitRead = (resolve: () => void): void => {
    wakeReader = resolve;
  };
  const read = async (): Promise<Buffer | undefined> => {
    const first = givenBack.pop();
    if (first !== undefined) return first;
    for (;;) {
      if (released) throw brokenBy(cause);
      const chunk: Buffer | null = stream.read();
      if (chunk !== null) return chunk;
      if (state === "broken") throw brokenBy(cause);
      if (state === "ended") return undefined;
      await new Promise<void>(waitRead);
    }
  };
  const drained = (): Promise<void> =>
    new Promise((resolve, reject) => {
      wakeWriter = () => {
        if (state === "broken" || stream.destroyed) reject(brokenBy(cause));
        else resolve();
      };
    });
  return {
    read,
    unread: (chunk) => {
      if (chunk.length > 0) givenBack.push(chunk);
    },
    write: (chunk) => {
      if (state === "broken" || stream.destroyed || stream.writableEnded) return Promise.reject(brokenBy(cause));
      const more = typeof chunk === "string" ? stream.write(chunk, "latin1") : stream.write(chunk);
      return more ? undefined : drained();
    },
    cork: () => stream.cork(),
    uncork: () => stream.uncork(),
    end: () => {
      if (!stream.destroyed && !stream.writableEnded) stream.end();
    },
    destroy: (reason) => {
      if (reason !== undefined) cause ??= reason;
      settle("broken");
      // With an error, an HTTP/2 stream is reset; without one node:http2 ends it first, and what was cut short looks whole.
      stream.destroy(reason ?? new Error("cut"));
    },
    onPeerEnd: (listener) => {
      if (state === "open") peerEndListeners.push(listener);
      else listener();
    },
    get pending() {
      return givenBack.length > 0 || stream.readableLength > 0;
    },
    onUnread: (listener) => void unreadListeners.push(listener),
    get open() {
      return state === "open" && !stream.destroyed && !stream.writableEnded;
    },
    release: () => {
      const ended = state === "ended";
      released = true;
      settle("broken");
      stream.off("readable", onReadable);
      stream.off("drain", onDrain);
      stream.off("end", onEnd);
      stream.off("close", onClose);
      // The error listener stays: an error between now and the taker's own listener must not be uncaught.
      if (ended) return rest(stream, Buffer.concat(givenBack.splice(0).reverse()));
      for (const chunk of givenBack.splice(0)) stream.unshift(chunk);
      return stream;
    },
  };
};
