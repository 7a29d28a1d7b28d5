// Do events read as log lines, with trouble as a warning?

import assert from "node:assert/strict";
import { test } from "node:test";
import { ip } from "../state/fixtures.ts";
import { eventLog, logFields } from "./event-log.ts";
import type { ScopedLogger } from "./log.ts";
import { bare, type Fields } from "./log-line.ts";

test("addresses read as addresses, what has no short form as JSON", () => {
  const fields = { to: { ip: ip("10.0.0.1"), port: 80 }, names: ["a", "b"], ms: 5, error: undefined, none: null };
  assert.deepEqual(logFields(fields), { to: bare("10.0.0.1:80"), names: '["a","b"]', ms: 5, error: undefined, none: "null" });
});

const events = [
  { event: "certificate issued", level: "debug" },
  { event: "xds stream ended", level: "warn" },
  { event: "certificate fetch failed", level: "warn" },
] as const;
for (const { event, level } of events)
  test(`${event}: ${level}`, () => {
    const lines: unknown[] = [];
    const at = (name: string) => (message: string, fields?: Fields) => void lines.push([name, message, fields]);
    const log: ScopedLogger = { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error"), enabled: () => true };
    eventLog(log, "debug", { pod: "ns/a" })(event, { attempt: 1 });
    assert.deepEqual(lines, [[level, event, { attempt: 1, pod: "ns/a" }]]);
  });
