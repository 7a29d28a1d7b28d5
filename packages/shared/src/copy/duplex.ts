// How is an End used as a Node stream, and a Node stream as an End?

import { Socket } from "node:net";
import { Duplex } from "node:stream";
import { type End, type EndEvents, FREE_LEASE, isLate, type Lease } from "./end.ts";
import { Held } from "./held.ts";

const reset = (detail: string): Error => Object.assign(new Error(detail), { code: "ECONNRESET" });

/**
 * end() ends our half; destroy() before both halves have ended cuts; a cut by the other side destroys it with ECONNRESET. What nobody reads
 * stays uncredited, so that the other side stops.
 */
export class EndDuplex extends Duplex {
  readonly #end: End;
  readonly #held = new Held();
  #wanted = false;
  #remoteEnded = false;
  /** Octets that the end has kept of the write in work. */
  #kept = 0;
  #written: ((e?: Error | null) => void) | undefined;
  #final: ((e?: Error | null) => void) | undefined;

  constructor(end: End) {
    // What is handed to the reader is credited: little waits there, the rest is held (and coalesced) here.
    super({ allowHalfOpen: true, readableHighWaterMark: 16_384 });
    // A connection may fail at any time, also before anybody listens: its close is told in any case.
    this.on("error", () => undefined);
    this.#end = end;
    end.start({
      data: (chunk) => this.#data(chunk),
      flush: () => undefined,
      end: () => this.#ended(),
      taken: (n) => this.#taken(n),
      finished: () => this.#finished(),
      closed: (whole, error) => this.#closed(whole, error),
    });
  }

  /** Octets that wait for a reader. */
  get held(): number {
    return this.#held.size;
  }

  #data(chunk: Buffer): void {
    if (this.destroyed) return void this.#end.credit(chunk.length);
    if (!this.#wanted) {
      this.#held.add(chunk);
      this.#end.pause();
      return;
    }
    this.#end.credit(chunk.length);
    this.#wanted = this.push(Buffer.from(chunk));
  }

  #ended(): void {
    this.#remoteEnded = true;
    if (this.#held.size === 0) this.push(null);
  }

  #closed(whole: boolean, error: Error | undefined): void {
    if (whole) return;
    const cut = error ?? reset("the tunnel was closed before its end");
    // What came before is still read; it is our own half that fails.
    if (isLate(cut) && !this.readableEnded) this.once("end", () => this.destroy(cut));
    else this.destroy(cut);
  }

  #taken(n: number): void {
    this.#kept -= n;
    if (this.#kept > 0) return;
    const written = this.#written;
    this.#written = undefined;
    written?.();
  }

  #finished(): void {
    const final = this.#final;
    this.#final = undefined;
    final?.();
  }

  override _read(): void {
    this.#wanted = true;
    while (this.#wanted) {
      const piece = this.#held.shift();
      if (piece === undefined) break;
      this.#end.credit(piece.length);
      this.#wanted = this.push(piece);
    }
    if (this.#held.size > 0) return;
    if (this.#remoteEnded) {
      if (!this.readableEnded) this.push(null);
    } else this.#end.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (e?: Error | null) => void): void {
    this.#take([chunk], done);
  }

  override _writev(chunks: { chunk: Buffer; encoding: BufferEncoding }[], done: (e?: Error | null) => void): void {
    this.#take(
      chunks.map((c) => c.chunk),
      done,
    );
  }

  #take(chunks: readonly Buffer[], done: (e?: Error | null) => void): void {
    if (this.#end.closed) {
      this.#written = done; // destroyed when the reader is through
      return;
    }
    for (const chunk of chunks) if (chunk.length > 0) this.#end.push(chunk, FREE_LEASE);
    const kept = this.#end.flush();
    this.#kept += kept; // in two steps: flush() may tell of octets taken meanwhile
    if (this.#kept > 0) this.#written = done;
    else done();
  }

  override _final(done: (e?: Error | null) => void): void {
    this.#final = done;
    this.#end.end();
  }

  override _destroy(error: Error | null, done: (e?: Error | null) => void): void {
    const held = this.#held.size;
    this.#held.clear();
    if (held > 0) this.#end.credit(held);
    this.#end.cut(error ?? undefined);
    const cut = error ?? reset("the tunnel was closed before its end");
    this.#written?.(cut);
    this.#final?.(cut);
    done(error);
  }
}

/** Any Duplex as an End. It needs `allowHalfOpen`, and nobody else may read it. */
class DuplexEnd implements End {
  readonly #duplex: Duplex;
  #events: EndEvents | undefined;
  #gathered: { readonly chunk: Buffer; readonly lease: Lease }[] = [];
  #kept = 0;
  #told = false;
  #failure: Error | undefined;

  constructor(duplex: Duplex) {
    this.#duplex = duplex;
    // Until it is started, and also after that, the close is what is acted on.
    duplex.on("error", (e) => {
      this.#failure = e;
    });
  }

  get closed(): boolean {
    return this.#told || this.#duplex.destroyed;
  }

  start(events: EndEvents): void {
    const duplex = this.#duplex;
    this.#events = events;
    duplex.on("data", (chunk: Buffer) => {
      if (this.#told) return;
      events.data(chunk, FREE_LEASE);
      events.flush();
    });
    duplex.once("end", () => {
      if (!this.#told) events.end();
    });
    duplex.on("drain", () => {
      const taken = this.#kept;
      this.#kept = 0;
      if (taken > 0 && !this.#told) events.taken(taken);
    });
    duplex.once("close", () => this.#close());
    if (duplex.closed) this.#close();
    else duplex.resume();
  }

  #close(): void {
    if (this.#told) return;
    this.#told = true;
    const { readableEnded, writableFinished } = this.#duplex;
    const failure = this.#failure;
    this.#events?.closed(readableEnded && writableFinished, failure);
  }

  push(chunk: Buffer, lease: Lease): void {
    this.#gathered.push({ chunk, lease });
  }

  flush(): number {
    let n = 0;
    let more = true;
    for (const { chunk, lease } of this.#gathered) {
      n += chunk.length;
      // A stream keeps what it is given for as long as it likes.
      more = this.#duplex.write(lease === FREE_LEASE ? chunk : Buffer.from(chunk));
    }
    this.#gathered = [];
    if (more || this.closed) return 0;
    this.#kept += n;
    return n;
  }

  credit(): void {}

  pause(): void {
    this.#duplex.pause();
  }

  resume(): void {
    this.#duplex.resume();
  }

  end(): void {
    this.#duplex.end(() => {
      if (!this.#told && this.#failure === undefined) this.#events?.finished();
    });
  }

  cut(error?: Error): void {
    this.#told = true;
    const duplex = this.#duplex;
    if (duplex.destroyed) return;
    // A socket is reset, so that its peer can tell a cut from a proper end.
    if (duplex instanceof Socket && !duplex.connecting) duplex.resetAndDestroy();
    // With an error, because node:http2 ends a stream properly when it is destroyed without one.
    else duplex.destroy(error ?? reset("the other side was cut"));
  }

  close(): void {
    this.#told = true;
    this.#duplex.destroy();
  }
}

export const duplexEnd = (duplex: Duplex): End => new DuplexEnd(duplex);
