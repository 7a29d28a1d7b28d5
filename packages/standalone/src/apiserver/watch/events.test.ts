// Does a watcher that follows the events hold exactly the objects that its selector picks?

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { KubeObject } from "../model/object.ts";
import { type Selection, selects } from "../read/select.ts";
import { BUILTIN } from "../registry/builtin.ts";
import { parseLabelSelector } from "../select/labels.ts";
import { type ObservedChange, observed } from "./events.ts";

const resource = BUILTIN.find((r) => r.kind === "ConfigMap");
assert.ok(resource);
const labels = parseLabelSelector("a=1");
assert.ok(labels.ok);
const selection: Selection = { resource, namespace: "ns", labels: labels.value, fields: [] };

const object = (name: string, value: string, namespace: string): KubeObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, namespace, labels: { a: value } },
});

test("entering, staying, leaving, and what was never seen", () => {
  const [inside, outside] = [object("x", "1", "ns"), object("x", "2", "ns")];
  const cases: readonly (readonly [ObservedChange, string | undefined])[] = [
    [{ type: "ADDED", object: inside, prev: undefined }, "ADDED"],
    [{ type: "ADDED", object: outside, prev: undefined }, undefined],
    [{ type: "MODIFIED", object: inside, prev: inside }, "MODIFIED"],
    [{ type: "MODIFIED", object: inside, prev: outside }, "ADDED"],
    [{ type: "MODIFIED", object: outside, prev: inside }, "DELETED"],
    [{ type: "MODIFIED", object: outside, prev: outside }, undefined],
    [{ type: "DELETED", object: inside, prev: inside }, "DELETED"],
    [{ type: "DELETED", object: outside, prev: outside }, undefined],
    [{ type: "ADDED", object: object("x", "1", "other"), prev: undefined }, undefined],
  ];
  for (const [change, expected] of cases) assert.equal(observed(selection, change), expected);
});

test("any history, followed, gives the selected state", () => {
  const step = fc.record({
    name: fc.constantFrom("p", "q"),
    namespace: fc.constantFrom("ns", "other"),
    value: fc.constantFrom("1", "2", "gone"),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const state = new Map<string, KubeObject>();
      const seen = new Map<string, KubeObject>();
      for (const s of steps) {
        const key = `${s.namespace}/${s.name}`;
        const prev = state.get(key);
        if (s.value === "gone" && prev === undefined) continue;
        const next = s.value === "gone" ? undefined : object(s.name, s.value, s.namespace);
        if (next === undefined) state.delete(key);
        else state.set(key, next);
        const change: ObservedChange =
          next === undefined && prev !== undefined
            ? { type: "DELETED", object: prev, prev }
            : { type: prev === undefined ? "ADDED" : "MODIFIED", object: next ?? object("", "", ""), prev };
        const type = observed(selection, change);
        if (type === "DELETED") assert.ok(seen.delete(key), "nothing unseen is deleted");
        else if (type !== undefined) {
          assert.equal(seen.has(key), type === "MODIFIED");
          seen.set(key, change.object);
        }
      }
      assert.deepEqual(seen, new Map([...state].filter(([, o]) => selects(selection, o))));
    }),
  );
});
