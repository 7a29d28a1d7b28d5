// Is what costs us more than its sender counted, and forgiven with time?

import assert from "node:assert/strict";
import { test } from "node:test";
import { ALLOWED, Guard, type Nuisance } from "./guard.ts";

for (const kind of Object.keys(ALLOWED) as Nuisance[]) {
  const { burst, perSecond } = ALLOWED[kind];
  test(`${kind}: ${burst} at once, then ${perSecond} a second`, () => {
    let now = 1000;
    const guard = new Guard(() => now);
    const many = (n: number): void => {
      for (let i = 0; i < n; i++) guard.count(kind);
    };
    many(burst);
    assert.throws(() => guard.count(kind), { code: "ENHANCE_YOUR_CALM" });
    now += 2000;
    many(Math.min(burst, 2 * perSecond));
    assert.throws(() => guard.count(kind), { code: "ENHANCE_YOUR_CALM" });
    now += 3_600_000;
    many(burst);
    assert.throws(() => guard.count(kind), { code: "ENHANCE_YOUR_CALM" });
  });
}

test("what we send earns updates of windows", () => {
  const guard = new Guard(() => 0);
  guard.earn("window", 500);
  for (let i = 0; i < ALLOWED.window.burst + 500; i++) guard.count("window");
  assert.throws(() => guard.count("window"), { code: "ENHANCE_YOUR_CALM" });
});

test("a clock that is set back takes nothing away", () => {
  let now = 10_000;
  const guard = new Guard(() => now);
  guard.count("ping");
  now = 0;
  guard.count("ping");
});
