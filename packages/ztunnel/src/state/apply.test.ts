// Does a policy that cannot be read deny where it would have held, and only there, and only until it is gone?

import assert from "node:assert/strict";
import { test } from "node:test";
import { authorize, policiesFor, verdictText } from "@ambit/shared/authz/authorize.ts";
import type { Policy } from "@ambit/shared/authz/types.ts";
import { unwrap } from "@ambit/shared/runtime/result.ts";
import { aWorkload, ip } from "@ambit/shared/state/fixtures.ts";
import type { StateUpdate } from "@ambit/shared/state/store.ts";
import { encodeAuthorization } from "@ambit/shared/wire/authorization.ts";
import { AUTHORIZATION_TYPE } from "@ambit/shared/wire/types.ts";
import { createStateFeed } from "./feed.ts";
import { createMeshMirror } from "./mirror.ts";

const policy = (over: Partial<Policy> = {}): Policy => ({
  namespace: "ns",
  name: "p",
  scope: "NAMESPACE",
  action: "DENY",
  dryRun: false,
  rules: [],
  ...over,
});
const good = (p: Policy): Uint8Array => unwrap(encodeAuthorization(p));
/** A field of a newer controller at the end. */
const newer = (p: Policy): Uint8Array => Buffer.concat([good(p), Buffer.from("c20c03616263", "hex")]);

const subject = { identity: undefined, sourceIp: ip("10.0.0.1"), destinationIp: ip("10.0.0.2"), destinationPort: 80 };
const setup = () => {
  const feed = createStateFeed();
  const state = createMeshMirror();
  feed.subscribe(state.apply);
  const told: StateUpdate["kind"][][] = [];
  state.onCommit((updates) => told.push(updates.map((u) => u.kind)));
  const type = feed.types.find((t) => t.typeUrl === AUTHORIZATION_TYPE);
  assert.ok(type !== undefined);
  return {
    told,
    send: (name: string, value: Uint8Array) => type.apply({ upserts: [{ name, version: "1", value, aliases: [] }], removed: [] }).rejected,
    remove: (name: string) => type.apply({ upserts: [], removed: [name] }).rejected,
    /** The verdict for a workload of the namespace that names these policies. */
    verdict: (namespace: string, named: string[] = []) =>
      authorize(policiesFor(state.view, aWorkload("w", "10.0.0.2", { namespace, authorizationPolicies: named })), subject),
  };
};

const REFUSED = { allowed: false, why: "missing-policy", policy: "ns/p" };
const PASSES = { allowed: true, why: "no-allow-policies" };

test("a namespace's policy that cannot be read denies the namespace, until a good version comes", () => {
  const t = setup();
  assert.deepEqual(
    t.send("ns/p", newer(policy())).map((r) => r.name),
    ["ns/p"],
  );
  assert.deepEqual(t.verdict("ns"), REFUSED);
  assert.match(verdictText(t.verdict("ns")), /policy ns\/p .*could not be read/);
  assert.deepEqual(t.verdict("other"), PASSES);
  assert.deepEqual(t.send("ns/p", good(policy())), []);
  assert.deepEqual(t.verdict("ns"), PASSES);
});

test("a mesh-wide one, or one that hides its scope, denies everywhere, until it is removed", () => {
  for (const bytes of [newer(policy({ scope: "GLOBAL" })), Buffer.from("0aff", "hex")]) {
    const t = setup();
    t.send("ns/p", bytes);
    assert.deepEqual([t.verdict("ns"), t.verdict("other")], [REFUSED, REFUSED]);
    t.remove("ns/p");
    assert.deepEqual([t.verdict("ns"), t.verdict("other")], [PASSES, PASSES]);
  }
});

test("one with a selector denies the workloads that name it", () => {
  const t = setup();
  t.send("ns/p", newer(policy({ scope: "WORKLOAD_SELECTOR" })));
  assert.deepEqual([t.verdict("ns"), t.verdict("ns", ["ns/p"])], [PASSES, REFUSED]);
});

test("one that is only tried out denies nobody", () => {
  const t = setup();
  t.send("ns/p", newer(policy({ dryRun: true, scope: "GLOBAL" })));
  assert.deepEqual(t.verdict("ns"), PASSES);
});

test("an earlier good version stays in force when the next one cannot be read", () => {
  const t = setup();
  t.send("ns/p", good(policy()));
  t.send("ns/p", newer(policy({ scope: "GLOBAL" })));
  assert.deepEqual([t.verdict("ns"), t.verdict("other")], [PASSES, PASSES]);
  t.remove("ns/p");
  t.send("ns/p", newer(policy()));
  assert.deepEqual(t.verdict("ns"), REFUSED, "removed in between: there is no earlier version any more");
});

test("those who watch are told of a refusal, so that live connections are asked again", () => {
  const t = setup();
  t.send("ns/p", newer(policy()));
  assert.deepEqual(t.told, [["refuse-policy"]]);
});
