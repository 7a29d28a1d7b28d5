// Is a head read in one way only, or refused?

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type HeadResult, parseRequestHead, parseResponseHead, type RequestHead } from "./head.ts";

const bytes = (text: string): Buffer => Buffer.from(text, "latin1");
const parse = (text: string): HeadResult<RequestHead> => parseRequestHead(bytes(text));
const refused = (text: string): string => {
  const r = parse(text);
  return r.kind === "bad" ? `${r.status} ${r.reason}` : r.kind;
};

test("a plain head", () => {
  assert.deepEqual(parse("GET /a?b=c HTTP/1.1\r\nHost: x\r\nA:  b \r\n\r\nrest"), {
    kind: "head",
    head: {
      method: "GET",
      path: "/a?b=c",
      authority: "x",
      minor: 1,
      fields: [
        ["host", "x"],
        ["a", "b"],
      ],
      framing: { kind: "none" },
    },
    bytes: 40,
  });
});

test("request targets", () => {
  const where = (line: string, host = "h") => {
    const r = parse(`${line}\r\nhost: ${host}\r\n\r\n`);
    return r.kind === "head" ? [r.head.authority, r.head.path] : refused(`${line}\r\nhost: ${host}\r\n\r\n`);
  };
  assert.deepEqual(where("GET http://other:81/p?q HTTP/1.1"), ["other:81", "/p?q"]);
  assert.deepEqual(where("GET http://other HTTP/1.1"), ["other", "/"]);
  assert.deepEqual(where("GET http://other?q HTTP/1.1"), ["other", "/?q"]);
  assert.deepEqual(where("OPTIONS * HTTP/1.1"), ["h", "*"]);
  assert.equal(where("GET * HTTP/1.1"), "400 the request target is neither a path nor a URL");
  assert.equal(where("CONNECT h:80 HTTP/1.1"), "400 CONNECT is not served here");
  assert.equal(where("GET /a#b HTTP/1.1"), "400 the request target has a character that is not allowed");
});

test("what could be read two ways is refused", () => {
  const head = "POST / HTTP/1.1\r\nhost: h\r\n";
  const table: [string, string][] = [
    [`${head}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n`, "400 Content-Length and Transfer-Encoding are both given"],
    [`${head}content-length: 5\r\ncontent-length: 6\r\n\r\n`, "400 Content-Length is given more than once"],
    [`${head}content-length: 5, 5\r\n\r\n`, "400 Content-Length is not a number"],
    [`${head}content-length: +5\r\n\r\n`, "400 Content-Length is not a number"],
    [`${head}content-length: -5\r\n\r\n`, "400 Content-Length is not a number"],
    [`${head}content-length: 0x5\r\n\r\n`, "400 Content-Length is not a number"],
    [`${head}content-length:\r\n\r\n`, "400 Content-Length is not a number"],
    [`${head}transfer-encoding: chunked, identity\r\n\r\n`, "501 a transfer coding other than chunked"],
    [`${head}transfer-encoding: xchunked\r\n\r\n`, "501 a transfer coding other than chunked"],
    [`${head}transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n`, "501 a transfer coding other than chunked"],
    [`${head}transfer-encoding : chunked\r\n\r\n`, "400 a header name has a character that is not allowed"],
    ["POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n", "400 Transfer-Encoding in HTTP/1.0"],
    [`${head} folded: x\r\n\r\n`, "400 a header line is folded"],
    [`${head}\tfolded\r\n\r\n`, "400 a header line is folded"],
    [`${head}a: b\rc: d\r\n\r\n`, "400 a header value has a control character"],
    [`${head}a: b\0c\r\n\r\n`, "400 a header value has a control character"],
    [`${head}a: b\nc: d\r\n\r\n`, "400 a line ends in LF without CR"],
    [`${head}: b\r\n\r\n`, "400 a header line has no name"],
    [`${head}nocolon\r\n\r\n`, "400 a header line has no name"],
    [`${head}host: other\r\n\r\n`, "400 Host is given more than once"],
    ["GET / HTTP/1.1\r\n\r\n", "400 Host is missing"],
    ["GET / HTTP/1.1\r\nhost: a b\r\n\r\n", "400 Host has a character that is not allowed"],
    ["GET  / HTTP/1.1\r\nhost: a\r\n\r\n", "400 the request line cannot be read"],
    ["GET /a b HTTP/1.1\r\nhost: a\r\n\r\n", "400 the request line cannot be read"],
    ["G@T / HTTP/1.1\r\nhost: a\r\n\r\n", "400 the request line cannot be read"],
    ["GET / http/1.1\r\nhost: a\r\n\r\n", "400 the request line cannot be read"],
    ["GET / HTTP/3.0\r\nhost: a\r\n\r\n", "505 HTTP/3.0 is not spoken here"],
  ];
  for (const [text, want] of table) assert.equal(refused(text), want, JSON.stringify(text));
});

