// Does a policy mean the same peers under every name of the trust domain, and nobody else?

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseIp } from "@ambit/shared/addr/ip.ts";
import { authorize } from "@ambit/shared/authz/authorize.ts";
import { spiffeId } from "@ambit/shared/identity/spiffe.ts";
import { unwrap } from "@ambit/shared/runtime/result.ts";
import { withAliases } from "./aliases.ts";
import { toL4Policy } from "./authorization.ts";
import { authz } from "./test/fixtures.ts";

const ip = unwrap(parseIp("10.0.0.1"));
const passes = (source: object, td: string, names: readonly string[], action: "ALLOW" | "DENY" = "ALLOW"): boolean => {
  const { policy } = toL4Policy(authz("shop", "p", { action, rules: [{ from: [{ source }] }] }), "istio-system") ?? {};
  assert.ok(policy !== undefined);
  const subject = { identity: spiffeId(td, "a", "b"), sourceIp: ip, destinationIp: ip, destinationPort: 80 };
  return authorize({ policies: [withAliases(policy, names)], missing: [] }, subject).allowed;
};

const NAMES = ["new.corp", "old.corp", "older"];
const cases: { name: string; principal: string; td: string; passes: boolean }[] = [
  { name: "its own name", principal: "new.corp/ns/a/sa/b", td: "new.corp", passes: true },
  { name: "an alias of it", principal: "new.corp/ns/a/sa/b", td: "old.corp", passes: true },
  { name: "written with the alias", principal: "old.corp/ns/a/sa/b", td: "new.corp", passes: true },
  { name: "one alias for another", principal: "old.corp/ns/a/sa/b", td: "older", passes: true },
  { name: "cluster.local is whatever the mesh is called", principal: "cluster.local/ns/a/sa/b", td: "older", passes: true },
  { name: "a stranger", principal: "new.corp/ns/a/sa/b", td: "evil", passes: false },
  { name: "written for a stranger", principal: "evil/ns/a/sa/b", td: "new.corp", passes: false },
  { name: "a prefix within", principal: "old.corp/ns/a/*", td: "new.corp", passes: true },
  { name: "a prefix of the domain alone", principal: "new*", td: "old.corp", passes: false },
  { name: "a suffix after the domain", principal: "*/ns/a/sa/b", td: "evil", passes: true },
  { name: "a suffix that ends one of the names", principal: "*corp/ns/a/sa/b", td: "older", passes: true },
  { name: "a suffix that ends none of them", principal: "*xyz/ns/a/sa/b", td: "older", passes: false },
  { name: "another account", principal: "new.corp/ns/a/sa/other", td: "old.corp", passes: false },
  { name: "a name that only begins like ours", principal: "new.corp.evil/ns/a/sa/b", td: "new.corp", passes: false },
];
for (const c of cases)
  test(`aliases: ${c.name}`, () => {
    assert.equal(passes({ principals: [c.principal] }, c.td, NAMES), c.passes);
    assert.equal(passes({ principals: [c.principal] }, c.td, NAMES, "DENY"), !c.passes);
    assert.equal(passes({ notPrincipals: [c.principal] }, c.td, NAMES), !c.passes);
  });

test("without aliases a policy stays to the letter", () => {
  assert.equal(passes({ principals: ["cluster.local/ns/a/sa/b"] }, "new.corp", ["new.corp"]), false);
});
