// SPIFFE ids: only Istio's shape is an identity.
import assert from "node:assert/strict";
import { test } from "node:test";
import { unwrap } from "../runtime/result.ts";
import { parseSpiffeId, principal, spiffeId } from "./spiffe.ts";

test("prints and parses", () => {
  const id = spiffeId("cluster.local", "shop", "web");
  assert.deepEqual(unwrap(parseSpiffeId(id.uri)), id);
  assert.equal(principal(id), "cluster.local/ns/shop/sa/web");
});

for (const bad of [
  "",
  "cluster.local/ns/a/sa/b",
  "spiffe://td/ns/a",
  "spiffe://td/ns/a/sa/b/c",
  "spiffe:///ns/a/sa/b",
  "https://td/ns/a/sa/b",
  "spiffe://td/sa/b/ns/a",
])
  test(`refuses ${JSON.stringify(bad)}`, () => assert.equal(parseSpiffeId(bad).ok, false));
