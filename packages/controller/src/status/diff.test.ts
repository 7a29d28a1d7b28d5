// Is a status written only when it says something else, and is nobody else's part touched?

import assert from "node:assert/strict";
import { test } from "node:test";
import type { WantedStatus } from "../gateway/conditions.ts";
import { statusPatch, type WithStatus } from "./diff.ts";

const NOW = "2026-02-02T00:00:00Z";
const OLD = "2026-01-01T00:00:00Z";
const wanted = (over: Partial<WantedStatus> = {}): WantedStatus => ({
  resource: "services",
  object: "shop/web",
  fieldManager: "istio-ambient-service",
  generation: undefined,
  owned: ["mine"],
  conditions: [{ type: "mine", status: "True", reason: "Good", message: "fine" }],
  ...over,
});
const object = (status?: WithStatus["status"]): WithStatus => ({
  metadata: { name: "web", namespace: "shop" },
  ...(status === undefined ? {} : { status }),
});
const mine = { type: "mine", status: "True", reason: "Good", message: "fine", lastTransitionTime: OLD } as const;
const theirs = { type: "theirs", status: "False", reason: "R", message: "", lastTransitionTime: OLD } as const;

const cases: readonly {
  readonly name: string;
  readonly object: WithStatus;
  readonly wanted: WantedStatus;
  readonly expect: object | undefined;
}[] = [
  { name: "none there", object: object(), wanted: wanted(), expect: { conditions: [{ ...mine, lastTransitionTime: NOW }] } },
  { name: "said already", object: object({ conditions: [theirs, mine] }), wanted: wanted(), expect: undefined },
  { name: "another order is the same", object: object({ conditions: [mine, theirs] }), wanted: wanted(), expect: undefined },
  {
    name: "the reason changed: the time of transition stays",
    object: object({ conditions: [theirs, { ...mine, reason: "Old" }] }),
    wanted: wanted(),
    expect: { conditions: [theirs, mine] },
  },
  {
    name: "the status turned: the time too",
    object: object({ conditions: [{ ...mine, status: "False" }] }),
    wanted: wanted(),
    expect: { conditions: [{ ...mine, lastTransitionTime: NOW }] },
  },
  {
    name: "no longer wanted: ours goes, theirs stays",
    object: object({ conditions: [theirs, mine] }),
    wanted: wanted({ conditions: [] }),
    expect: { conditions: [theirs] },
  },
  { name: "nothing wanted, nothing there", object: object(), wanted: wanted({ conditions: [] }), expect: undefined },
  {
    name: "a new generation is a change",
    object: object({ conditions: [{ ...mine, observedGeneration: 1 }] }),
    wanted: wanted({ generation: 2 }),
    expect: { conditions: [{ ...mine, observedGeneration: 2 }] },
  },
  {
    name: "a generation kept as text is the same number",
    object: object({ conditions: [{ ...mine, observedGeneration: "2" as unknown as number }] }),
    wanted: wanted({ generation: 2 }),
    expect: undefined,
  },
  {
    name: "addresses",
    object: object({ conditions: [mine] }),
    wanted: wanted({ addresses: [{ type: "IPAddress", value: "10.96.0.9" }] }),
    expect: { addresses: [{ type: "IPAddress", value: "10.96.0.9" }] },
  },
  {
    name: "parents: entries of other controllers stay",
    object: object({ parents: [{ parentRef: { name: "gw" }, controllerName: "other", conditions: [theirs] }] }),
    wanted: wanted({
      conditions: [],
      parents: [
        {
          parentRef: { name: "web", kind: "Service" },
          conditions: [{ type: "Accepted", status: "True", reason: "Accepted", message: "" }],
        },
      ],
    }),
    expect: {
      parents: [
        { parentRef: { name: "gw" }, controllerName: "other", conditions: [theirs] },
        {
          parentRef: { name: "web", kind: "Service" },
          controllerName: "istio.io/gateway-controller",
          conditions: [{ type: "Accepted", status: "True", reason: "Accepted", message: "", lastTransitionTime: NOW }],
        },
      ],
    },
  },
];
for (const c of cases) test(`status: ${c.name}`, () => assert.deepEqual(statusPatch(c.object, c.wanted, NOW), c.expect));

test("what a patch makes needs no further patch", () => {
  for (const c of cases) {
    const patch = statusPatch(c.object, c.wanted, NOW);
    const after = { ...c.object, status: { ...c.object.status, ...patch } };
    assert.equal(statusPatch(after, c.wanted, "2027-01-01T00:00:00Z"), undefined, c.name);
  }
});
