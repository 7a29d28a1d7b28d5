// How large and how many may records be? (RFC 8446 sections 5.1, 5.2 and 5.5)

/** type, version, length */
export const HEADER = 5;
/** Of content in one record. */
export const MAX_CONTENT = 16_384;
/** Of an encrypted record behind its header, padding and all. */
export const MAX_FRAGMENT = MAX_CONTENT + 256;
/** The largest record on the wire that anybody may send. */
export const MAX_RECORD = HEADER + MAX_FRAGMENT;
/** The content's type and the tag. */
export const OVERHEAD = 1 + 16;
/** Full-size records under one AES-GCM key: 2^24.5 is the bound. */
export const RECORDS_PER_KEY = 2 ** 24;
/** Records in a row that bring nothing (empty ones, tickets, key updates), as OpenSSL bounds them. */
export const MAX_IDLE_RECORDS = 32;
/** A handshake message after the handshake: tickets are the longest. */
export const MAX_MESSAGE = 65_536;

/** Content types (section 5.1). */
export const TYPE = { ccs: 20, alert: 21, handshake: 22, data: 23 } as const;
