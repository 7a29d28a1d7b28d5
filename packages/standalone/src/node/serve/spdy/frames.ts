// Which SPDY/3.1 frames do some bytes hold, and which bytes is a frame?

import { err, ok, type Result } from "@ambit/shared/runtime/result.ts";

export type Frame =
  | { readonly kind: "syn-stream"; readonly id: number; readonly fin: boolean; readonly unidirectional: boolean; readonly block: Buffer }
  | { readonly kind: "syn-reply"; readonly id: number; readonly fin: boolean; readonly block: Buffer }
  | { readonly kind: "headers"; readonly id: number; readonly fin: boolean; readonly block: Buffer }
  | { readonly kind: "rst-stream"; readonly id: number; readonly status: number }
  | { readonly kind: "ping"; readonly id: number }
  | { readonly kind: "goaway"; readonly last: number; readonly status: number }
  | { readonly kind: "window-update"; readonly id: number; readonly delta: number }
  /** A DATA frame, or a part of one: `fin` is with the last. */
  | { readonly kind: "data"; readonly id: number; readonly fin: boolean; readonly bytes: Buffer }
  /** SETTINGS (no setting changes what we do) and types the draft says to ignore when they are unknown. */
  | { readonly kind: "ignored"; readonly type: number };

export const RST = { protocolError: 1, invalidStream: 2, refusedStream: 3, cancel: 5, internalError: 6 } as const;
export const GOAWAY = { ok: 0, protocolError: 1, internalError: 2 } as const;

const VERSION = 3;
const TYPE = { synStream: 1, synReply: 2, rstStream: 3, settings: 4, ping: 6, goaway: 7, headers: 8, windowUpdate: 9 } as const;
const FIN = 1;
const UNIDIRECTIONAL = 2;
const HEAD = 8;
const ID = 0x7fff_ffff;
const MAX_CONTROL = 16_384;
const MAX_DATA = 0xff_ffff;

/** Between two reads: an incomplete head or control frame, or how much of a DATA frame is still to come. */
export type ParserState = {
  readonly rest: Buffer;
  readonly data: { readonly id: number; readonly fin: boolean; readonly left: number } | undefined;
};
export const newParser: ParserState = { rest: Buffer.alloc(0), data: undefined };

const idOf = (body: Buffer, at = 0): number => body.readUInt32BE(at) & ID;

/** Length of a control frame's body: exactly, or at least. */
const LENGTHS: { readonly [type: number]: { readonly exactly: number } | { readonly least: number } } = {
  [TYPE.synStream]: { least: 10 },
  [TYPE.synReply]: { least: 4 },
  [TYPE.headers]: { least: 4 },
  [TYPE.rstStream]: { exactly: 8 },
  [TYPE.ping]: { exactly: 4 },
  [TYPE.goaway]: { exactly: 8 },
  [TYPE.windowUpdate]: { exactly: 8 },
};

const parseControl = (type: number, flags: number, body: Buffer): Result<Frame> => {
  const wanted = LENGTHS[type];
  if (wanted === undefined) return ok({ kind: "ignored", type });
  if ("exactly" in wanted ? body.length !== wanted.exactly : body.length < wanted.least)
    return err(`a control frame of type ${type} with ${body.length} bytes`);
  const fin = (flags & FIN) !== 0;
  const id = idOf(body);
  if (type === TYPE.ping) return ok({ kind: "ping", id: body.readUInt32BE(0) });
  if (type === TYPE.goaway) return ok({ kind: "goaway", last: id, status: body.readUInt32BE(4) });
  if (type === TYPE.windowUpdate) return ok({ kind: "window-update", id, delta: idOf(body, 4) });
  if (id === 0) return err("a frame for stream 0");
  switch (type) {
    case TYPE.synStream:
      return ok({ kind: "syn-stream", id, fin, unidirectional: (flags & UNIDIRECTIONAL) !== 0, block: body.subarray(10) });
    case TYPE.synReply:
      return ok({ kind: "syn-reply", id, fin, block: body.subarray(4) });
    case TYPE.headers:
      return ok({ kind: "headers", id, fin, block: body.subarray(4) });
    default:
      return ok({ kind: "rst-stream", id, status: body.readUInt32BE(4) });
  }
};

