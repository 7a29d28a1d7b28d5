// How do octets travel over a connection whose TLS 1.3 handshake is done? (RFC 8446 section 5, on our own buffers)

import type { End, EndEvents, Lease } from "../../copy/end.ts";
import { type AlertName, alertContent, readAlert, TlsFault } from "./alerts.ts";
import { type Block, type BlockPool, type Memory, RECORDS } from "./blocks.ts";
import { type Evp, TAG } from "./evp.ts";
import { HEADER, MAX_CONTENT, MAX_IDLE_RECORDS, MAX_RECORD, OVERHEAD, TYPE } from "./limits.ts";
import { KEY_UPDATE_MESSAGE, MessageReader } from "./messages.ts";
import type { Protection } from "./protect.ts";
import { Gather, sealRecord } from "./seal.ts";
import { RecordSplitter } from "./split.ts";

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

/** What is decrypted at once: with a record that had begun before, it fits in one block. */
const READ = (RECORDS - 1) * MAX_RECORD;

const asError = (e: unknown): Error => (e instanceof Error ? e : new Error(String(e)));

const truncated = (): Error =>
  Object.assign(new Error("the peer closed the connection without saying so (no close_notify)"), { code: "ECONNRESET" });

/** "told": the handlers know that it is over. */
type Life = "new" | "open" | "cut" | "told";

export class RecordConnection {
  readonly #end: End;
  readonly #deps: RecordDeps;
  readonly #send: Protection;
  readonly #receive: Protection;
  readonly #splitter: RecordSplitter;
  readonly #messages: MessageReader;
  #early: Buffer | undefined;
  #handlers: RecordHandlers | undefined;
  #life: Life = "new";
  #sendOver = false;
  #receiveOver = false;
  #told = false;
  #started = false;
  #paused = false;
  #answering = false;
  /** The peer's key is worn, and it has been asked for another. */
  #asked = false;
  /** Octets that the kernel has not taken yet, and who waits for it. */
  #kept = 0;
  #waiting: (() => void)[] = [];
  /** Records in a row that brought nothing. */
  #idle = 0;
  /** Where the records of the present read are decrypted to, one behind the other. */
  #plain: Block | undefined;
  #filled = 0;
  /** What is being read; here, so that it lives while OpenSSL works on it. */
  #reading: Memory | undefined;

