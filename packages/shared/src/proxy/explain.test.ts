// Are workloads, candidates and verdicts told whole?

import assert from "node:assert/strict";
import { test } from "node:test";
import type { PolicySet } from "../authz/authorize.ts";
import type { AuthzSubject, Policy } from "../authz/types.ts";
import { aWorkload, ip } from "../state/fixtures.ts";
import { explainCandidate, explainVerdict, explainWorkload } from "./explain.ts";

const subject: AuthzSubject = { identity: undefined, sourceIp: ip("10.0.0.9"), destinationIp: ip("10.0.0.1"), destinationPort: 80 };
const nobody: Policy = { name: "nobody", namespace: "ns", scope: "NAMESPACE", action: "ALLOW", dryRun: false, rules: [] };

test("a workload is told by its names, addresses and identity", () =>
  assert.deepEqual(explainWorkload(aWorkload("a", "10.0.0.1")), {
    uid: "Kubernetes//Pod/ns/a",
    namespace: "ns",
    name: "a",
    node: "node1",
    addresses: ["10.0.0.1"],
    identity: "spiffe://cluster.local/ns/ns/sa/default",
  }));

test("a candidate keeps why it may not be chosen", () =>
  assert.deepEqual(explainCandidate({ workload: aWorkload("a", "10.0.0.1"), port: 8080, rank: 1, excluded: "unhealthy" }), {
    namespace: "ns",
    name: "a",
    port: 8080,
    rank: 1,
    excluded: "unhealthy",
  }));

const sets: readonly { name: string; set: PolicySet; allowed: boolean; text: string }[] = [
  { name: "no policy", set: { policies: [], missing: [] }, allowed: true, text: "allowed: no ALLOW policy applies" },
  {
    name: "an ALLOW that allows nobody",
    set: { policies: [nobody], missing: [] },
    allowed: false,
    text: "allow policies exist, but none allowed: ns/nobody",
  },
  {
    name: "a policy that has not arrived",
    set: { policies: [], missing: ["ns/late"] },
    allowed: false,
    text: "denied: policy ns/late applies to this workload but has not been received, or could not be read",
  },
];
for (const { name, set, allowed, text } of sets)
  test(`verdict: ${name}`, () => {
    const verdict = explainVerdict(set, subject);
    assert.deepEqual([verdict.allowed, verdict.text, verdict.missing], [allowed, text, set.missing]);
    assert.deepEqual(
      verdict.policies,
      set.policies.map(() => ({ policy: "ns/nobody", action: "ALLOW", dryRun: false, rule: undefined, rules: 0 })),
    );
  });
