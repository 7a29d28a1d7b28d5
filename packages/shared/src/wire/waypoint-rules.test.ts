// Ambit's rules about a waypoint inside Istio's message: read back whole, by the schema's numbers, and refused when unreadable.
import assert from "node:assert/strict";
import { test } from "node:test";
import { codecOf } from "../proto/schema.ts";
import { unwrap } from "../runtime/result.ts";
import type { WaypointRules } from "../state/types.ts";
import { readWaypointRules, writeWaypointRules } from "./waypoint-rules.ts";

const schema = codecOf<{ required: boolean; missing: string; uncaptured: number }>("ambit.waypoint.v1.WaypointRules");

const cases: readonly WaypointRules[] = [
  { required: false, missing: "", uncaptured: "refuse" },
  { required: true, missing: "", uncaptured: "allow" },
  { required: true, missing: "waypoint shop/wp is not ready", uncaptured: "refuse" },
  { required: true, missing: "", uncaptured: "hairpin" },
  { required: true, missing: "ä".repeat(400), uncaptured: "refuse" },
];
for (const rules of cases)
  test(`waypoint rules: ${JSON.stringify(rules).slice(0, 80)}`, () => {
    const written = writeWaypointRules(rules);
    assert.deepEqual(unwrap(readWaypointRules(written)), rules);
    const read = unwrap(schema.decode(written[0]?.config?.value ?? new Uint8Array()));
    assert.deepEqual(
      { required: read.required, missing: read.missing, uncaptured: read.uncaptured },
      { ...rules, uncaptured: ["allow", "refuse", "hairpin"].indexOf(rules.uncaptured) },
    );
  });

test("waypoint rules: none written, none read; extensions of others are passed over", () => {
  assert.deepEqual(writeWaypointRules(undefined), []);
  assert.equal(unwrap(readWaypointRules([{ name: "example.com/x", config: null }])), undefined);
});

test("waypoint rules: what cannot be read is an error that names the extension, never no rules", () => {
  const of = (config: { typeUrl: string; value: Uint8Array } | null) => readWaypointRules([{ name: "ambit.dev/waypoint", config }]);
  const typeUrl = "type.googleapis.com/ambit.waypoint.v1.WaypointRules";
  for (const r of [
    of(null),
    of({ typeUrl: "x", value: new Uint8Array() }),
    of({ typeUrl, value: Uint8Array.from([0x18, 9]) }),
    of({ typeUrl, value: Uint8Array.from([0x12, 9]) }),
  ])
    assert.match(r.ok ? "read" : r.error, /^extension ambit\.dev\/waypoint: /);
});
