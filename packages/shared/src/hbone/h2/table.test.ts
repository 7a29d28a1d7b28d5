// Is it known of every stream id what it is?

import assert from "node:assert/strict";
import { test } from "node:test";
import { StreamTable } from "./table.ts";

const place = (t: StreamTable<string>, id: number): string => {
  const p = t.place(id);
  return p.t === "closed" ? p.how : p.t === "open" ? p.stream : p.t;
};

test("a server's: the peer's ids are odd and grow; what was left out is skipped", () => {
  const t = new StreamTable<string>("server");
  assert.equal(place(t, 1), "idle");
  assert.equal(t.peerOpens(5), true);
  t.add(5, "five");
  for (const id of [2, 3, 5]) assert.equal(t.peerOpens(id), false, String(id));
  assert.deepEqual(
    [1, 3, 5, 7, 2].map((id) => place(t, id)),
    ["skipped", "skipped", "five", "idle", "idle"],
  );
  assert.deepEqual([t.size, t.theirs, t.highestTheirs], [1, 1, 5]);
  t.close(5, "reset-by-peer");
  assert.equal(place(t, 5), "reset-by-peer");
  assert.equal(t.find(5), undefined);
  assert.deepEqual([t.size, t.theirs], [0, 0]);
});

test("a client's: its own ids are 1, 3, 5…", () => {
  const t = new StreamTable<string>("client");
  assert.deepEqual([t.takeId(), t.takeId()], [1, 3]);
  t.add(1, "one");
  assert.deepEqual(
    [1, 3, 5, 2].map((id) => place(t, id)),
    ["one", "skipped", "idle", "idle"],
  );
  assert.equal(t.theirs, 0);
});

test("only so many closings are remembered", () => {
  const t = new StreamTable<string>("server");
  for (let id = 1; id <= 4001; id += 2) {
    t.peerOpens(id);
    t.add(id, "x");
    t.close(id, "ended");
  }
  assert.deepEqual(
    [1, 1001, 3999, 4001].map((id) => place(t, id)),
    ["forgotten", "forgotten", "ended", "ended"],
  );
});
