// An endpoint's health over time: counted, ejected, tried again.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EJECTION, type Health, type HealthEvent, isEjected, stepHealth } from "./ejection.ts";

type Step = readonly [at: number, event: HealthEvent];
const run = (...steps: readonly Step[]): Health | undefined =>
  steps.reduce<Health | undefined>((h, [now, event]) => stepHealth(h, event, { now }), undefined);
const failing = (...at: readonly number[]): Step[] => at.map((t) => [t, "failed"]);

const cases: readonly { name: string; steps: readonly Step[]; expect: Health | undefined }[] = [
  { name: "one failure is remembered", steps: failing(5), expect: { t: "failing", failures: 1, rounds: 0, at: 5 } },
  { name: "a success wipes it out", steps: [...failing(5, 6), [7, "succeeded"]], expect: undefined },
  {
    name: "failures far apart are not in a row",
    steps: failing(0, 1, 70_000),
    expect: { t: "failing", failures: 1, rounds: 0, at: 70_000 },
  },
  { name: "the third in a row ejects for 10 s", steps: failing(0, 1, 2), expect: { t: "ejected", until: 10_002, rounds: 1 } },
  {
    name: "one that is used although ejected rests no longer for failing again",
    steps: failing(0, 1, 2, 3, 4),
    expect: { t: "ejected", until: 10_002, rounds: 1 },
  },
  {
    name: "after it, one connection tries it out",
    steps: [...failing(0, 1, 2), [10_002, "chosen"]],
    expect: { t: "trial", since: 10_002, rounds: 1 },
  },
  {
    name: "a failed trial ejects for twice as long",
    steps: [...failing(0, 1, 2), [10_002, "chosen"], [10_003, "failed"]],
    expect: { t: "ejected", until: 30_003, rounds: 2 },
  },
  { name: "a good trial ends it", steps: [...failing(0, 1, 2), [10_002, "chosen"], [10_003, "succeeded"]], expect: undefined },
  {
    name: "a trial that said nothing leaves room for the next",
    steps: [...failing(0, 1, 2), [10_002, "chosen"], [10_003, "abandoned"]],
    expect: { t: "ejected", until: 10_003, rounds: 1 },
  },
  {
    name: "one that says itself that it is leaving is ejected at once",
    steps: [[1, "declined"]],
    expect: { t: "ejected", until: 5_001, rounds: 0 },
  },
];
for (const c of cases) test(`ejection: ${c.name}`, () => assert.deepEqual(run(...c.steps), c.expect));

test("ejection: a trial keeps others out for 20 s at most", () => {
  const trial = run(...failing(0, 1, 2), [10_002, "chosen"]);
  assert.deepEqual([isEjected(trial, 10_003), isEjected(trial, 30_001), isEjected(trial, 30_002)], [true, true, false]);
});

test("ejection: never longer than the limit, and a success always ends it", () => {
  const event = fc.constantFrom<HealthEvent>("chosen", "failed", "declined", "abandoned");
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat({ max: 400_000 }), event), { maxLength: 60 }), (steps) => {
      let now = 0;
      let h: Health | undefined;
      for (const [wait, e] of steps) {
        now += wait;
        h = stepHealth(h, e, { now });
        if (h?.t === "ejected") assert.ok(h.until - now <= EJECTION.maxMs);
      }
      assert.equal(stepHealth(h, "succeeded", { now }), undefined);
    }),
  );
});