test("limits: 100 fields, 60 KiB", () => {
  assert.match(refused(`GET / HTTP/1.1\r\nhost: a\r\n${"a: b\r\n".repeat(100)}\r\n`), /^431/);
  assert.equal(parse(`GET / HTTP/1.1\r\nhost: a\r\n${"a: b\r\n".repeat(99)}\r\n`).kind, "head");
  assert.match(refused(`GET /${"a".repeat(60 * 1024)}`), /^431/);
});

test("answers: no content for HEAD, 204, 304 and 1xx; until close without a length", () => {
  const framing = (text: string, method = "GET") => {
    const r = parseResponseHead(bytes(text), method);
    return r.kind === "head" ? r.head.framing : r.kind === "bad" ? r.reason : r.kind;
  };
  assert.deepEqual(framing("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n"), { kind: "length", length: 3 });
  assert.deepEqual(framing("HTTP/1.1 200\r\n\r\n"), { kind: "until-close" });
  assert.deepEqual(framing("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n", "HEAD"), { kind: "none" });
  assert.deepEqual(framing("HTTP/1.1 204 No\r\ntransfer-encoding: chunked\r\n\r\n"), { kind: "none" });
  assert.deepEqual(framing("HTTP/1.1 304 No\r\ncontent-length: 9\r\n\r\n"), { kind: "none" });
  assert.equal(framing("HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\n"), "Content-Length is given more than once");
  assert.equal(framing("HTTP/2 200\r\n\r\n"), "the status line cannot be read");
  assert.equal(framing("HTTP/1.1 099 x\r\n\r\n"), "the status line cannot be read");
});

/** What byte-by-byte arrival gives: the first result that is not "more". */
const fed = (all: Buffer): HeadResult<RequestHead> => {
  for (let n = 1; n <= all.length; n++) {
    const r = parseRequestHead(all.subarray(0, n));
    if (r.kind !== "more") return r;
  }
  return { kind: "more" };
};

const fragment = fc.constantFrom(
  "GET",
  " ",
  "/",
  "HTTP/1.1",
  "\r\n",
  "\n",
  "\r",
  "host: a",
  "a: b",
  ":",
  "\r\n\r\n",
  "\0",
  "\t",
  "content-length: 3",
  "transfer-encoding: chunked",
  "é",
  "x".repeat(50),
);

test("the bytes' splitting never changes the result, and nothing throws", () => {
  const heads = fc.oneof(
    fc.array(fragment, { maxLength: 20 }).map((p) => p.join("")),
    fc.array(fragment, { maxLength: 10 }).map((p) => `GET / HTTP/1.1\r\nhost: a\r\n${p.join("")}\r\n\r\n`),
    fc.string({ unit: "binary", maxLength: 100 }),
  );
  fc.assert(
    fc.property(heads, (text) => {
      const all = bytes(text);
      const [whole, split] = [parseRequestHead(all), fed(all)];
      // Both refuse, perhaps for different reasons when there are several; else they are equal.
      if (whole.kind === "bad" || split.kind === "bad") assert.equal(split.kind, whole.kind);
      else assert.deepEqual(split, whole);
    }),
    { numRuns: 500 },
  );
});