  /** Takes the end over: nobody else reads or writes it, and it has not been started. */
  constructor(end: End, start: RecordStart, deps: RecordDeps) {
    this.#end = end;
    this.#deps = deps;
    this.#send = start.send;
    this.#receive = start.receive;
    this.#splitter = new RecordSplitter(deps.inbound);
    this.#messages = new MessageReader(start.role);
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
    taken: (n) => this.#taken(n),
    finished: () => undefined,
    closed: (whole, error) => {
      // When both have said that they are through, it does not matter how TCP ends.
      if (!whole && !(this.#receiveOver && this.#sendOver)) this.#tell(error ?? truncated());
      this.#gone();
    },
  };

  /** May be overwritten when this returns. */
  #received(chunk: Buffer): void {
    const address = this.#deps.evp.addressOf(chunk);
    for (let at = 0; at < chunk.length && !this.#receiveOver && !this.destroyed; at += READ) {
      const n = Math.min(READ, chunk.length - at);
      this.#read({ bytes: n === chunk.length ? chunk : chunk.subarray(at, at + n), address: address + at }, n);
    }
  }

  #read(from: Memory, n: number): void {
    const plain = this.#deps.inbound.take(n + (this.#splitter.partial ? MAX_RECORD : 0));
    if (this.#reading !== undefined) throw new Error("records were read in the midst of a record");
    this.#reading = from;
    this.#plain = plain;
    this.#filled = 0;
    let failure: unknown;
    try {
      this.#splitter.push(from, n, this.#record);
    } catch (e) {
      failure = e;
    }
    this.#reading = undefined;
    this.#plain = undefined;
    // What came before the record that failed is proved, and in order.
    if (this.#filled > 0) this.#handlers?.data(plain.bytes.subarray(0, this.#filled), plain);
    plain.drop();
    if (this.#receive.worn && !this.#asked) {
      this.#asked = true;
      this.updateKeys();
    }
    // What comes after close_notify is nothing, whatever it is (section 6.1).
    if (failure !== undefined && !this.#receiveOver) this.#fail(asError(failure));
    else if (this.#receiveOver && !this.destroyed) this.#handlers?.end();
  }

  readonly #record = (from: Memory, at: number, length: number): void => {
    const plain = this.#plain;
    if (this.#receiveOver || plain === undefined) return;
    const { bytes } = plain;
    const start = this.#filled;
    const inner = length - TAG;
    const proved = this.#receive.begin(from.address + at) && this.#receive.prove(plain.address + start, from.address + at + HEADER, inner);
    if (!proved) throw new TlsFault("bad_record_mac", "a record that is not what the peer sent");
    if (inner > MAX_CONTENT + 1) throw new TlsFault("record_overflow", `a record with ${inner} octets inside`);
    let end = start + inner - 1;
    while (end >= start && bytes[end] === 0) end -= 1;
    if (end < start) throw new TlsFault("unexpected_message", "a record of nothing but padding");
    this.#content(bytes[end] ?? 0, start, end);
  };

  #content(type: number, start: number, end: number): void {
    if (type === TYPE.data && end > start) {
      if (this.#messages.partial) throw new TlsFault("unexpected_message", "octets in the midst of a handshake message");
      this.#idle = 0;
      this.#filled = end;
      return;
    }
    this.#idle += 1;
    if (this.#idle > MAX_IDLE_RECORDS) throw new TlsFault("unexpected_message", "too many records that bring nothing");
    if (type === TYPE.handshake) return this.#message(this.#contentOf(start, end));
    if (this.#messages.partial) throw new TlsFault("unexpected_message", "another record in the midst of a handshake message");
    if (type === TYPE.alert) {
      if (readAlert(this.#contentOf(start, end)) === "close") this.#receiveOver = true;
    } else if (type !== TYPE.data) throw new TlsFault("unexpected_message", `a record of type ${type}`);
  }

  #contentOf(start: number, end: number): Buffer {
    return this.#plain?.bytes.subarray(start, end) ?? Buffer.alloc(0);
  }

  #message(content: Buffer): void {
    for (const message of this.#messages.push(content)) {
      if (message === "ticket") continue;
      this.#receive.rekey();
      this.#asked = false;
      if (message === "key-update-requested") this.#answerKeyUpdate();
    }
  }

  /** One answer is enough for all requests that come before it has left (section 4.6.3). */
  #answerKeyUpdate(): void {
    if (this.#answering || this.#sendOver || this.destroyed) return;
    this.#answering = true;
    this.#updateKey("plain", () => {
      this.#answering = false;
    });
  }

  #updateKey(how: keyof typeof KEY_UPDATE_MESSAGE, done: () => void): void {
    this.#sendWhole(TYPE.handshake, KEY_UPDATE_MESSAGE[how], done);
    this.#send.rekey();
  }

  /** Changes our key, and asks the peer for a new one. A connection does so by itself when a key is worn. */
  updateKeys(): void {
    if (this.#sendOver || this.destroyed) return;
    try {
      this.#updateKey("requesting", () => undefined);
    } catch (e) {
      this.#fail(asError(e));
    }
  }

  write(parts: readonly Buffer[], done: () => void): void {
    if (this.#sendOver || this.destroyed) return;
    try {
      const from = new Gather(parts);
      while (from.left > 0) this.#pushBlock(from);
    } catch (e) {
      return this.#fail(asError(e));
    }
    this.#flush(done);
  }

  /** One block of records: encrypted, and given to the end. */
  #pushBlock(from: Gather): void {
    if (this.#send.worn) this.#updateKey("plain", () => undefined);
    const wanted = from.left + Math.ceil(from.left / MAX_CONTENT) * (HEADER + OVERHEAD);
    const block = this.#deps.outbound.take(Math.min(wanted, RECORDS * MAX_RECORD));
    let at = 0;
    try {
      let n = Math.min(from.left, MAX_CONTENT);
      do {
        at = sealRecord(this.#send, block, at, { type: TYPE.data, from, n });
        n = Math.min(from.left, MAX_CONTENT);
      } while (n > 0 && at + n + HEADER + OVERHEAD <= block.bytes.length);
      this.#give(block, at);
    } finally {
      block.drop();
    }
  }

  /** The kernel mostly takes it at once; else the end keeps the block. */
  #give(block: Block, n: number): void {
    this.#end.push(n === block.bytes.length ? block.bytes : block.bytes.subarray(0, n), block);
    this.#kept += this.#end.flush();
  }

  #sendWhole(type: number, content: Buffer, done: () => void): void {
    const block = this.#deps.outbound.take(content.length + HEADER + OVERHEAD);
    try {
      this.#give(block, sealRecord(this.#send, block, 0, { type, from: new Gather([content]), n: content.length }));
    } finally {
      block.drop();
    }
    this.#flush(done);
  }

  /** Calls `done` when nothing waits any more. */
  #flush(done: () => void): void {
    if (this.#kept > 0) this.#waiting.push(done);
    else if (!this.destroyed) done();
  }

  #taken(n: number): void {
    this.#kept -= n;
    if (this.#kept > 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const done of waiting) done();
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

  end(): void {
    if (this.#sendOver || this.destroyed) return;
    try {
      this.#alert("close_notify");
    } catch (e) {
      return this.#fail(asError(e));
    }
    this.#end.end();
  }

  destroy(error?: Error): void {
    if (this.destroyed) return;
    if (error !== undefined) this.#tell(error);
    this.#end.close();
    this.#gone();
  }

  #alert(name: AlertName): void {
    this.#sendWhole(TYPE.alert, alertContent(name), () => undefined);
    this.#sendOver = true;
  }

  /** The peer is told, and the connection is over; it alone. Who does not read what we sent before is not waited for. */
  #fail(error: Error): void {
    if (this.destroyed) return;
    this.#receiveOver = true;
    try {
      if (error instanceof TlsFault && !this.#sendOver) this.#alert(error.alert);
    } catch (e) {
      // OpenSSL encrypts nothing any more: then nothing is said.
      this.#tell(asError(e));
    }
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
    this.#splitter.free();
    this.#send.end();
    this.#receive.end();
    this.#waiting = [];
    this.#handlers?.close();
  }
}
