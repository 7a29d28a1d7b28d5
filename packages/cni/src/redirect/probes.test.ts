// Is an address taken out of the probe set only by the pod it belongs to?

import assert from "node:assert/strict";
import { test } from "node:test";
import { createProbes } from "./probes.ts";

/** What would be in nft's sets, read off the texts; `fail` makes the next one fail. */
const start = () => {
  const held = new Set<string>();
  const state = { fail: false, running: 0 };
  const probes = createProbes({
    kubeletUid: 0,
    apply: async (text) => {
      assert.equal(++state.running, 1, "one at a time");
      await new Promise((resolve) => setImmediate(resolve));
      state.running--;
      if (state.fail) {
        state.fail = false;
        throw new Error("nft failed");
      }
      const lists = (pattern: RegExp): string[] => [...text.matchAll(pattern)].flatMap((m) => (m[1] ?? "").split(", "));
      if (text.includes("chain postrouting")) {
        held.clear();
        for (const a of lists(/elements = \{ ([^}]+) \}/g)) held.add(a);
        return;
      }
      for (const a of lists(/^add element .*\{ ([^}]+) \}/gm)) held.add(a);
      for (const a of lists(/^delete element .*\{ ([^}]+) \}/gm)) held.delete(a);
    },
  });
  return { probes, held: () => [...held].toSorted(), state };
};
const A = { uid: "a", addresses: ["10.0.0.1", "fd00::1"] };
const B = { uid: "b", addresses: ["10.0.0.1", "fd00::2"] };

test("a pod's addresses come and go, both families", async () => {
  const t = start();
  await t.probes.add(A);
  assert.deepEqual(t.held(), ["10.0.0.1", "fd00::1"]);
  await t.probes.remove("a");
  assert.deepEqual(t.held(), []);
  await t.probes.remove("a");
});

test("an address that another pod has by now stays when the first one goes", async () => {
  const t = start();
  await t.probes.add(A);
  await t.probes.add(B);
  await t.probes.remove("a");
  assert.deepEqual(t.held(), ["10.0.0.1", "fd00::2"]);
  await t.probes.remove("b");
  assert.deepEqual(t.held(), []);
});

test("asked for at the same time, in whichever order, the newcomer's address stays", async () => {
  for (const order of [0, 1]) {
    const t = start();
    await t.probes.add(A);
    const asks = [() => t.probes.remove("a"), () => t.probes.add(B)];
    await Promise.all((order === 0 ? asks : asks.toReversed()).map((ask) => ask()));
    assert.deepEqual(t.held(), ["10.0.0.1", "fd00::2"]);
  }
});

test("a pod that gets other addresses gives the old ones up", async () => {
  const t = start();
  await t.probes.add(A);
  await t.probes.add({ uid: "a", addresses: ["10.0.0.9"] });
  assert.deepEqual(t.held(), ["10.0.0.9"]);
});

test("the start drops what is nobody's any more and knows whose the rest is", async () => {
  const t = start();
  await t.probes.add({ uid: "gone", addresses: ["10.0.0.7"] });
  await t.probes.start([A]);
  assert.deepEqual(t.held(), ["10.0.0.1", "fd00::1"]);
  await t.probes.remove("gone");
  await t.probes.remove("a");
  assert.deepEqual(t.held(), []);
});

test("a failed change is told, changes nothing, and does not stop the next one", async () => {
  const t = start();
  await t.probes.add(A);
  t.state.fail = true;
  await assert.rejects(t.probes.remove("a"), /nft failed/);
  await t.probes.remove("a");
  assert.deepEqual(t.held(), []);
});
