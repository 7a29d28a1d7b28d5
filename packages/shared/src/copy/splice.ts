// How do bytes pass between two connections until both directions have ended? (the only per-chunk code)

import { Socket } from "node:net";
import type { Duplex } from "node:stream";

export type Meter = { add(bytes: number): void };

export type SpliceEnd =
  /** Both directions ended, or a side went away as connections do (reset, broken pipe, closed early). */
  | { readonly why: "closed" }
  /** The signal aborted; `reason` is the signal's. */
  | { readonly why: "aborted"; readonly reason: unknown }
  | { readonly why: "failed"; readonly error: Error };

export type SpliceOptions = {
  /** Counts bytes read from the first side and written to the second. */
  readonly forward: Meter;
  /** Counts bytes read from the second side and written to the first. */
  readonly backward: Meter;
  readonly signal?: AbortSignal;
};

// What ztunnel too takes for a connection's ordinary end (copy.rs).
const ORDINARY: ReadonlySet<string> = new Set([
  "ECONNRESET",
  "EPIPE",
  "ENOTCONN",
  "ERR_STREAM_PREMATURE_CLOSE",
  "ERR_STREAM_DESTROYED",
  "ERR_STREAM_WRITE_AFTER_END",
]);

const isOrdinary = (e: Error): boolean => "code" in e && typeof e.code === "string" && ORDINARY.has(e.code);

/** Ends a side at once. A socket is reset, so that its peer can tell a cut from a proper end. */
const cut = (side: Duplex): void => {
  if (side.destroyed) return;
  if (side instanceof Socket && !side.connecting) side.resetAndDestroy();
  // With an error, because node:http2 ends a stream properly when it is destroyed without one.
  else side.destroy(Object.assign(new Error("the other side was cut"), { code: "ECONNRESET" }));
};

/** One direction. `done` is called once, when the source has ended and the sink has taken all of it. */
const pump = (from: Duplex, to: Duplex, meter: Meter, done: () => void): void => {
  const resume = (): void => {
    from.resume();
  };
  from.on("data", (chunk: Buffer) => {
    meter.add(chunk.length);
    if (!to.write(chunk)) from.pause();
  });
  to.on("drain", resume);
  from.once("end", () => {
    to.removeListener("drain", resume);
    to.end(done);
  });
  from.resume();
};

/**
 * Copies both ways between two open connections, each half closing on its own, and resolves when both are through.
 * Takes both sides over: they need `allowHalfOpen`, and nobody else may read them. Data that arrived before the call is not lost.
 * A side that fails or closes early ends the other one at once, and so does the signal. Never rejects.
 */
export const splice = (first: Duplex, second: Duplex, options: SpliceOptions): Promise<SpliceEnd> =>
  new Promise((resolve) => {
    let left = 2;
    let over = false;
    const finish = (end: SpliceEnd): void => {
      if (over) return;
      over = true;
      options.signal?.removeEventListener("abort", onAbort);
      if (left > 0 || end.why !== "closed") {
        cut(first);
        cut(second);
      }
      resolve(end);
    };
    const onAbort = (): void => finish({ why: "aborted", reason: options.signal?.reason });
    const onError = (error: Error): void => finish(isOrdinary(error) ? { why: "closed" } : { why: "failed", error });
    const direction = (): void => {
      left -= 1;
      if (left === 0) finish({ why: "closed" });
    };
    for (const side of [first, second]) {
      side.on("error", onError);
      // A side that is through in both directions may close while the other is still being written to.
      side.once("close", () => {
        if (!(side.readableEnded && side.writableFinished)) finish({ why: "closed" });
      });
    }
    if (options.signal?.aborted === true) return onAbort();
    options.signal?.addEventListener("abort", onAbort, { once: true });
    if (first.destroyed || second.destroyed) return finish({ why: "closed" });
    pump(first, second, options.forward, direction);
    pump(second, first, options.backward, direction);
  });
