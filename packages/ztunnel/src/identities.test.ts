// Is a certificate kept for exactly as long as a pod of its identity is served?

import assert from "node:assert/strict";
import { test } from "node:test";
import { spiffeId } from "@ambit/shared/identity/spiffe.ts";
import { createIdentities } from "./identities.ts";

test("test_prefetch_forget_certs: fetched for the first pod of an identity, forgotten with the last", () => {
  const calls: string[] = [];
  const identities = createIdentities({
    warm: (id) => void calls.push(`warm ${id.serviceAccount}`),
    forget: (id) => void calls.push(`forget ${id.serviceAccount}`),
  });
  const a = () => spiffeId("cluster.local", "ns", "a");
  const first = identities.hold(a());
  const second = identities.hold(a());
  const other = identities.hold(spiffeId("cluster.local", "ns", "b"));
  first[Symbol.dispose]();
  first[Symbol.dispose](); // once only
  assert.deepEqual(calls, ["warm a", "warm b"]);
  other[Symbol.dispose]();
  second[Symbol.dispose]();
  assert.deepEqual(calls, ["warm a", "warm b", "forget b", "forget a"]);
  identities.hold(a());
  assert.equal(calls.at(-1), "warm a");
});
