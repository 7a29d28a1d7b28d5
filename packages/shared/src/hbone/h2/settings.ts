// What do both ends allow each other? (RFC 9113 section 6.5.2; the numbers are Istio's, ambient-l4 section 1.9)

import { ConnectionError, MAX_31 } from "./codes.ts";

export const SETTING = {
  HEADER_TABLE_SIZE: 1,
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
  MAX_HEADER_LIST_SIZE: 6,
} as const;

/** What a peer told of itself; octets, but for maxConcurrentStreams. */
export type PeerSettings = {
  readonly maxConcurrentStreams: number;
  readonly initialWindow: number;
  readonly maxFrame: number;
  readonly maxHeaderList: number;
};

const MIB = 1 << 20;
export const DEFAULT_WINDOW = 65_535;
export const STREAM_WINDOW = 4 * MIB;
/** Larger than a stream's, so that one stalled stream does not starve the others. */
export const CONNECTION_WINDOW = 16 * MIB;
export const MAX_FRAME = MIB;
export const HEADER_TABLE = 4096;
export const HEADER_LIST = { server: 64 * 1024, client: 16 * 1024 } as const;
const MIN_FRAME = 16_384;
/** A peer that sends more entries in one frame wants something else than to be understood. */
export const MAX_SETTINGS = 32;

/** What is true of a peer that has said nothing yet. Its stream limit is unknown: a hundred is what RFC 9113 recommends as the least. */
export const INITIAL_PEER: PeerSettings = {
  maxConcurrentStreams: 100,
  initialWindow: DEFAULT_WINDOW,
  maxFrame: MIN_FRAME,
  maxHeaderList: Number.POSITIVE_INFINITY,
};

/** Our own, as they go out. */
export const ownSettings = (role: "client" | "server", maxStreams: number): ReadonlyMap<number, number> =>
  new Map<number, number>([
    role === "client" ? [SETTING.ENABLE_PUSH, 0] : [SETTING.MAX_CONCURRENT_STREAMS, maxStreams],
    [SETTING.INITIAL_WINDOW_SIZE, STREAM_WINDOW],
    [SETTING.MAX_FRAME_SIZE, MAX_FRAME],
    [SETTING.MAX_HEADER_LIST_SIZE, HEADER_LIST[role]],
  ]);

export const writeSettings = (values: ReadonlyMap<number, number>): Buffer => {
  const out = Buffer.allocUnsafe(values.size * 6);
  let at = 0;
  for (const [id, value] of values) {
    out.writeUInt16BE(id, at);
    out.writeUInt32BE(value, at + 2);
    at += 6;
  }
  return out;
};

const apply = (s: PeerSettings, id: number, value: number, from: "client" | "server"): PeerSettings => {
  switch (id) {
    case SETTING.ENABLE_PUSH:
      // A server may say 0 and nothing else.
      if (value > 1 || (from === "server" && value === 1)) throw new ConnectionError("PROTOCOL_ERROR", `SETTINGS_ENABLE_PUSH is ${value}`);
      return s;
    case SETTING.MAX_CONCURRENT_STREAMS:
      return { ...s, maxConcurrentStreams: value };
    case SETTING.INITIAL_WINDOW_SIZE:
      if (value > MAX_31) throw new ConnectionError("FLOW_CONTROL_ERROR", `SETTINGS_INITIAL_WINDOW_SIZE is ${value}`);
      return { ...s, initialWindow: value };
    case SETTING.MAX_FRAME_SIZE:
      if (value < MIN_FRAME || value > 0xffffff) throw new ConnectionError("PROTOCOL_ERROR", `SETTINGS_MAX_FRAME_SIZE is ${value}`);
      return { ...s, maxFrame: value };
    case SETTING.MAX_HEADER_LIST_SIZE:
      return { ...s, maxHeaderList: value };
    default:
      // HEADER_TABLE_SIZE too: our encoder uses no table. Unknown ones are ignored (section 6.5.2).
      return s;
  }
};

/** The settings after a SETTINGS payload (a multiple of six octets). Throws ConnectionError. A first one without a stream limit means none. */
export const readSettings = (payload: Buffer, before: PeerSettings, about: { from: "client" | "server"; first: boolean }): PeerSettings => {
  let now = about.first ? { ...before, maxConcurrentStreams: Number.POSITIVE_INFINITY } : before;
  for (let at = 0; at + 6 <= payload.length; at += 6) now = apply(now, payload.readUInt16BE(at), payload.readUInt32BE(at + 2), about.from);
  return now;
};
