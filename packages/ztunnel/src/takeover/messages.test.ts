// Are the messages of the hand-over read as they were written, and is anything else refused?

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Answer, decodeAnswer, decodeAsk, encodeAnswer, encodeAsk, MAX_MESSAGE, VERSION } from "./messages.ts";

const uid = fc.string({ minLength: 1, maxLength: 80 });

test("what was written is read", () => {
  fc.assert(
    fc.property(uid, fc.bigInt(0n, 2n ** 64n - 1n), fc.bigInt(0n, 2n ** 64n - 1n), (u, dev, ino) => {
      assert.deepEqual(decodeAsk(encodeAsk({ uid: u, dev, ino })), { ok: true, value: { uid: u, dev, ino } });
    }),
  );
  const answers: Answer[] = [
    { kind: "sockets", uid: "u", left: 0 },
    { kind: "sockets", uid: "u", left: 3 },
    { kind: "refused", why: "no" },
  ];
  for (const a of answers) assert.deepEqual(decodeAnswer(encodeAnswer(a)), { ok: true, value: a });
});

test("another version is refused by its number", () => {
  const later = encodeAsk({ uid: "u", dev: 1n, ino: 2n });
  later[0] = VERSION + 1;
  const r = decodeAsk(later);
  assert.deepEqual(r, { ok: false, error: "version 2 of the hand-over is not one we speak (1)" });
});

test("what is not a message is refused, never thrown at", () => {
  const frame = (text: string): Buffer => Buffer.concat([Buffer.of(VERSION), Buffer.from(text)]);
  for (const bad of [
    "",
    "{",
    "null",
    "[]",
    '{"uid":"u"}',
    '{"uid":"","dev":"1","ino":"1"}',
    '{"uid":"u","dev":"-1","ino":"1"}',
    '{"uid":"u","dev":1,"ino":1}',
  ]) {
    assert.equal(decodeAsk(frame(bad)).ok, false, bad);
    assert.equal(decodeAnswer(frame(bad)).ok, false, bad);
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      decodeAsk(bytes);
      decodeAnswer(bytes);
    }),
  );
});

test("the longest refusal fits one packet", () => {
  assert.ok(encodeAnswer({ kind: "refused", why: "x".repeat(10_000) }).length <= MAX_MESSAGE);
});
