// What is remembered of endpoints, and that it stays bounded.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createEndpointBook } from "./endpoints.ts";

const book = () => {
  const clock = { now: 0 };
  const counts = { ejections: 0, out: 0 };
  const reports = {
    ejected: () => {
      counts.ejections += 1;
      counts.out += 1;
    },
    restored: () => {
      counts.out -= 1;
    },
  };
  return { clock, counts, book: createEndpointBook({ now: () => clock.now, reports }) };
};

test("load counts attempts until they are disposed, once", () => {
  const { book: b } = book();
  const one = b.begin("a 80");
  const two = b.begin("a 80");
  assert.equal(b.load("a 80"), 2);
  one[Symbol.dispose]();
  one[Symbol.dispose]();
  assert.equal(b.load("a 80"), 1);
  two[Symbol.dispose]();
  assert.equal(b.load("a 80"), 0);
});

test("three failures eject, told once; the time passes, and one trial decides", () => {
  const { book: b, clock, counts } = book();
  for (let i = 0; i < 3; i++) {
    using attempt = b.begin("a 80");
    attempt.tell("failed");
  }
  assert.deepEqual([b.ejected("a 80"), counts], [true, { ejections: 1, out: 1 }]);
  clock.now = 10_000;
  assert.equal(b.ejected("a 80"), false);
  const trial = b.begin("a 80");
  assert.equal(b.ejected("a 80"), true, "the others wait for the trial");
  trial.tell("succeeded");
  assert.deepEqual([b.ejected("a 80"), b.health("a 80"), counts], [false, undefined, { ejections: 1, out: 0 }]);
});

test("a trial whose client went away leaves room for the next", () => {
  const { book: b, clock } = book();
  for (let i = 0; i < 3; i++) {
    using attempt = b.begin("a 80");
    attempt.tell("failed");
  }
  clock.now = 10_000;
  b.begin("a 80")[Symbol.dispose]();
  assert.equal(b.ejected("a 80"), false);
});

test("what is remembered is bounded: the oldest failures are forgotten", () => {
  const { book: b, counts } = book();
  for (let i = 0; i < 10_000; i++) {
    using attempt = b.begin(`w${i} 80`);
    attempt.tell("declined");
  }
  assert.equal(b.health("w0 80"), undefined);
  assert.equal(b.health("w9999 80")?.t, "ejected");
  assert.deepEqual(counts, { ejections: 10_000, out: 4_096 });
  let kept = 0;
  for (let i = 0; i < 10_000; i++) if (b.health(`w${i} 80`) !== undefined) kept += 1;
  assert.equal(kept, 4_096);
});
