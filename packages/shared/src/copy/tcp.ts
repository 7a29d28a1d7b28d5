// How are octets read from and written to a TCP socket without Node's streams? (its handle is taken over)

import { Socket } from "node:net";
import { getSystemErrorName } from "node:util";
import { type End, type EndEvents, FREE_LEASE, isOrdinary, type Lease, NO_LEASE } from "./end.ts";
import { detach, type Handle, OWNER, type ShutdownRequest, type StreamWrap, streamWrap, type WriteRequest } from "./handle.ts";
import { giveBack, Held } from "./held.ts";

const UV_EOF = -4095;
/** It reads already: that is what was wanted. */
const UV_EALREADY = -114;
/** What one read may bring. One buffer for all sockets of the thread: what is read is passed on or copied before the next read. */
const READ = 256 * 1024;
let shared: Buffer | undefined;

/** A request that was written at once is used again. */
let spare: WriteRequest<TcpEnd> | undefined;

const onRead = function (this: Handle<TcpEnd>): undefined {
  const n = streamWrap?.streamBaseState[streamWrap.kReadBytesOrError] ?? UV_EOF;
  this[OWNER].onRead(n);
};
const onWritten = function (this: WriteRequest<TcpEnd>, status: number): void {
  const { of } = this;
  this.of = undefined;
  this.data = undefined;
  of?.onWritten(status);
};
const onShutdown = function (this: ShutdownRequest<TcpEnd>): void {
  this.of.onShutdown();
};

const letGo = (pieces: readonly Buffer[], lease: Lease | undefined): void => {
  if (lease !== undefined) lease.release();
  else for (const piece of pieces) giveBack(piece);
};

class TcpEnd implements End {
  readonly #handle: Handle<TcpEnd>;
  readonly #wrap: StreamWrap;
  #events: EndEvents | undefined;
  /** Read before we had it. */
  #early: readonly Buffer[] | undefined;
  closed = false;
  #gathered: Buffer[] = [];
  #lease: Lease = NO_LEASE;
  /** Of the write that the kernel has not taken whole: what it keeps alive, and how much was left. */
  #inFlight: { readonly lease: Lease | undefined; readonly pieces: readonly Buffer[]; readonly left: number } | undefined;
  #held: Held | undefined;
  #ending = false;
  #localEnded = false;
  #remoteEnded = false;

  /** Kept for those who listen for its close. */
  readonly #socket: Socket | undefined;

  constructor(
    handle: Handle<TcpEnd>,
    tools: StreamWrap,
    taken: { readonly early: readonly Buffer[]; readonly socket: Socket | undefined },
  ) {
    const { early } = taken;
    this.#socket = taken.socket;
    this.#handle = handle;
    this.#wrap = tools;
    this.#early = early.length === 0 ? undefined : early;
    handle[OWNER] = this;
    handle.onread = onRead;
    shared ??= Buffer.allocUnsafeSlow(READ);
    handle.useUserBuffer(shared);
    handle.setNoDelay(true);
  }

  start(events: EndEvents): void {
    this.#events = events;
    const early = this.#early;
    this.#early = undefined;
    for (const chunk of early ?? []) events.data(chunk, FREE_LEASE);
    if (early !== undefined) events.flush();
    this.resume();
  }

  push(chunk: Buffer, lease: Lease): void {
    if (this.closed) return;
    if (lease !== this.#lease) {
      // What is left of other memory is kept, so that one lease stands for all that is gathered.
      if (this.#gathered.length > 0) this.#keep();
      this.#lease = lease;
    }
    this.#gathered.push(chunk);
  }

  flush(): number {
    const pieces = this.#gathered;
    if (pieces.length === 0 || this.closed) return 0;
    if (this.#inFlight !== undefined || (this.#held?.size ?? 0) > 0) {
      const n = this.#keep();
      this.#writeHeld();
      return n;
    }
    const lease = this.#lease;
    if (lease.retain()) {
      this.#gathered = [];
      return this.#write(pieces, lease);
    }
    // Mostly the kernel takes all at once, but what it does not may not lie in memory that is used again.
    const n = this.#keep();
    this.#writeHeld();
    return n;
  }

  /** Copies what was gathered behind what waits. */
  #keep(): number {
    this.#held ??= new Held();
    let n = 0;
    for (const piece of this.#gathered) {
      n += piece.length;
      this.#held.add(piece);
    }
    this.#gathered = [];
    return n;
  }

