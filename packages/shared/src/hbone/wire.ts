// Over what does HTTP/2 run? (bytes in order both ways, taken and given without copies; here over any Duplex)

import type { Duplex } from "node:stream";
import { FREE_LEASE, type Lease } from "../copy/end.ts";

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
   * The views are free when write() returns. `done` is called when the kernel has taken all of it: who respects back-pressure writes no more before
   * that. It may be called before write() returns (the usual case: keep a flag instead of recursing), and is not called for what was not
   * written when the wire closes. Calls after end() or destroy() are ignored.
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

/** Any byte stream: a TLSSocket, or a stream in a test. It must be connected, and nobody else may read or write it. */
export const duplexWire = (stream: Duplex): Wire => {
  let over = false;
  return {
    start(handlers) {
      stream.on("data", (chunk: Buffer) => handlers.data(chunk, FREE_LEASE));
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
      // One buffer: what is given is free again, and TLS would join the parts anyway.
      stream.write(Buffer.concat(parts), (e) => {
        if (e === undefined || e === null) done();
      });
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
