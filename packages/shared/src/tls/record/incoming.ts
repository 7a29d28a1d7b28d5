// What do the octets that came mean: proved records, laid out as one piece, and what the peer says beside them?

import { readAlert, TlsFault } from "./alerts.ts";
import { type Block, type BlockPool, type Memory, RECORDS } from "./blocks.ts";
import { TAG } from "./evp.ts";
import { HEADER, MAX_CONTENT, MAX_IDLE_RECORDS, MAX_RECORD, TYPE } from "./limits.ts";
import { MessageReader } from "./messages.ts";
import type { Protection } from "./protect.ts";
import { RecordSplitter } from "./split.ts";

/** What is decrypted at once: with a record that had begun before, it fits in one block when it is decrypted. */
export const READ = (RECORDS - 1) * MAX_RECORD;

/** What one read brought. The block is the caller's to drop; `failure` came behind the octets. */
export type Brought = { readonly block: Block; readonly octets: number; readonly failure: unknown; readonly asksForKey: boolean };

/** The receiving half of a record connection. */
export class Incoming {
  readonly #protection: Protection;
  readonly #pool: BlockPool;
  readonly #splitter: RecordSplitter;
  readonly #messages: MessageReader;
  /** Records in a row that brought nothing. */
  #idle = 0;
  /** Where the records of the present read are decrypted to, one behind the other. */
  #plain: Block | undefined;
  #filled = 0;
  /** What is being read; here, so that it lives while OpenSSL works on it. */
  #reading: Memory | undefined;
  #asksForKey = false;
  #closed = false;

  constructor(protection: Protection, pool: BlockPool, role: "client" | "server") {
    this.#protection = protection;
    this.#pool = pool;
    this.#splitter = new RecordSplitter(pool);
    this.#messages = new MessageReader(role);
  }

  /** The peer has said close_notify: what follows is nothing, whatever it is (RFC 8446 section 6.1). */
  get closed(): boolean {
    return this.#closed;
  }

  /** The peer's key has done its work. */
  get worn(): boolean {
    return this.#protection.worn;
  }

  /** The first n octets (at most READ) of the memory, which may be overwritten afterwards. */
  read(from: Memory, n: number): Brought {
    if (this.#reading !== undefined) throw new Error("records were read in the midst of a record");
    const block = this.#pool.take(n + (this.#splitter.partial ? MAX_RECORD : 0));
    this.#reading = from;
    this.#plain = block;
    this.#filled = 0;
    this.#asksForKey = false;
    let failure: unknown;
    try {
      this.#splitter.push(from, n, this.#record);
    } catch (e) {
      if (!this.#closed) failure = e;
    }
    this.#reading = undefined;
    this.#plain = undefined;
    return { block, octets: this.#filled, failure, asksForKey: this.#asksForKey };
  }

  free(): void {
    this.#splitter.free();
    this.#protection.end();
  }

  readonly #record = (from: Memory, at: number, length: number): void => {
    const plain = this.#plain;
    if (this.#closed || plain === undefined) return;
    const start = this.#filled;
    const inner = length - TAG;
    const header = from.address + at;
    if (!this.#protection.begin(header) || !this.#protection.prove(plain.address + start, header + HEADER, inner))
      throw new TlsFault("bad_record_mac", "a record that is not what the peer sent");
    if (inner > MAX_CONTENT + 1) throw new TlsFault("record_overflow", `a record with ${inner} octets inside`);
    // The type is the last octet that is not padding.
    let end = start + inner - 1;
    while (end >= start && plain.bytes[end] === 0) end -= 1;
    if (end < start) throw new TlsFault("unexpected_message", "a record of nothing but padding");
    this.#content(plain.bytes[end] ?? 0, plain.bytes, end);
  };

  /** The content lies between what was filled before and `end`. */
  #content(type: number, bytes: Buffer, end: number): void {
    const start = this.#filled;
    if (type !== TYPE.handshake && this.#messages.partial)
      throw new TlsFault("unexpected_message", "another record in the midst of a handshake message");
    if (type === TYPE.data && end > start) {
      this.#idle = 0;
      this.#filled = end;
      return;
    }
    this.#idle += 1;
    if (this.#idle > MAX_IDLE_RECORDS) throw new TlsFault("unexpected_message", "too many records that bring nothing");
    if (type === TYPE.handshake) this.#message(bytes.subarray(start, end));
    else if (type === TYPE.alert) this.#closed = readAlert(bytes.subarray(start, end)) === "close";
    else if (type !== TYPE.data) throw new TlsFault("unexpected_message", `a record of type ${type}`);
  }

  #message(content: Buffer): void {
    for (const message of this.#messages.push(content)) {
      if (message === "ticket") continue;
      this.#protection.rekey();
      if (message === "key-update-requested") this.#asksForKey = true;
    }
  }
}
