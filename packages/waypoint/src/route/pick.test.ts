// Do backends get the shares that their weights say?

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { toService } from "../test/rig.ts";
import { pickBackend } from "./pick.ts";

test("shares are weights over their sum", () => {
  const list = [toService("v1", 70), toService("v2", 30), toService("v3", 0)];
  const at = (random: number) => list.indexOf(pickBackend(list, random) ?? toService("none"));
  assert.deepEqual([0, 0.69, 0.7, 0.999].map(at), [0, 0, 1, 1]);
  let first = 0;
  for (let i = 0; i < 1000; i++) if (at(i / 1000) === 0) first++;
  assert.equal(first, 700);
});

test("weights that sum to nothing pick nothing, and weight 0 is never picked", () => {
  assert.equal(pickBackend([toService("v1", 0)], 0.5), undefined);
  assert.equal(pickBackend([], 0.5), undefined);
  fc.assert(
    fc.property(fc.array(fc.nat(5), { minLength: 1 }), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (weights, random) => {
      const picked = pickBackend(
        weights.map((w) => toService("x", w)),
        random,
      );
      return weights.some((w) => w > 0) ? (picked?.weight ?? 0) > 0 : picked === undefined;
    }),
  );
});
