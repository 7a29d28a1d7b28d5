// Does a controller see its own writes at once, and when is a key due again?

import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject } from "@ambit/shared/kube/objects/meta.ts";
import { createCache } from "./cache.ts";
import { createQueue } from "./queue.ts";

const object = (name: string, version: number, more: Partial<KubeObject["metadata"]> = {}): KubeObject => ({
  metadata: { name, namespace: "d", uid: `uid-${name}`, resourceVersion: String(version), ...more },
});
const upsert = (o: KubeObject, old?: KubeObject) => ({ type: "upsert" as const, object: o, old });

test("own writes count until the watch brings them or something newer", () => {
  const cache = createCache();
  cache.wrote(object("a", 5), 0);
  assert.equal(cache.get("d/a")?.metadata.resourceVersion, "5");
  cache.apply([upsert(object("a", 4))], 1);
  assert.equal(cache.get("d/a")?.metadata.resourceVersion, "5");
  cache.apply([upsert(object("a", 6))], 2);
  assert.equal(cache.get("d/a")?.metadata.resourceVersion, "6");
  cache.wrote(object("a", 5), 3); // an answer that was overtaken
  assert.equal(cache.get("d/a")?.metadata.resourceVersion, "6");
  assert.deepEqual(cache.in("d").length, 1);
});

test("a deletion we asked for counts at once, and an object known to be gone does not come back", () => {
  const cache = createCache();
  cache.apply([upsert(object("a", 4))], 0);
  cache.deleting(object("a", 4), 1_000);
  assert.equal(cache.get("d/a")?.metadata.deletionTimestamp, "1970-01-01T00:00:01.000Z");
  cache.apply([{ type: "delete", old: object("a", 7) }], 2);
  assert.equal(cache.get("d/a"), undefined);
  cache.wrote(object("a", 6), 3);
  assert.equal(cache.get("d/a"), undefined);
  assert.equal(cache.list().length, 0);
});

test("a deletion that arrives for a predecessor leaves the new object", () => {
  const cache = createCache();
  cache.wrote(object("a", 9, { uid: "new" }), 0);
  cache.apply([{ type: "delete", old: object("a", 8, { uid: "old" }) }], 1);
  assert.equal(cache.get("d/a")?.metadata.uid, "new");
});

test("own writes that never come back are forgotten in the end", () => {
  const cache = createCache();
  cache.wrote(object("a", 5), 0);
  assert.deepEqual(cache.expire(0), []);
  assert.deepEqual(cache.expire(1), ["d/a"]);
  assert.equal(cache.get("d/a"), undefined);
});

test("queue: the earliest appointment holds; failures wait longer each time, until a success", () => {
  const q = createQueue(() => 1);
  q.add("a", 100);
  q.add("a", 50);
  q.add("a", 200);
  assert.equal(q.nextAt(), 50);
  assert.deepEqual(q.take(49), []);
  assert.deepEqual(q.take(50), ["a"]);
  assert.equal(q.nextAt(), undefined);
  q.failed("a", 0);
  assert.equal(q.nextAt(), 20);
  q.take(20);
  q.failed("a", 20);
  assert.equal(q.nextAt(), 60);
  q.take(60);
  q.succeeded("a");
  q.failed("a", 60);
  assert.equal(q.nextAt(), 80);
});
