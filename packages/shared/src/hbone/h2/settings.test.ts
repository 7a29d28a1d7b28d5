// Are settings read and written as RFC 9113 section 6.5 says?

import assert from "node:assert/strict";
import { test } from "node:test";
import type { CodeName } from "./codes.ts";
import { INITIAL_PEER, ownSettings, readSettings, writeSettings } from "./settings.ts";

const read = (values: readonly (readonly [number, number])[], from: "client" | "server" = "server", first = true) =>
  readSettings(writeSettings(new Map(values)), INITIAL_PEER, { from, first });

test("what is told holds, unknown ones are ignored, and the last of one kind wins", () => {
  const s = read([
    [3, 7],
    [4, 0],
    [5, 0xffffff],
    [6, 100],
    [1, 0],
    [2, 0],
    [0xff00, 1],
  ]);
  assert.deepEqual(s, { maxConcurrentStreams: 7, initialWindow: 0, maxFrame: 0xffffff, maxHeaderList: 100 });
});

test("streams are unlimited once the peer has spoken without a limit; later frames change only what they name", () => {
  const first = read([]);
  assert.equal(first.maxConcurrentStreams, Number.POSITIVE_INFINITY);
  const next = readSettings(writeSettings(new Map([[3, 5]])), first, { from: "server", first: false });
  assert.equal(next.maxConcurrentStreams, 5);
  assert.equal(readSettings(Buffer.alloc(0), next, { from: "server", first: false }).maxConcurrentStreams, 5);
});

const REFUSED: readonly (readonly [number, number, CodeName, ("client" | "server")?])[] = [
  [2, 2, "PROTOCOL_ERROR", "client"],
  [2, 1, "PROTOCOL_ERROR", "server"],
  [4, 0x80000000, "FLOW_CONTROL_ERROR"],
  [5, 16_383, "PROTOCOL_ERROR"],
  [5, 0x1000000, "PROTOCOL_ERROR"],
];
for (const [id, value, code, from] of REFUSED)
  test(`refused: setting ${id} of ${value}`, () => assert.throws(() => read([[id, value]], from), { code }));

test("ours: Istio's windows, frames and lists", () => {
  assert.deepEqual(
    [...ownSettings("server", 200)],
    [
      [3, 200],
      [4, 4 << 20],
      [5, 1 << 20],
      [6, 65_536],
    ],
  );
  assert.deepEqual(
    [...ownSettings("client", 200)],
    [
      [2, 0],
      [4, 4 << 20],
      [5, 1 << 20],
      [6, 16_384],
    ],
  );
});
