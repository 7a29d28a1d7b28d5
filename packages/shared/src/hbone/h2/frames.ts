// How are HTTP/2 frames written, and which frame headers are wrong by themselves? (RFC 9113 sections 4 and 6)

import { CODE, type CodeName, FLAG, FRAME } from "./codes.ts";
import { writeSettings } from "./settings.ts";

export const FRAME_HEADER = 9;
export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

export type FrameHeader = { readonly type: number; readonly flags: number; readonly id: number; readonly length: number };

/** Writes a frame's header at `at`. */
export const putHeader = (target: Buffer, at: number, { type, flags, id, length }: FrameHeader): void => {
  target[at] = length >>> 16;
  target[at + 1] = length >>> 8;
  target[at + 2] = length;
  target[at + 3] = type;
  target[at + 4] = flags;
  target[at + 5] = id >>> 24;
  target[at + 6] = id >>> 16;
  target[at + 7] = id >>> 8;
  target[at + 8] = id;
};

const frame = (type: number, flags: number, id: number): ((payload: Buffer) => Buffer) => {
  return (payload) => {
    const out = Buffer.allocUnsafe(FRAME_HEADER + payload.length);
    putHeader(out, 0, { type, flags, id, length: payload.length });
    payload.copy(out, FRAME_HEADER);
    return out;
  };
};

const words = (...values: number[]): Buffer => {
  const out = Buffer.allocUnsafe(values.length * 4);
  values.forEach((v, i) => {
    out.writeUInt32BE(v, i * 4);
  });
  return out;
};

export const settingsFrame = (values: ReadonlyMap<number, number>): Buffer => frame(FRAME.SETTINGS, 0, 0)(writeSettings(values));
export const settingsAck = (): Buffer => frame(FRAME.SETTINGS, FLAG.ACK, 0)(Buffer.alloc(0));
/** `opaque` is eight octets. */
export const pingFrame = (opaque: Buffer, ack: "ack" | "ask"): Buffer => frame(FRAME.PING, ack === "ack" ? FLAG.ACK : 0, 0)(opaque);
export const windowUpdateFrame = (id: number, increment: number): Buffer => frame(FRAME.WINDOW_UPDATE, 0, id)(words(increment));
export const resetFrame = (id: number, code: CodeName): Buffer => frame(FRAME.RST_STREAM, 0, id)(words(CODE[code]));
/** `detail` is for people who read traces. */
export const goawayFrame = (lastId: number, code: CodeName, detail = ""): Buffer =>
  frame(FRAME.GOAWAY, 0, 0)(Buffer.concat([words(lastId, CODE[code]), Buffer.from(detail.slice(0, 200), "latin1")]));

/** HEADERS, and CONTINUATIONs where the block is larger than the peer's frames may be. */
export const headersFrames = (id: number, block: Buffer, how: { readonly endStream: boolean; readonly maxFrame: number }): Buffer => {
  const { endStream, maxFrame } = how;
  const parts: Buffer[] = [];
  for (let at = 0; at === 0 || at < block.length; at += maxFrame) {
    const last = at + maxFrame >= block.length ? FLAG.END_HEADERS : 0;
    const end = at === 0 && endStream ? FLAG.END_STREAM : 0;
    parts.push(frame(at === 0 ? FRAME.HEADERS : FRAME.CONTINUATION, last | end, id)(block.subarray(at, at + maxFrame)));
  }
  return Buffer.concat(parts);
};

export type Refusal = { readonly code: CodeName; readonly detail: string };

const NAME: readonly string[] = Object.keys(FRAME);
/** Frames about a stream may not name stream 0, and frames about the connection must. */
const OF_CONNECTION: ReadonlySet<number> = new Set([FRAME.SETTINGS, FRAME.PING, FRAME.GOAWAY]);
const OF_EITHER: ReadonlySet<number> = new Set([FRAME.WINDOW_UPDATE]);

const sizeRefusal = ({ type, flags, length }: FrameHeader): string | undefined => {
  switch (type) {
    case FRAME.PRIORITY:
      return length === 5 ? undefined : "is not 5 octets";
    case FRAME.RST_STREAM:
    case FRAME.WINDOW_UPDATE:
      return length === 4 ? undefined : "is not 4 octets";
    case FRAME.PING:
      return length === 8 ? undefined : "is not 8 octets";
    case FRAME.GOAWAY:
      return length >= 8 ? undefined : "is shorter than 8 octets";
    case FRAME.SETTINGS:
      if ((flags & FLAG.ACK) !== 0 && length !== 0) return "acknowledges and has a payload";
      return length % 6 === 0 ? undefined : "is not a multiple of 6 octets";
    default:
      return undefined;
  }
};

/**
 * Why a header cannot stand, whatever its payload: undefined when it can. `block` is the stream whose header block is unfinished:
 * only its CONTINUATION may come then (section 6.10).
 */
export const refuseHeader = (h: FrameHeader, maxFrame: number, block: number | undefined): Refusal | undefined => {
  const name = NAME[h.type] ?? `type ${h.type}`;
  const protocol = (detail: string): Refusal => ({ code: "PROTOCOL_ERROR", detail: `a ${name} frame ${detail}` });
  if (h.length > maxFrame) return { code: "FRAME_SIZE_ERROR", detail: `a ${name} frame of ${h.length} octets is larger than ${maxFrame}` };
  if (block !== undefined && (h.type !== FRAME.CONTINUATION || h.id !== block))
    return protocol(`came in the middle of the header block of stream ${block}`);
  if (block === undefined && h.type === FRAME.CONTINUATION) return protocol("continues no header block");
  if (h.type === FRAME.PUSH_PROMISE) return protocol("came although push is off");
  if (h.type > FRAME.CONTINUATION) return undefined;
  if (OF_CONNECTION.has(h.type) ? h.id !== 0 : h.id === 0 && !OF_EITHER.has(h.type)) return protocol(`names stream ${h.id}`);
  const size = sizeRefusal(h);
  return size === undefined ? undefined : { code: "FRAME_SIZE_ERROR", detail: `a ${name} frame ${size}` };
};
