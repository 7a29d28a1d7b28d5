// Which text do both sides of a SPDY/3.1 connection take as already said when they compress headers?

/** Said with its length before it (SPDY draft 3.1, §2.6.10.1). */
const WORDS = [
  ..."options head post put delete trace".split(" "),
  ..."accept accept-charset accept-encoding accept-language accept-ranges age allow authorization".split(" "),
  ..."cache-control connection content-base content-encoding content-language content-length content-location".split(" "),
  ..."content-md5 content-range content-type date etag expect expires from host".split(" "),
  ..."if-match if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards".split(" "),
  ..."pragma proxy-authenticate proxy-authorization range referer retry-after server te trailer".split(" "),
  ..."transfer-encoding upgrade user-agent vary via warning www-authenticate method get status".split(" "),
  "200 OK",
  ..."version HTTP/1.1 url public set-cookie keep-alive origin".split(" "),
];

const STATUSES =
  "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505" +
  "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized" +
  "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable";

const VALUES =
  "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT" +
  "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript," +
  "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

const counted = (word: string): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(word.length);
  return Buffer.concat([length, Buffer.from(word)]);
};

export const DICTIONARY: Buffer = Buffer.concat([...WORDS.map(counted), Buffer.from(STATUSES + VALUES)]);

/** Adler-32 (RFC 1950, §9): how a zlib stream names its dictionary. */
export const adler32 = (bytes: Uint8Array): number => {
  let a = 1;
  let b = 0;
  for (const byte of bytes) {
    a = (a + byte) % 65_521;
    b = (b + a) % 65_521;
  }
  return ((b << 16) | a) >>> 0;
};
