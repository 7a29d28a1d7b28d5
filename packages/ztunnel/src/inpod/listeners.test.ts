// Is every listening socket accepted from, and does every thread accept?

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { deal } from "./listeners.ts";

const cases: readonly { name: string; sockets: string[]; threads: number; expect: string[][] }[] = [
  { name: "one each", sockets: ["a", "b"], threads: 2, expect: [["a"], ["b"]] },
  { name: "one for all (without SO_REUSEPORT)", sockets: ["a"], threads: 3, expect: [["a"], ["a"], ["a"]] },
  { name: "more than threads (inherited from a ztunnel with more)", sockets: ["a", "b", "c"], threads: 2, expect: [["a", "c"], ["b"]] },
  { name: "fewer than threads", sockets: ["a", "b"], threads: 3, expect: [["a"], ["b"], ["a"]] },
  { name: "none (no IPv6 loopback)", sockets: [], threads: 2, expect: [[], []] },
];
for (const c of cases)
  test(`deal: ${c.name}`, () =>
    assert.deepEqual(
      Array.from({ length: c.threads }, (_, thread) => [...deal(c.sockets, c.threads, thread)]),
      c.expect,
    ));

test("nothing is left without an acceptor, whatever the numbers", () =>
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 20 }), (sockets, threads) => {
      const all = Array.from({ length: sockets }, (_, i) => i);
      const dealt = Array.from({ length: threads }, (_, thread) => deal(all, threads, thread));
      assert.deepEqual(
        [...new Set(dealt.flat())].sort((x, y) => x - y),
        all,
      );
      assert.ok(dealt.every((d) => d.length > 0));
    }),
  ));
