// What may a peer say after the handshake besides its octets? (RFC 8446 sections 4.6 and 5.1: tickets and key updates, nothing else)

import { TlsFault } from "./alerts.ts";
import { MAX_MESSAGE } from "./limits.ts";

const NEW_SESSION_TICKET = 4;
const KEY_UPDATE = 24;

export type PostHandshake = "ticket" | "key-update" | "key-update-requested";

export const KEY_UPDATE_MESSAGE = {
  plain: Buffer.from([KEY_UPDATE, 0, 0, 1, 0]),
  requesting: Buffer.from([KEY_UPDATE, 0, 0, 1, 1]),
} as const;

/** Joins handshake messages across records; throws TlsFault for what may not be said. */
export class MessageReader {
  readonly #role: "client" | "server";
  #held: Buffer = Buffer.alloc(0);

  /** Our own role. */
  constructor(role: "client" | "server") {
    this.#role = role;
  }

  /** A message has begun and goes on in the next record, which must then be of the same type (section 5.1). */
  get partial(): boolean {
    return this.#held.length > 0;
  }

  /** The content of one handshake record: the messages that are whole now. */
  push(content: Buffer): PostHandshake[] {
    if (content.length === 0) throw new TlsFault("unexpected_message", "an empty handshake record");
    const all = this.#held.length === 0 ? content : Buffer.concat([this.#held, content]);
    const found: PostHandshake[] = [];
    let at = 0;
    while (all.length - at >= 4) {
      const type = all[at] ?? 0;
      const length = all.readUIntBE(at + 1, 3);
      this.#mayCome(type, length);
      if (all.length - at - 4 < length) break;
      found.push(this.#read(type, all.subarray(at + 4, at + 4 + length)));
      at += 4 + length;
      // The next record is under another key (section 5.1).
      if (type === KEY_UPDATE && at < all.length) throw new TlsFault("unexpected_message", "a key update that does not end its record");
    }
    // A copy: the content's memory is used again.
    this.#held = Buffer.from(all.subarray(at));
    return found;
  }

  #mayCome(type: number, length: number): void {
    if (type === KEY_UPDATE && length !== 1) throw new TlsFault("decode_error", `a key update of ${length} octets`);
    if (length > MAX_MESSAGE) throw new TlsFault("decode_error", `a handshake message of ${length} octets`);
    if (type === KEY_UPDATE || (type === NEW_SESSION_TICKET && this.#role === "client")) return;
    throw new TlsFault("unexpected_message", `a handshake message of type ${type} after the handshake`);
  }

  #read(type: number, body: Buffer): PostHandshake {
    if (type !== KEY_UPDATE) return "ticket";
    const request = body[0];
    if (request === 0) return "key-update";
    if (request === 1) return "key-update-requested";
    throw new TlsFault("illegal_parameter", `a key update that asks for ${request}`);
  }
}
