// Which header fields does a block stand for, and what does the peer's table hold after it? (RFC 7541)

import { ConnectionError } from "../codes.ts";
import { huffmanDecode } from "./huffman.ts";
import { type Field, STATIC } from "./static.ts";

/** What an entry costs in the table and in a header list beyond its octets (RFC 7541 section 4.1, RFC 9113 section 6.5.2). */
const ENTRY_OVERHEAD = 32;

const sizeOf = ([name, value]: Field): number => name.length + value.length + ENTRY_OVERHEAD;

/** What a header list counts against its limit (RFC 9113 section 6.5.2). */
export const listSize = (fields: readonly Field[]): number => fields.reduce((n, f) => n + sizeOf(f), 0);

const broken = (detail: string): ConnectionError => new ConnectionError("COMPRESSION_ERROR", `a header block ${detail}`);

/** Nothing that the mesh sends comes near; larger ones could not be told exactly. */
const MAX_INTEGER = 0xffffff;

class Reader {
  readonly #block: Buffer;
  at = 0;

  constructor(block: Buffer) {
    this.#block = block;
  }

  get done(): boolean {
    return this.at >= this.#block.length;
  }

  byte(): number {
    const b = this.#block[this.at];
    if (b === undefined) throw broken("ends in the middle of a field");
    this.at += 1;
    return b;
  }

  /** The integer whose first byte (already read) keeps `bits` bits for it (section 5.1). */
  integer(first: number, bits: number): number {
    const full = 2 ** bits - 1;
    let value = first & full;
    if (value < full) return value;
    for (let shift = 0; ; shift += 7) {
      const b = this.byte();
      value += (b & 0x7f) * 2 ** shift;
      if (value > MAX_INTEGER || shift > 28) throw broken("holds a number that is too large");
      if (b < 0x80) return value;
    }
  }

  string(): string {
    const first = this.byte();
    const length = this.integer(first, 7);
    const end = this.at + length;
    if (end > this.#block.length) throw broken("ends in the middle of a string");
    const raw = this.#block.subarray(this.at, end);
    this.at = end;
    if (first < 0x80) return raw.toString("latin1");
    const text = huffmanDecode(raw);
    if (text === undefined) throw broken("holds a string that is not Huffman code");
    return text.toString("latin1");
  }
}

/** The fields, or that they are larger than the limit (the peer's table is kept in step all the same). */
export type Decoded = { readonly t: "fields"; readonly fields: readonly Field[] } | { readonly t: "too-large" };

/** Decodes the blocks of one connection in their order. Throws ConnectionError (COMPRESSION_ERROR); it cannot be used after that. */
export class HpackDecoder {
  readonly #tableLimit: number;
  readonly #listLimit: number;
  /** Newest last. */
  #entries: Field[] = [];
  #size = 0;
  #capacity: number;

  /** tableLimit: our SETTINGS_HEADER_TABLE_SIZE. listLimit: our SETTINGS_MAX_HEADER_LIST_SIZE. */
  constructor(tableLimit: number, listLimit: number) {
    this.#tableLimit = tableLimit;
    this.#listLimit = listLimit;
    this.#capacity = tableLimit;
  }

  /** Octets the table holds now, as HPACK counts them. */
  get tableSize(): number {
    return this.#size;
  }

  decode(block: Buffer): Decoded {
    const r = new Reader(block);
    const fields: Field[] = [];
    let listSize = 0;
    let begun = false;
    while (!r.done) {
      const first = r.byte();
      if ((first & 0xe0) === 0x20) {
        if (begun) throw broken("changes the table's size after its first field");
        this.#resize(r.integer(first, 5));
        continue;
      }
      begun = true;
      const field = this.#field(r, first);
      listSize += sizeOf(field);
      // Past the limit nothing is kept: a small block may name a large entry many times over.
      if (listSize <= this.#listLimit) fields.push(field);
    }
    return listSize > this.#listLimit ? { t: "too-large" } : { t: "fields", fields };
  }

  #field(r: Reader, first: number): Field {
    if (first >= 0x80) return this.#at(r.integer(first, 7));
    const indexed = first >= 0x40;
    const index = r.integer(first, indexed ? 6 : 4);
    const name = index === 0 ? r.string() : this.#at(index)[0];
    const field: Field = [name, r.string()];
    if (indexed) this.#add(field);
    return field;
  }

  #at(index: number): Field {
    const field = index <= STATIC.length ? STATIC[index - 1] : this.#entries[this.#entries.length - (index - STATIC.length)];
    if (field === undefined) throw broken(`names entry ${index}, which is not there`);
    return field;
  }

  #add(field: Field): void {
    this.#evict(this.#capacity - sizeOf(field));
    // Larger than the whole table: it empties it and is not kept (section 4.4).
    if (sizeOf(field) > this.#capacity) return;
    this.#entries.push(field);
    this.#size += sizeOf(field);
  }

  #resize(capacity: number): void {
    if (capacity > this.#tableLimit) throw broken("makes the table larger than is allowed");
    this.#capacity = capacity;
    this.#evict(capacity);
  }

  #evict(room: number): void {
    let gone = 0;
    for (const entry of this.#entries) {
      if (this.#size <= room) break;
      this.#size -= sizeOf(entry);
      gone += 1;
    }
    if (gone > 0) this.#entries = this.#entries.slice(gone);
  }
}
