// Which fields pass a proxy, and how do several of one name become one?

import assert from "node:assert/strict";
import { test } from "node:test";
import { asRecord, editFields, endToEnd, isFieldValue, joined, safeTrailers } from "./fields.ts";
import type { HeaderFields } from "./message.ts";

test("hop-by-hop fields do not pass, nor those that Connection names, except what messages are framed by", () => {
  const fields: HeaderFields = [
    ["connection", "close, X-Hop, content-length, host"],
    ["keep-alive", "timeout=5"],
    ["x-hop", "1"],
    ["x-end", "2"],
    ["te", "trailers"],
    ["transfer-encoding", "chunked"],
    ["upgrade", "h2c"],
    ["http2-settings", "x"],
    ["content-length", "3"],
  ];
  assert.deepEqual(endToEnd(fields), [
    ["x-end", "2"],
    ["te", "trailers"],
    ["content-length", "3"],
  ]);
  assert.deepEqual(endToEnd([["te", "gzip"]]), []);
});

test("several values of a name are one; cookies by semicolon", () => {
  const fields: HeaderFields = [
    ["a", "1"],
    ["cookie", "x=1"],
    ["a", "2"],
    ["cookie", "y=2"],
  ];
  assert.equal(joined(fields, "a"), "1,2");
  assert.deepEqual({ ...asRecord(fields) }, { a: "1,2", cookie: "x=1; y=2" });
});

test("edits", () => {
  const edits = { set: [{ name: "A", value: "x" }], add: [{ name: "b", value: "y" }], remove: ["C"] };
  const out = editFields(
    [
      ["a", "1"],
      ["a", "2"],
      ["b", "1"],
      ["c", "1"],
    ],
    edits,
  );
  assert.deepEqual(Object.fromEntries(out), { a: "x", b: "1,y" });
});

test("values that would not be read back as they are", () => {
  assert.equal(isFieldValue("plain \xe9\t"), true);
  // U+010A becomes a line feed when cut to one byte.
  for (const bad of ["a\r\nb", "a\nb", "a\0", "\u010a", "€"]) assert.equal(isFieldValue(bad), false, JSON.stringify(bad));
});

test("trailers cannot carry what decides framing or routing", () => {
  assert.deepEqual(
    safeTrailers([
      ["content-length", "1"],
      ["transfer-encoding", "x"],
      [":status", "200"],
      ["grpc-status", "0"],
      ["host", "h"],
    ]),
    [["grpc-status", "0"]],
  );
});
