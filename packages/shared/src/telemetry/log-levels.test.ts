// Are log levels read, printed and applied by scope?

import assert from "node:assert/strict";
import { test } from "node:test";
import { enabled, formatLevels, levelsText, parseLevels } from "./log-levels.ts";

const readable = [
  { text: "info", levels: { default: "info", scopes: {} } },
  { text: "warn,access=debug", levels: { default: "warn", scopes: { access: "debug" } } },
  { text: "xds=off", levels: { default: "info", scopes: { xds: "off" } } },
  { text: "trace", levels: { default: "debug", scopes: {} } },
] as const;
for (const c of readable) test(`reads ${c.text}`, () => assert.deepEqual(parseLevels(c.text), { ok: true, value: c.levels }));

for (const text of ["", "loud", "access=", "a=b=c"])
  test(`refuses ${JSON.stringify(text)}`, () => assert.equal(parseLevels(text).ok, false));

test("levels in a variable stay as they are written", () => {
  assert.deepEqual(levelsText("WARN,xds=trace"), { ok: true, value: "WARN,xds=trace" });
  assert.equal(levelsText("loud").ok, false);
});

test("what is printed is read back", () => {
  const levels = { default: "warn", scopes: { access: "debug", xds: "off" } } as const;
  assert.deepEqual(parseLevels(formatLevels(levels)), { ok: true, value: levels });
});

test("a scope's level covers its parts, and nothing else", () => {
  const levels = { default: "warn", scopes: { xds: "debug" } } as const;
  assert.equal(enabled(levels, "xds::client", "debug"), true);
  assert.equal(enabled(levels, "access", "info"), false);
  assert.equal(enabled({ default: "off", scopes: {} }, "access", "error"), false);
});
