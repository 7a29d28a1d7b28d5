// Do octets that wait come out as they came in, in few and whole pieces?

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { giveBack, Held } from "./held.ts";

test("a million pieces of one octet are a few blocks", () => {
  const held = new Held();
  const chunk = Buffer.alloc(1);
  for (let i = 0; i < 1_000_000; i++) held.add(chunk);
  assert.equal(held.size, 1_000_000);
  let pieces = 0;
  let octets = 0;
  for (let p = held.shift(); p !== undefined; p = held.shift()) {
    pieces += 1;
    octets += p.length;
  }
  assert.deepEqual([octets, held.size], [1_000_000, 0]);
  assert.ok(pieces <= 62, `${pieces} pieces`);
});

test("what waits is a copy, in blocks of its size, and large ones are used again once given back", () => {
  const held = new Held();
  const large = Buffer.alloc(65_536, 1);
  held.add(large);
  large.fill(2);
  const [first] = [held.shift()];
  assert.ok(first !== undefined);
  assert.deepEqual([first.length, first[0], held.shift()], [65_536, 1, undefined]);
  giveBack(first);
  held.add(large);
  assert.equal(held.shift()?.buffer, first.buffer);
  held.add(Buffer.alloc(10));
  assert.equal(held.shift()?.buffer.byteLength, 1024, "a few octets cost little");
});

test("order is kept, whatever is added and taken when", () => {
  const step = fc.oneof(fc.uint8Array({ maxLength: 9000 }), fc.constant(undefined));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const held = new Held();
      const [into, out]: Buffer[][] = [[], []];
      const take = (): boolean => {
        const piece = held.shift();
        if (piece !== undefined) out?.push(piece);
        return piece !== undefined;
      };
      for (const s of steps) {
        if (s === undefined) take();
        else {
          held.add(Buffer.from(s));
          into?.push(Buffer.from(s));
        }
      }
      while (take());
      assert.ok(Buffer.concat(into ?? []).equals(Buffer.concat(out ?? [])));
      assert.equal(held.size, 0);
    }),
    { numRuns: 100 },
  );
});
