// Can a body be sent again, without being held for ever?

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Body } from "../http/message.ts";
import { replayable } from "./replay.ts";

const source = (...chunks: string[]): Body & { reads: number } => {
  const left = [...chunks];
  return {
    reads: 0,
    length: undefined,
    async read() {
      this.reads += 1;
      const next = left.shift();
      return next === undefined ? undefined : Buffer.from(next);
    },
    trailers: () => [["t", "1"]],
    cancel: () => undefined,
  };
};
const all = async (b: Body): Promise<string> => {
  let text = "";
  for (let c = await b.read(); c !== undefined; c = await b.read()) text += c.toString();
  return text;
};

test("an attempt that stopped half-way is followed by one that sends it all", async () => {
  const body = source("ab", "cd", "ef");
  const replay = replayable(body, 100);
  const first = replay.attempt();
  assert.equal((await first.read())?.toString(), "ab");
  // A read that the first attempt left behind is not lost.
  void first.read();
  assert.equal(await all(replay.attempt()), "abcdef");
  assert.equal(await all(replay.attempt()), "abcdef");
  assert.equal(replay.possible, true);
});

test("beyond the limit the bytes pass once and nothing is held", async () => {
  const replay = replayable(source("abc", "def"), 4);
  assert.equal(await all(replay.attempt()), "abcdef");
  assert.equal(replay.possible, false);
});

test("nothing is read before it is wanted", () => {
  const body = source("a");
  replayable(body, 10).attempt();
  assert.equal(body.reads, 0);
});