/** The frames that are whole after these bytes; DATA is handed on as it comes. An error ends the connection. */
export const parseFrames = (
  state: ParserState,
  more: Buffer,
): Result<{ readonly frames: readonly Frame[]; readonly state: ParserState }> => {
  const bytes = state.rest.length === 0 ? more : Buffer.concat([state.rest, more]);
  const frames: Frame[] = [];
  let at = 0;
  let data = state.data;
  for (;;) {
    if (data !== undefined) {
      const part = bytes.subarray(at, at + data.left);
      at += part.length;
      const left = data.left - part.length;
      if (part.length > 0 || left === 0) frames.push({ kind: "data", id: data.id, fin: left === 0 && data.fin, bytes: part });
      data = left === 0 ? undefined : { ...data, left };
      if (data !== undefined) break;
    }
    if (bytes.length - at < HEAD) break;
    const first = bytes.readUInt32BE(at);
    const flags = bytes.readUInt8(at + 4);
    const length = bytes.readUIntBE(at + 5, 3);
    if (first <= ID) {
      if (first === 0) return err("DATA for stream 0");
      data = { id: first, fin: (flags & FIN) !== 0, left: length };
      at += HEAD;
      continue;
    }
    const version = (first >>> 16) & 0x7fff;
    if (version !== VERSION) return err(`a control frame of version ${version}`);
    if (length > MAX_CONTROL) return err(`a control frame of ${length} bytes`);
    if (bytes.length - at < HEAD + length) break;
    const frame = parseControl(first & 0xffff, flags, bytes.subarray(at + HEAD, at + HEAD + length));
    if (!frame.ok) return frame;
    frames.push(frame.value);
    at += HEAD + length;
  }
  // A copy: a few bytes must not keep a whole read buffer alive.
  return ok({ frames, state: { rest: Buffer.from(bytes.subarray(at)), data } });
};

const control = (type: number, flags: number, numbers: readonly number[], tail: Buffer = Buffer.alloc(0)): Buffer => {
  const head = Buffer.alloc(HEAD + 4 * numbers.length);
  head.writeUInt16BE(0x8000 | VERSION, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt8(flags, 4);
  head.writeUIntBE(4 * numbers.length + tail.length, 5, 3);
  numbers.forEach((n, i) => void head.writeUInt32BE(n, HEAD + 4 * i));
  return Buffer.concat([head, tail]);
};

/** The bytes of a frame; DATA of more than 16 MiB becomes several frames. */
export const printFrame = (frame: Exclude<Frame, { kind: "ignored" }>): Buffer => {
  const fin = "fin" in frame && frame.fin ? FIN : 0;
  switch (frame.kind) {
    case "syn-stream": {
      const flags = fin | (frame.unidirectional ? UNIDIRECTIONAL : 0);
      return control(TYPE.synStream, flags, [frame.id, 0], Buffer.concat([Buffer.alloc(2), frame.block]));
    }
    case "syn-reply":
      return control(TYPE.synReply, fin, [frame.id], frame.block);
    case "headers":
      return control(TYPE.headers, fin, [frame.id], frame.block);
    case "rst-stream":
      return control(TYPE.rstStream, 0, [frame.id, frame.status]);
    case "ping":
      return control(TYPE.ping, 0, [frame.id]);
    case "goaway":
      return control(TYPE.goaway, 0, [frame.last, frame.status]);
    case "window-update":
      return control(TYPE.windowUpdate, 0, [frame.id, frame.delta]);
    case "data": {
      const now = frame.bytes.subarray(0, MAX_DATA);
      const later = frame.bytes.subarray(MAX_DATA);
      const head = Buffer.alloc(HEAD);
      head.writeUInt32BE(frame.id, 0);
      head.writeUInt8(later.length === 0 ? fin : 0, 4);
      head.writeUIntBE(now.length, 5, 3);
      return Buffer.concat([head, now, ...(later.length === 0 ? [] : [printFrame({ ...frame, bytes: later })])]);
    }
  }
};
