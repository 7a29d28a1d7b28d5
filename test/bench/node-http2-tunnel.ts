// What would a tunnel be on node:http2? (what shared/hbone was before its own framing; the peer that test/bench/tunnel.ts measures against)

import { constants, type Http2Stream } from "node:http2";
import { Duplex } from "node:stream";

/** Bytes handed to node:http2 before waiting: enough that the next write is there when one has been sent. */
const AHEAD = 256 * 1024;

/** What net.Socket reports for the same thing. */
const reset = (detail: string, cause?: unknown): Error =>
  Object.assign(new Error(detail, cause === undefined ? undefined : { cause }), { code: "ECONNRESET" });

/**
 * The bytes of an open stream. end() sends END_STREAM; destroy() before both halves have ended resets the stream with CANCEL;
 * a reset or a lost connection destroys it with ECONNRESET. (A bare Http2Stream sends NO_ERROR when destroyed and takes that
 * for a proper end when it receives it, so a truncated transfer would look whole.)
 */
class TunnelDuplex extends Duplex {
  readonly #inner: Http2Stream;
  #ended = false;

  constructor(inner: Http2Stream) {
    super({ allowHalfOpen: true });
    this.#inner = inner;
    // No peer may end the process by a reset in a moment when nobody listens; those who use the stream are told by their own listeners.
    this.on("error", () => undefined);
    if (inner.destroyed || inner.closed) process.nextTick(() => this.destroy(reset("the tunnel was closed before it was used")));
    inner.on("data", (chunk: Buffer) => {
      if (!this.push(chunk)) inner.pause();
    });
    inner.on("aborted", () => {
      // NO_ERROR is sent after a whole answer (RFC 9113 section 8.1): what has come is still read, and "close" fails our half.
      if (inner.rstCode !== constants.NGHTTP2_NO_ERROR) this.destroy(reset(`the tunnel was reset by the peer (code ${inner.rstCode})`));
    });
    inner.on("end", () => {
      // A reset ends the reading side too: only an end that came without one is the peer's own.
      if (inner.aborted || (inner.closed && inner.rstCode !== constants.NGHTTP2_NO_ERROR)) return;
      this.#ended = true;
      this.push(null);
    });
    inner.on("error", (e) => this.destroy(reset("the tunnel failed", e)));
    inner.on("close", () => {
      if (this.#ended && inner.writableFinished && !inner.aborted) return;
      const lost = (): void => void this.destroy(reset("the tunnel was closed before its end"));
      // The peer said all it had to say and then wants no more of us: what it said is still read to its end.
      if (this.#ended && inner.rstCode === constants.NGHTTP2_NO_ERROR && !this.readableEnded) this.once("end", lost);
      else lost();
    });
  }

  override _read(): void {
    this.#inner.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (e?: Error | null) => void): void {
    if (this.#inner.destroyed) return void done(reset("the tunnel was closed by the peer"));
    // Waiting for drain and not for each write's callback keeps the session busy; a stream that closes instead destroys us.
    this.#inner.write(chunk);
    if (this.#inner.writableLength < AHEAD) done();
    else this.#inner.once("drain", done);
  }

  override _writev(chunks: { chunk: Buffer; encoding: BufferEncoding }[], done: (e?: Error | null) => void): void {
    if (this.#inner.destroyed) return void done(reset("the tunnel was closed by the peer"));
    this.#inner.cork();
    for (const { chunk } of chunks) this.#inner.write(chunk);
    this.#inner.uncork();
    if (this.#inner.writableLength < AHEAD) done();
    else this.#inner.once("drain", done);
  }

  override _final(done: (e?: Error | null) => void): void {
    this.#inner.end(done);
  }

  override _destroy(error: Error | null, done: (e?: Error | null) => void): void {
    const whole = this.#ended && this.#inner.writableFinished;
    // close(CANCEL) would send END_STREAM before the reset, and the peer would take the cut for an end; destroying with an error resets at once.
    if (!whole && !this.#inner.closed) this.#inner.destroy(new Error("the tunnel was cut"));
    done(error);
  }
}

/** Takes the stream over: nobody else may read or write it. */
export const tunnelOf = (inner: Http2Stream): Duplex => new TunnelDuplex(inner);
