// Are cluster addresses free, in range, and never given twice?

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { addressRefusal, freeAddress } from "./service-ip.ts";

test("a given address is never one in use, nor one kept for naming", () => {
  fc.assert(
    fc.property(
      fc.constantFrom("IPv4", "IPv6"),
      fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })),
      (family, randoms) => {
        const used = new Set<string>();
        for (let i = 0; i < 50; i++) {
          const ip = freeAddress(family, used, () => randoms.next().value ?? 0);
          assert.ok(ip !== undefined && !used.has(ip));
          assert.equal(addressRefusal(ip, used), undefined);
          assert.ok(family === "IPv4" ? /^10\.96\.(?!0\.)/.test(ip) : ip.startsWith("fd00:96::"), ip);
          used.add(ip);
        }
      },
    ),
    { numRuns: 20 },
  );
});

test("a range that is used up says so", () => {
  const everything = { has: () => true } as unknown as ReadonlySet<string>;
  assert.equal(
    freeAddress("IPv4", everything, () => 0.3),
    undefined,
  );
});

const refusals: readonly (readonly [string, RegExp | undefined])[] = [
  ["10.96.0.10", undefined],
  ["10.96.0.1", /already allocated/],
  ["10.96.0.0", /network's own/],
  ["10.96.255.255", /network's own/],
  ["10.95.0.1", /not in the valid range\. The range of valid IPs is 10\.96\.0\.0\/16/],
  ["fd00:96::a", undefined],
  ["fd00:97::1", /not in the valid range/],
  ["10.96.0", /must be a valid IP address/],
  ["", /must be a valid IP address/],
];
for (const [ip, expected] of refusals)
  test(`${JSON.stringify(ip)} ${expected ?? "is given"}`, () => {
    const why = addressRefusal(ip, new Set(["10.96.0.1"]));
    if (expected === undefined) assert.equal(why, undefined);
    else assert.match(why ?? "", expected);
  });
