// A policy that cannot be read still says for whom it would have held; where it does not, it is for everybody.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { PolicyReach } from "../authz/types.ts";
import { codecOf } from "../proto/schema.ts";
import { decodeAuthorization } from "./authorization.ts";
import { claimedReach } from "./authorization-claim.ts";

const codec = codecOf<{ name: string; namespace: string; scope: number; dryRun: boolean }>("istio.security.Authorization");
const [GLOBAL, NAMESPACE, WORKLOAD_SELECTOR] = [0, 1, 2];
/** A field of a newer controller at the end: what makes the policy unreadable. */
const bytesOf = (over: { name?: string; namespace?: string; scope?: number; dryRun?: boolean }): Uint8Array =>
  Buffer.concat([
    codec.encode({ name: "p", namespace: "ns", scope: NAMESPACE, dryRun: false, ...over }),
    Buffer.from("c20c03616263", "hex"),
  ]);

const EVERYWHERE: PolicyReach = { scope: "GLOBAL" };
const cases: readonly { name: string; bytes: Uint8Array; resource?: string; reach: PolicyReach }[] = [
  { name: "a namespace's", bytes: bytesOf({}), reach: { scope: "NAMESPACE", namespace: "ns" } },
  { name: "the mesh's", bytes: bytesOf({ scope: GLOBAL }), reach: EVERYWHERE },
  { name: "that of workloads which name it", bytes: bytesOf({ scope: WORKLOAD_SELECTOR }), reach: { scope: "WORKLOAD_SELECTOR" } },
  { name: "only tried out: nobody's", bytes: bytesOf({ dryRun: true }), reach: { scope: "WORKLOAD_SELECTOR" } },
  { name: "a scope that is not known", bytes: bytesOf({ scope: 9 }), reach: EVERYWHERE },
  { name: "a namespace's without a namespace", bytes: bytesOf({ namespace: "" }), resource: "/p", reach: EVERYWHERE },
  { name: "another one's name", bytes: bytesOf({}), resource: "ns/other", reach: EVERYWHERE },
  { name: "no message at all", bytes: Buffer.from("0aff", "hex"), reach: EVERYWHERE },
];
for (const c of cases)
  test(`claimedReach: ${c.name}`, () => {
    assert.deepEqual(claimedReach(c.resource ?? "ns/p", c.bytes), c.reach);
    assert.equal(decodeAuthorization(c.bytes).ok, false, "the policy itself cannot be read");
  });