  /** Pieces under a retained lease, or our own (undefined). How much the kernel did not take at once. */
  #write(pieces: readonly Buffer[], lease: Lease | undefined): number {
    const request = spare ?? new this.#wrap.WriteWrap<TcpEnd>();
    spare = undefined;
    const [only] = pieces;
    const code =
      pieces.length === 1 && only !== undefined ? this.#handle.writeBuffer(request, only) : this.#handle.writev(request, pieces, true);
    if (code === 0 && this.#wrap.streamBaseState[this.#wrap.kLastWriteWasAsync] !== 0) {
      request.oncomplete = onWritten;
      request.of = this;
      request.data = pieces;
      this.#inFlight = { lease, pieces, left: this.#handle.writeQueueSize };
      return this.#inFlight.left;
    }
    spare = request;
    letGo(pieces, lease);
    if (code !== 0) this.#fail(code);
    return 0;
  }

  onWritten(status: number): void {
    const done = this.#inFlight;
    this.#inFlight = undefined;
    if (done === undefined) return;
    letGo(done.pieces, done.lease);
    if (this.closed) return;
    if (status < 0) return void this.#fail(status);
    this.#events?.taken(done.left);
    this.#writeHeld();
    this.#shutdownWhenWritten();
  }

  #writeHeld(): void {
    while (!this.closed && this.#inFlight === undefined && this.#held !== undefined && this.#held.size > 0) {
      const pieces: Buffer[] = [];
      let n = 0;
      for (let piece = this.#held.shift(); piece !== undefined; piece = n < READ ? this.#held.shift() : undefined) {
        pieces.push(piece);
        n += piece.length;
      }
      const left = this.#write(pieces, undefined);
      if (!this.closed && n > left) this.#events?.taken(n - left);
    }
    if (this.#held?.size === 0) this.#held = undefined;
  }

  /** TCP has no credit: what is not read waits in the kernel. */
  credit(): void {}

  pause(): void {
    if (!this.closed && !this.#remoteEnded) this.#handle.readStop();
  }

  resume(): void {
    if (this.closed || this.#remoteEnded) return;
    const code = this.#handle.readStart();
    if (code !== 0 && code !== UV_EALREADY) this.#fail(code);
  }

  end(): void {
    if (this.closed || this.#ending) return;
    this.#ending = true;
    this.flush();
    this.#shutdownWhenWritten();
  }

  #shutdownWhenWritten(): void {
    if (!this.#ending || this.#localEnded || this.closed || this.#inFlight !== undefined || (this.#held?.size ?? 0) > 0) return;
    const request = new this.#wrap.ShutdownWrap<TcpEnd>();
    request.oncomplete = onShutdown;
    request.of = this;
    // 1: done at once. An error means that there is nobody left to tell; that is noticed by reading.
    if (this.#handle.shutdown(request) !== 0) this.onShutdown();
  }

  onShutdown(): void {
    if (this.closed || this.#localEnded) return;
    this.#localEnded = true;
    this.#events?.finished();
    this.#closeWhenWhole();
  }

  #closeWhenWhole(): void {
    if (this.closed || !this.#localEnded || !this.#remoteEnded) return;
    this.closed = true;
    this.#handle.close();
    this.#socket?.destroy();
    this.#events?.closed(true, undefined);
  }

  onRead(n: number): void {
    const events = this.#events;
    if (this.closed || events === undefined || n === 0) return;
    if (n > 0) {
      if (shared === undefined) return;
      events.data(n === READ ? shared : shared.subarray(0, n), NO_LEASE);
      events.flush();
      return;
    }
    if (n !== UV_EOF) return void this.#fail(n);
    this.#remoteEnded = true;
    this.#handle.readStop();
    events.end();
    this.#closeWhenWhole();
  }

  #fail(code: number): void {
    if (this.closed) return;
    const name = getSystemErrorName(code);
    this.#release();
    this.#handle.close();
    this.#events?.closed(false, isOrdinary(name) ? undefined : Object.assign(new Error(`the connection failed: ${name}`), { code: name }));
  }

  cut(): void {
    if (this.closed) return;
    this.#release();
    // A connection whose end is under way is not reset by libuv; it is closed then.
    if (this.#handle.reset() !== 0) this.#handle.close();
  }

  close(): void {
    if (this.closed) return;
    this.#release();
    this.#handle.close();
  }

  #release(): void {
    this.closed = true;
    this.#socket?.destroy();
    this.#gathered = [];
    this.#held?.clear();
    this.#held = undefined;
  }
}

/**
 * The socket as an End: its handle is taken, and what is left of the socket tells those who listen for "close" when the connection has ended. undefined when it cannot be
 * taken: it is connecting, destroyed, still writing, or no plain TCP socket of this Node.
 */
export const tcpEnd = (socket: Socket): End | undefined => {
  if (streamWrap === undefined || Object.getPrototypeOf(socket) !== Socket.prototype) return undefined;
  if (socket.destroyed || socket.connecting || socket.writableLength > 0 || socket.writableEnded) return undefined;
  const taken = detach<TcpEnd>(socket);
  if (taken === undefined) return undefined;
  const heard = socket.listenerCount("close") > 0;
  if (!heard) socket.destroy();
  return new TcpEnd(taken.handle, streamWrap, { early: taken.early, socket: heard ? socket : undefined });
};
