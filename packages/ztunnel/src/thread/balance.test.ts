// Does a connection stay where there is room, and go where there is more?

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type ConnectionKind, chooseThread, TAKES_NOTHING, WEIGHT } from "./balance.ts";

const cases: readonly { name: string; loads: number[]; self: number; kind: ConnectionKind; expect: number }[] = [
  { name: "one thread keeps all", loads: [80], self: 0, kind: "tunnel", expect: 0 },
  { name: "all idle: keep", loads: [0, 0], self: 1, kind: "tunnel", expect: 1 },
  { name: "equally loaded: keep", loads: [16, 16, 16], self: 2, kind: "tunnel", expect: 2 },
  { name: "a tunnel goes to the idle thread", loads: [8, 0], self: 0, kind: "tunnel", expect: 1 },
  { name: "the least loaded one keeps", loads: [8, 0], self: 1, kind: "tunnel", expect: 1 },
  { name: "the least of several", loads: [32, 16, 8, 24], self: 0, kind: "tunnel", expect: 2 },
  { name: "a captured connection stays when it hardly matters", loads: [1, 0], self: 0, kind: "captured", expect: 0 },
  { name: "a captured connection leaves a thread that has more to do", loads: [2, 0], self: 0, kind: "captured", expect: 1 },
  { name: "a thread that is gone gets nothing", loads: [800, TAKES_NOTHING], self: 0, kind: "tunnel", expect: 0 },
  { name: "the lowest one that lives", loads: [80, TAKES_NOTHING, 8], self: 0, kind: "tunnel", expect: 2 },
];
for (const c of cases) test(`choose: ${c.name}`, () => assert.equal(chooseThread(c.loads, c.self, c.kind), c.expect));

test("however the kernel hashes them, long tunnels end evenly", () =>
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), fc.array(fc.nat(), { minLength: 8, maxLength: 200 }), (threads, hashes) => {
      const loads = new Array<number>(threads).fill(0);
      for (const h of hashes) {
        const target = chooseThread(loads, h % threads, "tunnel");
        loads[target] = (loads[target] ?? 0) + WEIGHT.tunnel;
      }
      assert.ok(Math.max(...loads) - Math.min(...loads) <= WEIGHT.tunnel);
    }),
  ));
