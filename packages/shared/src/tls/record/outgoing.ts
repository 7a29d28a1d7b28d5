// How do octets leave as records, and when has the kernel taken them?

import type { End } from "../../copy/end.ts";
import { type AlertName, alertContent } from "./alerts.ts";
import { type Block, type BlockPool, RECORDS } from "./blocks.ts";
import { HEADER, MAX_CONTENT, MAX_RECORD, OVERHEAD, TYPE } from "./limits.ts";
import { KEY_UPDATE_MESSAGE } from "./messages.ts";
import type { Protection } from "./protect.ts";
import { Gather, sealRecord } from "./seal.ts";

const nothing = (): void => undefined;

/** The sending half of a record connection. What OpenSSL refuses is thrown, and then nothing of it has been sent. */
export class Outgoing {
  readonly #end: End;
  readonly #protection: Protection;
  readonly #pool: BlockPool;
  /** Octets that the kernel has not taken yet, and who waits for it. */
  #kept = 0;
  #giving = false;
  #waiting: (() => void)[] = [];
  #answering = false;

  constructor(end: End, protection: Protection, pool: BlockPool) {
    this.#end = end;
    this.#protection = protection;
    this.#pool = pool;
  }

  /** All parts as one piece; they are free when this returns. */
  write(parts: readonly Buffer[]): void {
    const from = new Gather(parts);
    while (from.left > 0) this.#writeBlock(from);
  }

  /** Calls `done` when the kernel has taken all that was written, mostly at once. */
  whenTaken(done: () => void): void {
    if (this.#kept > 0) this.#waiting.push(done);
    else if (!this.#end.closed) done();
  }

  alert(name: AlertName): void {
    this.#writeWhole(TYPE.alert, alertContent(name), nothing);
  }

  /** The next records are under the next key. "requesting" asks the peer to do the same. */
  updateKey(how: keyof typeof KEY_UPDATE_MESSAGE): void {
    this.#updateKey(how, nothing);
  }

  /** The peer asks for an update; one answer is enough for all that ask before it has left (RFC 8446 section 4.6.3). */
  answerKeyUpdate(): void {
    if (this.#answering) return;
    this.#answering = true;
    this.#updateKey("plain", () => {
      this.#answering = false;
    });
  }

  /** n octets that the end had kept are on their way. */
  taken(n: number): void {
    this.#kept -= n;
    if (!this.#giving) this.#tellTaken();
  }

  #tellTaken(): void {
    if (this.#kept > 0 || this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const done of waiting) done();
  }

  /** Nobody is told any more; the key is gone. */
  free(): void {
    this.#waiting = [];
    this.#protection.end();
  }

  #updateKey(how: keyof typeof KEY_UPDATE_MESSAGE, done: () => void): void {
    this.#writeWhole(TYPE.handshake, KEY_UPDATE_MESSAGE[how], done);
    this.#protection.rekey();
  }

  /** One block of records, given to the end. */
  #writeBlock(from: Gather): void {
    if (this.#protection.worn) this.#updateKey("plain", nothing);
    const wanted = from.left + Math.ceil(from.left / MAX_CONTENT) * (HEADER + OVERHEAD);
    const block = this.#pool.take(Math.min(wanted, RECORDS * MAX_RECORD));
    try {
      let at = 0;
      let n = Math.min(from.left, MAX_CONTENT);
      do {
        at = sealRecord(this.#protection, block, at, { type: TYPE.data, from, n });
        n = Math.min(from.left, MAX_CONTENT);
      } while (n > 0 && at + n + HEADER + OVERHEAD <= block.bytes.length);
      this.#give(block, at);
    } finally {
      block.drop();
    }
  }

  #writeWhole(type: number, content: Buffer, done: () => void): void {
    const block = this.#pool.take(content.length + HEADER + OVERHEAD);
    try {
      this.#give(block, sealRecord(this.#protection, block, 0, { type, from: new Gather([content]), n: content.length }));
    } finally {
      block.drop();
    }
    this.whenTaken(done);
  }

  /** The kernel mostly takes it at once; else the end keeps the block. */
  #give(block: Block, n: number): void {
    this.#end.push(n === block.bytes.length ? block.bytes : block.bytes.subarray(0, n), block);
    // It may tell of octets that are taken meanwhile.
    this.#giving = true;
    const kept = this.#end.flush();
    this.#giving = false;
    this.#kept += kept;
    this.#tellTaken();
  }
}
