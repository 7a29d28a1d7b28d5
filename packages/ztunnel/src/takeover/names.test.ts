// Is the newest ztunnel asked first, and nothing else taken for one?

import assert from "node:assert/strict";
import { test } from "node:test";
import { newestFirst, offerName } from "./names.ts";

test("names sort by the time of their start, and files of others are left out", () => {
  const old = offerName(1_700_000_000_000, () => 0.99999);
  const young = offerName(1_700_000_000_001, () => 0);
  assert.match(old, /^takeover-1700000000000-[0-9a-f]{8}\.sock$/);
  assert.deepEqual(newestFirst(["ztunnel.sock", old, "takeover-x.sock", young, `${young}.tmp`]), [young, old]);
});
