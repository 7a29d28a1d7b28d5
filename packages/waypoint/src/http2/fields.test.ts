// Are HTTP/2 header lists read strictly, and written as HTTP/2 wants them?

import assert from "node:assert/strict";
import { test } from "node:test";
import { readRequest, readResponse } from "./fields.ts";

const head = [":method", "GET", ":scheme", "http", ":path", "/a?b", ":authority", "h"];

test("a request as its header list says", () => {
  assert.deepEqual(readRequest([...head, "x", "1", "cookie", "a=1", "cookie", "b=2", "te", "trailers"], true), {
    method: "GET",
    scheme: "http",
    path: "/a?b",
    authority: "h",
    fields: [
      ["x", "1"],
      ["te", "trailers"],
      ["cookie", "a=1; b=2"],
    ],
    length: 0,
  });
});

test("what HTTP/1.1 could not carry is refused before it gets there", () => {
  const bad = (...list: string[]): boolean => typeof readRequest(list, true) === "string";
  assert.ok(bad(":method", "GET", ":path", "/a b", ":authority", "h"));
  assert.ok(bad(":method", "GET", ":path", "/a\r\nx: y", ":authority", "h"));
  assert.ok(bad(":method", "GET", ":path", "a", ":authority", "h"));
  assert.ok(bad(":method", "G T", ":path", "/", ":authority", "h"));
  assert.ok(bad(":method", "GET", ":path", "/", ":authority", "h\r\nx"));
  assert.ok(bad(":method", "CONNECT", ":authority", "h"));
  assert.ok(bad(...head, "x", "a\u010ab"));
  assert.ok(bad(...head, "content-length", "1", "content-length", "1"));
  assert.ok(!bad(...head));
});

test("an answer's length", () => {
  assert.equal(readResponse([":status", "200", "content-length", "7"], false).length, 7);
  assert.equal(readResponse([":status", "200"], false).length, undefined);
  assert.equal(readResponse([":status", "200"], true).length, 0);
});
