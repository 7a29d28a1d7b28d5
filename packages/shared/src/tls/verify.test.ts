// Who passes for whom, and when?

import assert from "node:assert/strict";
import { test } from "node:test";
import { spiffeId } from "../identity/spiffe.ts";
import { verifyExpected, verifyTime, verifyTrustDomain } from "./verify.ts";

const id = (td: string, sa: string) => spiffeId(td, "ns", sa);
const cert = (...uris: string[]) => ({ uris });
const a = id("cluster.local", "a");

const table: { name: string; got: { ok: boolean }; ok: boolean }[] = [
  { name: "the expected one", got: verifyExpected(cert(a.uri), [id("cluster.local", "b"), a]), ok: true },
  { name: "another", got: verifyExpected(cert(a.uri), [id("cluster.local", "b")]), ok: false },
  { name: "nobody is expected", got: verifyExpected(cert(a.uri), []), ok: false },
  { name: "no id", got: verifyExpected(cert(), [a]), ok: false },
  { name: "two ids, one expected", got: verifyExpected(cert(a.uri, id("cluster.local", "b").uri), [a]), ok: false },
  { name: "a longer path", got: verifyExpected(cert(`${a.uri}/x`), [a]), ok: false },
  { name: "our trust domain", got: verifyTrustDomain(cert(a.uri), ["cluster.local"]), ok: true },
  { name: "another trust domain", got: verifyTrustDomain(cert(id("evil", "a").uri), ["cluster.local"]), ok: false },
  { name: "a suffix of our trust domain", got: verifyTrustDomain(cert(id("x.cluster.local", "a").uri), ["cluster.local"]), ok: false },
  { name: "other case", got: verifyTrustDomain(cert(id("CLUSTER.LOCAL", "a").uri), ["cluster.local"]), ok: false },
  { name: "before its time", got: verifyTime({ notBefore: 10, notAfter: 20 }, 9), ok: false },
  { name: "at its start", got: verifyTime({ notBefore: 10, notAfter: 20 }, 10), ok: true },
  { name: "at its end", got: verifyTime({ notBefore: 10, notAfter: 20 }, 20), ok: false },
];

for (const c of table) test(c.name, () => assert.equal(c.got.ok, c.ok));
