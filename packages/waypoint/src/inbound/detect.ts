// Which protocol do the first bytes of a connection speak?

export type Detected = "http1" | "http2" | "tls" | "opaque";

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
/** No method that is in use is longer (RFC 9110, WebDAV, and some room). */
const LONGEST_METHOD = 24;
const LONGEST_LINE = 16 * 1024;

const isTokenByte = (b: number): boolean =>
  (b >= 0x41 && b <= 0x5a) || (b >= 0x61 && b <= 0x7a) || (b >= 0x30 && b <= 0x39) || "!#$%&'*+-.^_`|~".includes(String.fromCharCode(b));

const isPrefaceSoFar = (b: Buffer): boolean => {
  const n = Math.min(b.length, PREFACE.length);
  return b.subarray(0, n).equals(PREFACE.subarray(0, n));
};

/** TLS record: handshake, version 3.x. */
const detectTls = (b: Buffer): Detected | "more" => (b.length < 2 ? "more" : b[1] === 3 ? "tls" : "opaque");

const detectHttp1 = (b: Buffer): Detected | "more" => {
  let i = 0;
  while (i < b.length && isTokenByte(b[i] ?? 0)) i++;
  if (i > LONGEST_METHOD || (i < b.length && (i === 0 || b[i] !== 0x20))) return "opaque";
  const lineEnd = b.indexOf(10);
  if (lineEnd < 0) return b.length > LONGEST_LINE ? "opaque" : "more";
  return /^\S+ \S+ HTTP\/1\.[01]\r?$/.test(b.toString("latin1", 0, lineEnd)) ? "http1" : "opaque";
};

/** "more" while the bytes could still become several of these; "opaque" as soon as they can be nothing else. */
export const detect = (bytes: Buffer): Detected | "more" => {
  if (bytes.length === 0) return "more";
  if (bytes[0] === 0x16) return detectTls(bytes);
  if (isPrefaceSoFar(bytes)) return bytes.length >= PREFACE.length ? "http2" : "more";
  return detectHttp1(bytes);
};

/** Enough to tell HTTP/2 from HTTP/1 where the port is declared to be HTTP: nothing else is expected there. */
export const detectHttp = (bytes: Buffer): "http1" | "http2" | "more" => {
  if (!isPrefaceSoFar(bytes)) return "http1";
  return bytes.length >= PREFACE.length ? "http2" : "more";
};
