// How do headers travel in SPDY frames: name/value block, compressed in one zlib stream a direction?

import { constants, deflateRawSync, inflateRawSync } from "node:zlib";
import { err, ok, type Result } from "@ambit/shared/runtime/result.ts";
import { adler32, DICTIONARY } from "./dictionary.ts";

/** Names in lower case; several values of one name are joined with a NUL, as on the wire. */
export type Headers = ReadonlyMap<string, string>;

/**
 * One direction's zlib stream between two blocks. Every block ends in a sync flush (draft 3.1, §2.6.10.1), thus on a byte
 * and with nothing held back: what deflate still remembers then is only the last 32 KiB it said, beginning with the dictionary.
 */
export type Coder = { readonly begun: boolean; readonly said: Buffer };

const WINDOW = 32_768;
const MAX_BLOCK = 65_536;
const SYNC = { finishFlush: constants.Z_SYNC_FLUSH, windowBits: 15 } as const;

export const newCoder: Coder = { begun: false, said: DICTIONARY };

/** CMF and FLG of RFC 1950 (32 KiB window, best compression, with a dictionary), then the dictionary's name. */
const PREFIX = Buffer.from([0x78, 0xbb, 0, 0, 0, 0]);
PREFIX.writeUInt32BE(adler32(DICTIONARY), 2);

const after = (coder: Coder, block: Buffer): Coder => ({ begun: true, said: Buffer.concat([coder.said, block]).subarray(-WINDOW) });

const u32 = (n: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(n);
  return bytes;
};

const printBlock = (headers: Headers): Buffer => {
  const text = (s: string): Buffer[] => {
    const bytes = Buffer.from(s);
    return [u32(bytes.length), bytes];
  };
  return Buffer.concat([u32(headers.size), ...[...headers].flatMap(([name, value]) => [...text(name), ...text(value)])]);
};

const parseBlock = (block: Buffer): Result<Headers> => {
  let at = 0;
  const number = (): number | undefined => {
    if (at + 4 > block.length) return undefined;
    at += 4;
    return block.readUInt32BE(at - 4);
  };
  const text = (): string | undefined => {
    const length = number();
    if (length === undefined || at + length > block.length) return undefined;
    at += length;
    return block.toString("utf8", at - length, at);
  };
  const headers = new Map<string, string>();
  const count = number();
  if (count === undefined) return err("a header block without a count");
  for (let i = 0; i < count; i++) {
    const name = text();
    const value = text();
    if (name === undefined || value === undefined) return err("a header block shorter than it says");
    if (name === "" || name !== name.toLowerCase()) return err(`the header name ${JSON.stringify(name)} is not in lower case`);
    if (headers.has(name)) return err(`the header ${name} is there twice`);
    headers.set(name, value);
  }
  return at === block.length ? ok(headers) : err("a header block longer than it says");
};

/** Where the raw deflate data begins; only a stream's first block has zlib's own header. */
const rawPart = (coder: Coder, bytes: Buffer): Result<Buffer> => {
  if (coder.begun) return ok(bytes);
  if (bytes.length < PREFIX.length) return err("the header compression does not begin as zlib does");
  const head = bytes.readUInt16BE(0);
  if ((head & 0x0f00) !== 0x0800 || head % 31 !== 0 || (head & 0x20) === 0)
    return err("the header compression does not begin as zlib does");
  if (bytes.readUInt32BE(2) !== PREFIX.readUInt32BE(2)) return err("the header compression has another dictionary than SPDY/3.1's");
  return ok(bytes.subarray(PREFIX.length));
};

/** Reads one frame's compressed block. At most 64 KiB of headers. */
export const decodeHeaders = (coder: Coder, bytes: Buffer): Result<{ readonly headers: Headers; readonly coder: Coder }> => {
  const raw = rawPart(coder, bytes);
  if (!raw.ok) return raw;
  let block: Buffer;
  try {
    block = inflateRawSync(raw.value, { ...SYNC, dictionary: coder.said, maxOutputLength: MAX_BLOCK });
  } catch (e) {
    return err(`the headers cannot be decompressed: ${e instanceof Error ? e.message : String(e)}`);
  }
  const headers = parseBlock(block);
  return headers.ok ? ok({ headers: headers.value, coder: after(coder, block) }) : headers;
};

export const encodeHeaders = (coder: Coder, headers: Headers): { readonly bytes: Buffer; readonly coder: Coder } => {
  const block = printBlock(headers);
  const raw = deflateRawSync(block, { ...SYNC, level: constants.Z_BEST_COMPRESSION, dictionary: coder.said });
  return { bytes: coder.begun ? raw : Buffer.concat([PREFIX, raw]), coder: after(coder, block) };
};
