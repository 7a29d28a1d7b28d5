// Live connections: tracked, aborted, waited for.
import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshError } from "../errors/mesh-error.ts";
import { createLive } from "./store.ts";

test("idle resolves when the last connection ends", async () => {
  const live = createLive<string>();
  const a = live.track("a", () => undefined);
  const b = live.track("b", () => undefined);
  const idle = live.idle(AbortSignal.timeout(5_000));
  a[Symbol.dispose]();
  a[Symbol.dispose]();
  assert.equal(live.size, 1);
  b[Symbol.dispose]();
  assert.equal(await idle, true);
});

test("idle gives up with its signal", async () => {
  const live = createLive<string>();
  using _ = live.track("a", () => undefined);
  assert.equal(await live.idle(AbortSignal.abort()), false);
});

test("abortAll reaches every connection with the reason, also when an abort disposes others", () => {
  const live = createLive<string>();
  const seen: string[] = [];
  const b = live.track("b", (e) => seen.push(`b ${e.code}`));
  live.track("a", (e) => {
    seen.push(`a ${e.code}`);
    b[Symbol.dispose]();
  });
  live.abortAll(new MeshError("DRAINED", "deadline"));
  assert.deepEqual(seen, ["b DRAINED", "a DRAINED"]);
});
