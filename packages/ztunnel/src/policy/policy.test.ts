// Does a policy push end the connections that it denies, and no others?

import assert from "node:assert/strict";
import { test } from "node:test";
import { EMPTY_MATCH, type Policy } from "@ambit/shared/authz/types.ts";
import type { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import { spiffeId } from "@ambit/shared/identity/spiffe.ts";
import { createLive } from "@ambit/shared/live/store.ts";
import { aWorkload, ip } from "@ambit/shared/state/fixtures.ts";
import { createMeshStore } from "@ambit/shared/state/store.ts";
import type { InboundConnection } from "../pod.ts";
import { dryRunFindings } from "./dry-run.ts";
import { recheck } from "./watch.ts";

const server = aWorkload("server", "10.0.0.2");
const subjectOf = (account: string) => ({
  identity: spiffeId("cluster.local", "ns", account),
  sourceIp: ip("10.0.0.1"),
  destinationIp: ip("10.0.0.2"),
  destinationPort: 80,
});
const policy = (name: string, action: Policy["action"], account: string, over: Partial<Policy> = {}): Policy => ({
  namespace: "ns",
  name,
  scope: "NAMESPACE",
  action,
  dryRun: false,
  rules: [{ clauses: [{ matches: [{ ...EMPTY_MATCH, principals: [{ kind: "exact", value: `cluster.local/ns/ns/sa/${account}` }] }] }] }],
  ...over,
});

const setup = () => {
  const store = createMeshStore();
  store.commit([{ kind: "workload", workload: server }]);
  const live = createLive<InboundConnection>();
  const ended = new Map<string, MeshError>();
  for (const account of ["a", "b"]) {
    const from = { ip: ip("10.0.0.1"), port: 1 };
    const info = { workload: server, subject: subjectOf(account), from, to: from, protocol: "HBONE" as const };
    live.track(info, (reason) => ended.set(account, reason));
  }
  return { store, live, ended };
};

test("policy_watcher_lifecycle: only what is denied now is ended, and it is told why", () => {
  const { store, live, ended } = setup();
  recheck(store.view, live);
  assert.equal(ended.size, 0);
  store.commit([{ kind: "policy", policy: policy("p", "DENY", "a") }]);
  recheck(store.view, live);
  assert.deepEqual([...ended.keys()], ["a"]);
  assert.equal(ended.get("a")?.code, "DENY_LATE");
  assert.equal(ended.get("a")?.message, "connection closed due to policy change: explicitly denied by: ns/p (rule 0)");
});

test("a workload that now names a policy which has not arrived loses its connections", () => {
  const { store, live, ended } = setup();
  store.commit([{ kind: "workload", workload: { ...server, authorizationPolicies: ["ns/late"] } }]);
  recheck(store.view, live);
  assert.deepEqual([...ended.keys()], ["a", "b"]);
});

test("a workload that is known no more keeps the policies it had", () => {
  const { store, live, ended } = setup();
  store.commit([{ kind: "remove-address", name: server.uid }]);
  recheck(store.view, live);
  assert.equal(ended.size, 0);
  store.commit([{ kind: "policy", policy: policy("p", "ALLOW", "b") }]);
  recheck(store.view, live);
  assert.deepEqual([...ended.keys()], ["a"]);
});

const dry = { dryRun: true };
const findings = [
  { name: "nothing is tried", policies: [policy("p", "DENY", "a")], expect: [] },
  { name: "a deny that matches", policies: [policy("p", "DENY", "a", dry)], expect: ["dry-run: deny policy match ns/p"] },
  { name: "a deny that does not match", policies: [policy("p", "DENY", "b", dry)], expect: [] },
  { name: "an allow that matches", policies: [policy("p", "ALLOW", "a", dry)], expect: ["dry-run: allow policy match ns/p"] },
  {
    name: "allows of which none matches",
    policies: [policy("p", "ALLOW", "b", dry), policy("q", "ALLOW", "c", dry)],
    expect: ["dry-run: allow policy no match ns/p", "dry-run: allow policy no match ns/q"],
  },
  {
    name: "one allow matching is enough",
    policies: [policy("p", "ALLOW", "b", dry), policy("q", "ALLOW", "a", dry)],
    expect: ["dry-run: allow policy match ns/q"],
  },
];
for (const c of findings)
  test(`dry_run: ${c.name}`, () =>
    assert.deepEqual(
      dryRunFindings({ policies: c.policies, missing: [] }, subjectOf("a")).map((f) => `${f.message} ${f.policy}`),
      c.expect,
    ));
