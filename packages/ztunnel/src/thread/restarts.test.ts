// Is a thread that fails now and then started again, and one that always fails not?

import assert from "node:assert/strict";
import { test } from "node:test";
import { mayRestart } from "./restarts.ts";

const cases: readonly { name: string; ended: number[]; expect: boolean }[] = [
  { name: "the first time", ended: [], expect: true },
  { name: "four times within the minute", ended: [60_001, 70_000, 80_000, 90_000], expect: true },
  { name: "five times within the minute", ended: [60_001, 70_000, 80_000, 90_000, 100_000], expect: false },
  { name: "five times, but one long ago", ended: [60_000, 70_000, 80_000, 90_000, 100_000], expect: true },
];
for (const c of cases) test(`restart: ${c.name}`, () => assert.equal(mayRestart(c.ended, 120_000), c.expect));
