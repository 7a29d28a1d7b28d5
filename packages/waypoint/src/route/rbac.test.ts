// Are policies asked about what a waypoint really knows of a request?

import assert from "node:assert/strict";
import { test } from "node:test";
import { authorize } from "@ambit/shared/authz/authorize.ts";
import { EMPTY_MATCH, type Match } from "@ambit/shared/authz/types.ts";
import { ip } from "@ambit/shared/state/fixtures.ts";
import fc from "fast-check";
import { CLIENT, owned, policy, VIP } from "../test/rig.ts";
import { httpSubject, policySet, tcpPolicySet, tcpSubject } from "./rbac.ts";

const caller = { peer: CLIENT, source: { ip: ip("10.244.1.7"), port: 1 }, destination: { ip: VIP, port: 80 } };
const rule = (m: Partial<Match>) => ({ clauses: [{ matches: [{ ...EMPTY_MATCH, ...m }] }] });
const get = { methods: [{ kind: "exact" as const, value: "GET" }] };
const notAdmin = { notPaths: [{ kind: "prefix" as const, value: "/admin" }] };
const namespaces = [{ kind: "exact" as const, value: "shop" }];

test("an opaque connection: an ALLOW rule that asks for HTTP is dropped, a DENY rule loses that condition", () => {
  const allowed = (action: "ALLOW" | "DENY", m: Partial<Match>) =>
    authorize(tcpPolicySet(owned({ policies: [policy({ action, rules: [rule(m)] })] })), tcpSubject(caller)).allowed;
  assert.equal(allowed("ALLOW", { namespaces }), true);
  assert.equal(allowed("ALLOW", { namespaces, ...get }), false);
  assert.equal(allowed("ALLOW", { namespaces, ...notAdmin }), false);
  assert.equal(allowed("DENY", { namespaces, ...get }), false);
  assert.equal(allowed("DENY", { notNamespaces: namespaces, ...get }), true);
  assert.equal(allowed("DENY", get), false);
});

test("an opaque connection passes only if it would pass whatever its HTTP attributes were", () => {
  const texts = (...values: string[]) =>
    fc.array(fc.record({ kind: fc.constantFrom("exact" as const, "prefix" as const), value: fc.constantFrom(...values) }), {
      maxLength: 2,
    });
  const header = fc.record({ name: fc.constantFrom("x", "y"), values: texts("1", "2"), notValues: texts("1", "2") });
  const partial = fc.record(
    {
      namespaces: texts("shop", "other"),
      notNamespaces: texts("shop", "other"),
      destinationPorts: fc.subarray([80, 81]),
      methods: texts("GET", "POST"),
      notMethods: texts("GET", "POST"),
      paths: texts("/a", "/b"),
      notPaths: texts("/a", "/b"),
      hosts: texts("reviews", "other"),
      notHosts: texts("reviews"),
      headers: fc.array(header, { maxLength: 1 }),
    },
    { requiredKeys: [] },
  );
  const clause = fc.array(partial, { maxLength: 2 }).map((list) => ({ matches: list.map((m) => ({ ...EMPTY_MATCH, ...m })) }));
  const anyPolicy = fc
    .record({
      action: fc.constantFrom("ALLOW" as const, "DENY" as const),
      rules: fc.array(fc.array(clause, { maxLength: 2 }), { maxLength: 2 }),
    })
    .map((p) => policy({ action: p.action, rules: p.rules.map((clauses) => ({ clauses })) }));
  const request = fc.record({
    method: fc.constantFrom("GET", "POST", "PUT"),
    path: fc.constantFrom("/a", "/b/c", "/"),
    authority: fc.constantFrom("reviews", "other"),
    headers: fc.constantFrom<[string, string][]>([], [["x", "1"]], [["y", "2"]]),
  });
  fc.assert(
    fc.property(fc.array(anyPolicy, { maxLength: 3 }), request, (policies, r) => {
      const s = owned({ policies });
      if (authorize(tcpPolicySet(s), tcpSubject(caller)).allowed) assert.ok(authorize(policySet(s), httpSubject(caller, r)).allowed);
    }),
    { numRuns: 3_000 },
  );
});

test("a policy that could not be compiled denies", () => {
  const verdict = authorize(tcpPolicySet(owned({ brokenPolicies: [{ key: "shop/x", reason: "r" }] })), tcpSubject(caller));
  assert.deepEqual(verdict, { allowed: false, why: "missing-policy", policy: "shop/x" });
});

test("what policies are asked: normalised path without query, host in lower case, values of one name joined", () => {
  const s = httpSubject(caller, {
    method: "GET",
    path: "/a/../b?c=/d",
    authority: "Reviews",
    headers: [
      ["x", "1"],
      ["x", "2"],
    ],
  });
  assert.deepEqual([s.http?.path, s.http?.host, s.http?.headers.x, s.http?.headers.host], ["/b", "reviews", "1,2", "Reviews"]);
  assert.equal(s.http?.headers.constructor, undefined);
});
