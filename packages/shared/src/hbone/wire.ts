// Over what does HTTP/2 run? (bytes in order both ways, taken and given without copies; here over any Duplex)

import type { Duplex } from "node:stream";

/**
 * The right to keep what `data` gave. The chunk is valid until `data` returns. Who wants to keep any part of it longer (because a socket has
 * not taken it yet) calls retain() inside `data`, and release() once for every retain() that was granted; the same lease is given with
 * every chunk of one buffer, so that two pieces of it are two retains.
 */
export type Lease = {
  /**
   * True: the buffer stays as it is until release(). False: buffers are scarce (slow readers hold too many already), so copy what you need.
   * A piece that waits for a reader who is not reading should be copied anyway: a retained byte holds its whole buffer (256 KiB).
   */
  retain(): boolean;
  release(): void;
};

export type WireHandlers = {
  /** Octets, one call a read (up to 256 KiB at once). Never empty. Not called after pause() or destroy() until resume(). */
  data(chunk: Buffer, lease: Lease): void;
  /** The peer said that it sends nothing more (close_notify, FIN). A connection that merely breaks off is an error. */
  end(): void;
  /** Why the wire failed: at most once, `close` follows. */
  error(error: Error): void;
  /** The wire is gone: exactly once and last, always in a later turn than the call that caused it. */
  close(): void;
};

export type Wire = {
  /** Begins to read; what came before is not lost. Once. Handlers may call anything here, also from inside `data`. */
  start(handlers: WireHandlers): void;
  /**
   * Takes the views in order, as one piece (many parts cost less than many calls: a call is at least one TLS record and one write(2)).
   * `done` is called when the kernel has taken all of it: until then the views must not change, and who respects back-pressure writes no
   * more than a bounded amount. It may be called before write() returns (the usual case: keep a flag instead of recursing), and is not
   * called for what was not written when the wire closes. Calls after end() or destroy() are ignored.
   */
  write(parts: readonly Buffer[], done: () => void): void;
  pause(): void;
  resume(): void;
  /** Nothing more is written: close_notify and FIN after what was. Reading goes on. */
  end(): void;
  /** Cuts at once; `error`, if given, is told to the handler. */
  destroy(error?: Error): void;
  readonly destroyed: boolean;
};

/** The chunks of a Duplex are garbage collected: whoever holds one, holds it alone. */
const FREE: Lease = { retain: () => true, release: () => undefined };

/** Any byte stream: a TLSSocket, or a stream in a test. It must be connected, and nobody else may read or write it. */
export const duplexWire = (stream: Duplex): Wire => {
  let over = false;
  return {
    start(handlers) {
      stream.on("data", (chunk: Buffer) => handlers.data(chunk, FREE));
      stream.on("error", (e) => handlers.error(e));
      stream.once("end", () => {
        if (!stream.destroyed) handlers.end();
      });
      stream.once("close", () => handlers.close());
      // "close" may have been emitted already; a stream that is destroyed but not closed yet still emits it.
      if (stream.closed) process.nextTick(() => handlers.close());
    },
    write(parts, done) {
      if (over || stream.destroyed) return;
      const last = parts.length - 1;
      if (last < 0) return void process.nextTick(done);
      const taken = (e?: Error | null): void => {
        if (e === undefined || e === null) done();
      };
      stream.cork();
      parts.forEach((part, i) => {
        if (i === last) stream.write(part, taken);
        else stream.write(part);
      });
      stream.uncork();
    },
    pause: () => void stream.pause(),
    resume: () => void stream.resume(),
    end() {
      over = true;
      stream.end();
    },
    destroy: (error) => void stream.destroy(error),
    get destroyed() {
      return stream.destroyed;
    },
  };
};
