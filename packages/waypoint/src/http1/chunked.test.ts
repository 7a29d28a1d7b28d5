// Is a chunked body read strictly, however it is cut?

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { HeaderFields } from "../http/message.ts";
import { chunkedDecoder } from "./chunked.ts";

type Decoded = {
  readonly data: string;
  readonly end: boolean;
  readonly bad: string | undefined;
  readonly trailers: HeaderFields;
  readonly rest: string;
};

const decode = (pieces: readonly Buffer[]): Decoded => {
  const decoder = chunkedDecoder();
  let data = "";
  for (const [i, piece] of pieces.entries()) {
    for (let chunk = piece; ; ) {
      const step = decoder.step(chunk);
      if (step.kind === "more") break;
      if (step.kind === "bad") return { data, end: false, bad: step.reason, trailers: [], rest: "" };
      if (step.kind === "end") {
        const rest = Buffer.concat([step.rest, ...pieces.slice(i + 1)]).toString("latin1");
        return { data, end: true, bad: undefined, trailers: step.trailers, rest };
      }
      data += step.data.toString("latin1");
      chunk = step.rest;
    }
  }
  return { data, end: false, bad: undefined, trailers: [], rest: "" };
};

const bytes = (text: string): Buffer => Buffer.from(text, "latin1");
const each = (all: Buffer): Buffer[] => Array.from(all, (b) => Buffer.from([b]));

test("chunks, extensions, trailers, and what follows", () => {
  const r = decode([bytes("3\r\nabc\r\n00A;x=y\r\n0123456789\r\n0\r\nX-T: 1\r\nContent-Length: 9\r\n\r\nnext")]);
  assert.deepEqual(r, { data: "abc0123456789", end: true, bad: undefined, trailers: [["x-t", "1"]], rest: "next" });
});

test("what is not a chunked body", () => {
  for (const text of [
    "x\r\n",
    "-1\r\n",
    "0x3\r\n",
    "3 4\r\n",
    "\r\n",
    "3\n",
    "3\r\nabcd\r\n",
    "3\r\nabc\n",
    "3\rabc",
    "fffffffffffffff\r\n",
    `3;${"x".repeat(5000)}`,
    "0\r\n folded\r\n\r\n",
    "0\r\na: b\rc\r\n",
  ])
    assert.notEqual(decode([bytes(text)]).bad, undefined, JSON.stringify(text));
  assert.notEqual(decode([bytes(`0\r\n${"a: b\r\n".repeat(200)}\r\n`)]).bad, undefined);
});

test("bytes come out as they went in, however they are cut", () => {
  const body = fc.array(fc.string({ unit: "binary-ascii", minLength: 1, maxLength: 30 }), { maxLength: 6 });
  fc.assert(
    fc.property(body, fc.string({ unit: "binary-ascii", maxLength: 5 }), (chunks, rest) => {
      const all = bytes(`${chunks.map((c) => `${c.length.toString(16)}\r\n${c}\r\n`).join("")}0\r\n\r\n${rest}`);
      const want = { data: chunks.join(""), end: true, bad: undefined, trailers: [], rest };
      assert.deepEqual(decode([all]), want);
      assert.deepEqual(decode(each(all)), want);
    }),
  );
});

test("any bytes: splitting never changes what is decoded or whether it is refused", () => {
  const fragment = fc.constantFrom("3", "0", "a", "\r\n", "\n", "\r", ";x", "abc", "a: b", "\r\n\r\n", "g");
  fc.assert(
    fc.property(fc.array(fragment, { maxLength: 15 }), (parts) => {
      const all = bytes(parts.join(""));
      const [whole, split] = [decode([all]), decode(each(all))];
      assert.deepEqual({ ...split, bad: split.bad !== undefined }, { ...whole, bad: whole.bad !== undefined });
    }),
    { numRuns: 500 },
  );
});
