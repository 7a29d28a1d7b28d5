// Are identities known under every name of the trust domain, and is a malformed name refused with all others?

import assert from "node:assert/strict";
import { test } from "node:test";
import { expandAliases, trustDomains } from "./aliases.ts";
import { spiffeId } from "./spiffe.ts";

const uris = (domain: string, names: string[]) => expandAliases([spiffeId(domain, "ns", "a")], names).map((i) => i.uri);
const uri = (domain: string) => spiffeId(domain, "ns", "a").uri;

test("one of ours is known under every name, once; a stranger stays himself; without aliases nothing changes", () => {
  assert.deepEqual(uris("new", ["new", "old"]), [uri("new"), uri("old")]);
  assert.deepEqual(uris("old", ["new", "old"]), [uri("old"), uri("new")]);
  assert.deepEqual(uris("evil", ["new", "old"]), [uri("evil")]);
  assert.deepEqual(uris("new", ["new"]), [uri("new")]);
});

test("names are read all or none", () => {
  assert.deepEqual(trustDomains("a.b, c,,a.b"), { ok: true, value: ["a.b", "c"] });
  for (const bad of ["a,*", "a/b", "A", "a b", ".a", "spiffe://a"]) assert.ok(!trustDomains(bad).ok, bad);
});
