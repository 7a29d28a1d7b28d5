// Do the first bytes tell the protocol, however they arrive?

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { detect, detectHttp } from "./detect.ts";

test("the first bytes tell", () => {
  for (const [text, want] of [
    ["", "more"],
    ["GET ", "more"],
    ["GET / HTTP/1.1\r\n", "http1"],
    ["GET / HTTP/1.0\n", "http1"],
    ["PROPFIND /dav HTTP/1.1\r\n", "http1"],
    ["GET /\r\n", "opaque"],
    ["PRI", "more"],
    ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http2"],
    ["PRI * HTTP/2.0\r\n\r\nXX", "opaque"],
    ["PRINT / HTTP/1.1\r\n", "http1"],
    ["\x16\x03\x01\x02", "tls"],
    ["\x16", "more"],
    ["\x16\x02", "opaque"],
    ["\x00\x00\x00\x2a", "opaque"],
    ["*1\r\n$4\r\nPING\r\n", "opaque"],
    ["SSH-2.0-OpenSSH_9\r\n", "opaque"],
    ["hello\n", "opaque"],
    ["averyveryverylongwordthatisnomethod", "opaque"],
  ] as const)
    assert.equal(detect(Buffer.from(text, "latin1")), want, JSON.stringify(text));
});

test("more bytes never change what was told", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.uint8Array({ maxLength: 20 }), (a, b) => {
      const first = detect(Buffer.from(a));
      return first === "more" || detect(Buffer.concat([a, b])) === first;
    }),
  );
});

test("on a declared HTTP port only HTTP/2's preface is looked for", () => {
  assert.equal(detectHttp(Buffer.from("PRI * HT")), "more");
  assert.equal(detectHttp(Buffer.from("garbage")), "http1");
});
