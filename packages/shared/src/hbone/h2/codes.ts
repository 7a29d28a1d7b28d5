// Which names do HTTP/2's numbers have? (RFC 9113 sections 6 and 7)

export const FRAME = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

export const FLAG = { ACK: 0x1, END_STREAM: 0x1, END_HEADERS: 0x4, PADDED: 0x8, PRIORITY: 0x20 } as const;

export const CODE = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  SETTINGS_TIMEOUT: 4,
  STREAM_CLOSED: 5,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  CONNECT_ERROR: 10,
  ENHANCE_YOUR_CALM: 11,
  INADEQUATE_SECURITY: 12,
  HTTP_1_1_REQUIRED: 13,
} as const;

export type CodeName = keyof typeof CODE;

const NAMES = new Map<number, string>(Object.entries(CODE).map(([name, code]) => [code, name]));

/** "CANCEL", or "code 77" for a number that has no name. */
export const codeName = (code: number): string => NAMES.get(code) ?? `code ${code}`;

/** The peer broke a rule that ends the whole connection (GOAWAY with this code). */
export class ConnectionError extends Error {
  readonly code: CodeName;

  constructor(code: CodeName, detail: string) {
    super(`${detail} (${code})`);
    this.code = code;
  }
}

/** The largest number a stream id, a window or a window's increment may be. */
export const MAX_31 = 0x7fffffff;
