// Results, environment, backoff, readiness.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { backoffMs } from "./backoff.ts";
import { bool, durationMs, envFrom, integer, oneOf, port, text } from "./env.ts";
import { createReadiness } from "./ready.ts";
import { all, allOf, err, ok } from "./result.ts";

test("all stops at the first error; allOf reports every one", () => {
  assert.deepEqual(all([ok(1), err("x"), err("y")]), err("x"));
  assert.deepEqual(allOf({ a: err("x"), b: ok(1), c: err("y") }), err("x; y"));
  assert.deepEqual(allOf({ a: ok(1), b: ok("z") }), ok({ a: 1, b: "z" }));
});

test("env: every mistake names its variable and value", () => {
  const env = envFrom({ P: "70000", B: "yes", EMPTY: "", D: "1h30m", W: "b", X_ONE: "1" });
  const r = allOf({ p: env.required("P", port), b: env.optional("B", bool, false), m: env.required("MISSING", text) });
  assert.equal(r.ok ? "" : r.error, 'P="70000": want a whole number from 0 to 65535; B="yes": want "true" or "false"; MISSING is not set');
  assert.deepEqual(env.optional("EMPTY", text, "dflt"), ok("dflt"));
  assert.deepEqual(env.required("D", durationMs), ok(5_400_000));
  assert.deepEqual(env.required("W", oneOf("a", "b")), ok("b"));
  assert.deepEqual([...env.prefixed("X_")], [["ONE", "1"]]);
});

test("durations and numbers refuse leftovers", () => {
  for (const bad of ["1", "1x", "s", "1s2", "-1s", " 1s"]) assert.equal(durationMs(bad).ok, false, bad);
  for (const bad of ["1.5", "", "1e3", "0x1", " 1"]) assert.equal(integer(0, 9)(bad).ok, false, bad);
});

test("backoff stays within its bounds and grows", () => {
  fc.assert(
    fc.property(fc.nat(200), fc.double({ min: 0, max: 0.999999, noNaN: true }), (attempt, r) => {
      const ms = backoffMs(attempt, () => r);
      assert.ok(ms >= 50 && ms <= 15_000);
    }),
  );
  assert.equal(
    backoffMs(0, () => 0),
    50,
  );
  assert.equal(
    backoffMs(3, () => 0),
    400,
  );
});

test("readiness opens gate by gate and can close again", () => {
  const r = createReadiness(["state manager", "proxy"]);
  r.open("proxy");
  assert.deepEqual(r.pending(), ["state manager"]);
  r.open("state manager");
  r.close("proxy");
  assert.deepEqual(r.pending(), ["proxy"]);
});
