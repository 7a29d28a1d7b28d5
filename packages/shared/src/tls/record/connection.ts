// How does a connection whose TLS 1.3 handshake is done live and end? (RFC 8446 sections 5 and 6, on our own buffers)

import type { End, EndEvents, Lease } from "../../copy/end.ts";
import { TlsFault } from "./alerts.ts";
import type { BlockPool } from "./blocks.ts";
import type { Evp } from "./evp.ts";
import { Incoming, READ } from "./incoming.ts";
import { Outgoing } from "./outgoing.ts";
import type { Protection } from "./protect.ts";

/** As WireHandlers of hbone/wire.ts; RecordConnection is a Wire. */
export type RecordHandlers = {
  data(chunk: Buffer, lease: Lease): void;
  end(): void;
  error(error: Error): void;
  close(): void;
};

/** What was agreed in the handshake, and what came behind it. */
export type RecordStart = {
  readonly role: "client" | "server";
  readonly send: Protection;
  readonly receive: Protection;
  /** Octets that were read from the connection already. */
  readonly early: Buffer;
};

/** The memory and calls that all connections of a thread share. */
export type RecordDeps = {
  readonly evp: Evp;
  /** For what is read: readers may keep blocks. */
  readonly inbound: BlockPool;
  /** For what is written. */
  readonly outbound: BlockPool;
};

const asError = (e: unknown): Error => (e instanceof Error ? e : new Error(String(e)));

const truncated = (): Error =>
  Object.assign(new Error("the peer closed the connection without saying so (no close_notify)"), { code: "ECONNRESET" });

/** "cut": nothing is read or written any more; "told": the handlers know. */
type Life = "new" | "open" | "cut" | "told";

export class RecordConnection {
  readonly #end: End;
  readonly #evp: Evp;
  readonly #incoming: Incoming;
  readonly #outgoing: Outgoing;
  #early: Buffer | undefined;
  #handlers: RecordHandlers | undefined;
  #life: Life = "new";
  /** The end has been started, which is when it tells what comes. */
  #started = false;
  #paused = false;
  #sendOver = false;
  #receiveOver = false;
  #failed = false;
  #told = false;
  /** The peer has been asked for another key. */
  #asked = false;

  /** Takes the end over: nobody else reads or writes it, and it has not been started. */
  constructor(end: End, start: RecordStart, deps: RecordDeps) {
    this.#end = end;
    this.#evp = deps.evp;
    this.#incoming = new Incoming(start.receive, deps.inbound, start.role);
    this.#outgoing = new Outgoing(end, start.send, deps.outbound);
    this.#early = start.early.length > 0 ? start.early : undefined;
  }

  get destroyed(): boolean {
    return this.#life === "cut" || this.#life === "told";
  }

  start(handlers: RecordHandlers): void {
    this.#handlers = handlers;
    if (this.#life === "told") return void process.nextTick(() => handlers.close());
    if (this.#life === "new") this.#life = "open";
    // Handlers may need what `start` is called from.
    process.nextTick(() => this.#begin());
  }

  write(parts: readonly Buffer[], done: () => void): void {
    if (this.#sendOver || this.destroyed) return;
    try {
      this.#outgoing.write(parts);
    } catch (e) {
      return void this.#dumb(asError(e));
    }
    if (!this.destroyed) this.#outgoing.whenTaken(done);
  }

  pause(): void {
    this.#paused = true;
    if (this.#started && !this.destroyed) this.#end.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#life !== "open") return;
    if (this.#started) this.#end.resume();
    else this.#begin();
  }

  /** close_notify, and FIN behind what was written. */
  end(): void {
    if (this.#sendOver || this.destroyed) return;
    this.#guarded(() => this.#outgoing.alert("close_notify"));
    if (this.destroyed) return;
    this.#sendOver = true;
    this.#end.end();
  }

  destroy(error?: Error): void {
    if (this.destroyed) return;
    if (error !== undefined) this.#tell(error);
    this.#end.close();
    this.#gone();
  }

  /** Changes our key, and asks the peer for a new one. Both happen by themselves when a key is worn. */
  updateKeys(): void {
    if (this.#sendOver || this.destroyed) return;
    this.#guarded(() => this.#outgoing.updateKey("requesting"));
  }

  #begin(): void {
    if (this.destroyed || this.#paused || this.#started) return;
    const early = this.#early;
    this.#early = undefined;
    if (early !== undefined) this.#received(early);
    if (this.destroyed || this.#paused || this.#started) return;
    this.#started = true;
    this.#end.start(this.#events);
  }

  readonly #events: EndEvents = {
    data: (chunk) => this.#received(chunk),
    flush: () => undefined,
    end: () => {
      if (!this.#receiveOver && !this.destroyed) this.#fail(truncated());
    },
    taken: (n) => this.#outgoing.taken(n),
    finished: () => undefined,
    closed: (whole, error) => {
      // When both have said that they are through, it does not matter how TCP ends.
      if (!whole && !(this.#receiveOver && this.#sendOver)) this.#tell(error ?? truncated());
      this.#gone();
    },
  };

  /** May be overwritten when this returns. */
  #received(chunk: Buffer): void {
    const address = this.#evp.addressOf(chunk);
    for (let at = 0; at < chunk.length && !this.#receiveOver && !this.destroyed; at += READ) {
      const n = Math.min(READ, chunk.length - at);
      this.#read(n === chunk.length ? chunk : chunk.subarray(at, at + n), address + at);
    }
  }

  #read(bytes: Buffer, address: number): void {
    const { block, octets, failure, asksForKey } = this.#incoming.read({ bytes, address }, bytes.length);
    // The answer is on its way before anything else is said (section 4.6.3).
    if (asksForKey && !this.#sendOver) this.#guarded(() => this.#outgoing.answerKeyUpdate());
    this.#receiveOver ||= this.#incoming.closed;
    // What came before a record that failed is proved, and in order.
    if (octets > 0 && !this.destroyed) this.#handlers?.data(block.bytes.subarray(0, octets), block);
    block.drop();
    if (failure !== undefined) this.#fail(asError(failure));
    else if (this.#receiveOver && !this.destroyed) this.#handlers?.end();
    else this.#wear();
  }

  #wear(): void {
    if (!this.#incoming.worn) {
      this.#asked = false;
    } else if (!this.#asked) {
      this.#asked = true;
      this.updateKeys();
    }
  }

  #guarded(send: () => void): void {
    try {
      send();
    } catch (e) {
      this.#dumb(asError(e));
    }
  }

  /** OpenSSL encrypts nothing any more: nothing more is said either. */
  #dumb(error: Error): void {
    this.#sendOver = true;
    this.#fail(error);
  }

  /** The peer is told, and the connection is over; it alone. Who does not read what we sent before is not waited for. */
  #fail(error: Error): void {
    if (this.destroyed || this.#failed) return;
    this.#failed = true;
    if (error instanceof TlsFault && !this.#sendOver) this.#guarded(() => this.#outgoing.alert(error.alert));
    this.destroy(error);
  }

  #tell(error: Error): void {
    if (this.#told) return;
    this.#told = true;
    this.#handlers?.error(error);
  }

  #gone(): void {
    if (this.destroyed) return;
    this.#life = "cut";
    this.#sendOver = true;
    this.#receiveOver = true;
    process.nextTick(() => this.#over());
  }

  /** In a turn of its own: nobody is in the midst of a record. */
  #over(): void {
    this.#life = "told";
    this.#incoming.free();
    this.#outgoing.free();
    this.#handlers?.close();
  }
}
