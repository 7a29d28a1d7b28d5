// Which services are served while pushes add, replace and remove them?
import assert from "node:assert/strict";
import { test } from "node:test";
import type { WaypointService } from "@ambit/shared/route/types.ts";
import { ip } from "@ambit/shared/state/fixtures.ts";
import { createPatterns } from "../route/regex.ts";
import { createOwnedStore } from "./owned.ts";

const service = (name: string, address: string): WaypointService => ({
  namespace: "ns",
  hostname: `${name}.ns.svc.cluster.local`,
  name,
  addresses: [{ network: "", ip: ip(address) }],
  ports: [],
  policies: [],
  brokenPolicies: [],
});
const A = "ns/a.ns.svc.cluster.local";

test("a service that is taken away is served until callers have heard of it, and not after", () => {
  let now = 0;
  const store = createOwnedStore(createPatterns(), () => now);
  store.commit([service("a", "10.0.0.1")], []);
  store.commit([], [A]);
  assert.equal(store.byAddress("", ip("10.0.0.1"))?.name, "a");
  assert.equal(store.byKey(A)?.name, "a");
  assert.equal([...store.list()].length, 0, "it is not owned any more");
  now = 15_000;
  assert.equal(store.byAddress("", ip("10.0.0.1")), undefined);
  assert.deepEqual(store.byHostname("a.ns.svc.cluster.local"), []);
  assert.equal(store.byKey(A), undefined);
});

test("an address that passes to another service is the other's at once", () => {
  const store = createOwnedStore(createPatterns(), () => 0);
  store.commit([service("a", "10.0.0.1")], []);
  store.commit([service("b", "10.0.0.1")], [A]);
  assert.equal(store.byAddress("", ip("10.0.0.1"))?.name, "b");
});

test("a service that comes back is owned again, without an end", () => {
  let now = 0;
  const store = createOwnedStore(createPatterns(), () => now);
  store.commit([service("a", "10.0.0.1")], []);
  store.commit([], [A]);
  store.commit([service("a", "10.0.0.1")], []);
  now = 1e9;
  assert.equal(store.byAddress("", ip("10.0.0.1"))?.name, "a");
});
