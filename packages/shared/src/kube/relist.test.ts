// Do events lead from what is held to exactly what was listed?

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type KubeObject, keyOf } from "./objects/meta.ts";
import { relist, watched } from "./relist.ts";

const object = (name: string, uid: number, version: number): KubeObject => ({
  metadata: { name, uid: `${name}-${uid}`, resourceVersion: String(version) },
});
const objects = fc
  .uniqueArray(fc.tuple(fc.constantFrom("a", "b", "c", "d"), fc.nat(1), fc.nat(2)), { selector: ([name]) => name })
  .map((list) => list.map(([n, u, v]) => object(n, u, v)));
const mapOf = (list: readonly KubeObject[]) => new Map(list.map((o) => [keyOf(o), o]));

test("the events lead from any state to exactly the list, each with the state it changes, and none without need", () => {
  fc.assert(
    fc.property(objects, objects, (before, after) => {
      const state = mapOf(before);
      for (const e of relist(mapOf(before), after)) {
        if (e.type === "delete") {
          assert.ok(state.delete(keyOf(e.old)), "only what is there is deleted");
          continue;
        }
        assert.equal(e.old, state.get(keyOf(e.object)));
        assert.ok(e.old === undefined || e.old.metadata.uid === e.object.metadata.uid, "an update never turns one object into another");
        assert.notEqual(e.old?.metadata.resourceVersion, e.object.metadata.resourceVersion);
        state.set(keyOf(e.object), e.object);
      }
      assert.deepEqual(
        [...state.values()].map((o) => `${o.metadata.uid}@${o.metadata.resourceVersion}`).sort(),
        after.map((o) => `${o.metadata.uid}@${o.metadata.resourceVersion}`).sort(),
      );
      assert.deepEqual(relist(mapOf(after), after), []);
    }),
  );
});

test("a DELETED event carries the object's last state; for an object we never had it says nothing", () => {
  const held = mapOf([object("a", 0, 1)]);
  const last = object("a", 0, 5);
  assert.deepEqual(watched(held, { type: "DELETED", object: last }), [{ type: "delete", old: last }]);
  assert.deepEqual(watched(held, { type: "DELETED", object: object("b", 0, 5) }), []);
  assert.deepEqual(watched(held, { type: "BOOKMARK", resourceVersion: "9" }), []);
});
