// Messages in a TCP stream, however it is cut.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createFrames, frame } from "./stream.ts";

test("the messages are the same however the stream is cut, down to one byte at a time", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 40 }),
      (messages, cuts) => {
        const stream = Buffer.concat(messages.map((m) => frame(Buffer.from(m))));
        const frames = createFrames(65_535);
        const out: Buffer[] = [];
        for (let at = 0, i = 0; at < stream.length; i++) {
          const size = cuts[i % cuts.length] ?? 1;
          const got = frames.push(stream.subarray(at, at + size));
          assert.ok(got !== "too-long");
          out.push(...got);
          at += size;
        }
        assert.deepEqual(
          out.map((m) => [...m]),
          messages.map((m) => [...m]),
        );
      },
    ),
  );
});

test("a message that is announced too long is refused by its length alone", () => {
  const frames = createFrames(512);
  assert.deepEqual(frames.push(Buffer.from([2])), []);
  assert.equal(frames.push(Buffer.from([1])), "too-long");
});
