// Is a CA that an operator brings taken whole, or refused with what is wrong?

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { spiffeId } from "@ambit/shared/identity/spiffe.ts";
import { unwrap } from "@ambit/shared/runtime/result.ts";
import { createIntermediate, createKey, createRoot } from "@ambit/shared/tls/issue.ts";
import { type Authority, pluggedAuthority } from "./authority.ts";
import { signWorkload } from "./sign.ts";

const HOUR = 3_600_000;
const NOW = Date.UTC(2026, 5, 1);
const span = { notBefore: NOW - HOUR, notAfter: NOW + 100 * HOUR };
const root = createRoot({ ...span, organization: "corp", commonName: "root" });
const other = createRoot({ ...span, organization: "corp", commonName: "other" });
const between = createIntermediate(root, { ...span, organization: "corp", commonName: "between", notAfter: NOW + 50 * HOUR });
/** createIntermediate forbids CAs below it; that is for peers to enforce, and here a second level is all that is wanted. */
const signer = createIntermediate(between, { ...span, organization: "corp", commonName: "signer" });
const files = (over: object = {}) => ({
  caCert: signer.certPem,
  caKey: signer.keyPem,
  certChain: signer.certPem + between.certPem,
  rootCert: root.certPem,
  ...over,
});
const plug = (over: object = {}) => pluggedAuthority(files(over), NOW);
const names = (a: Authority) =>
  [a.chainPem, a.rootsPem].map((pems) => pems.map((p) => /CN=(\w+)/.exec(new X509Certificate(p).subject)?.[1]));

const good: { name: string; over: object; chain: string[]; roots: string[]; end: number }[] = [
  { name: "with its chain", over: {}, chain: ["signer", "between"], roots: ["root"], end: NOW + 50 * HOUR },
  {
    name: "in any order, with the root in the chain",
    over: { certChain: root.certPem + between.certPem + signer.certPem },
    chain: ["signer", "between"],
    roots: ["root"],
    end: NOW + 50 * HOUR,
  },
  {
    name: "two roots: an overlap; the signer's first",
    over: { rootCert: other.certPem + root.certPem },
    chain: ["signer", "between"],
    roots: ["root", "other"],
    end: NOW + 50 * HOUR,
  },
  {
    name: "a root that signs itself",
    over: { caCert: root.certPem, caKey: root.keyPem, certChain: "" },
    chain: [],
    roots: ["root"],
    end: NOW + 100 * HOUR,
  },
  {
    name: "one level, no chain file",
    over: { caCert: between.certPem, caKey: between.keyPem, certChain: "" },
    chain: ["between"],
    roots: ["root"],
    end: NOW + 50 * HOUR,
  },
];
for (const c of good)
  test(`cacerts: ${c.name}`, () => {
    const a = unwrap(plug(c.over));
    assert.deepEqual([...names(a), a.notAfter], [c.chain, c.roots, c.end]);
  });

const bad: { name: string; over: object; says: RegExp }[] = [
  { name: "a gap", over: { certChain: signer.certPem }, says: /does not lead from ca-cert.pem to a root.*no issuer of O=corp, CN=signer/ },
  { name: "another root", over: { rootCert: other.certPem }, says: /does not lead/ },
  {
    name: "a root that is not held",
    over: { caCert: root.certPem, caKey: root.keyPem, rootCert: other.certPem },
    says: /leads to a root that root-cert.pem does not hold/,
  },
  { name: "another's key", over: { caKey: between.keyPem }, says: /ca-key.pem is not the key/ },
  { name: "no roots", over: { rootCert: "x" }, says: /root-cert.pem: the bundle has no certificate/ },
];
for (const c of bad)
  test(`cacerts refused: ${c.name}`, () => {
    const r = plug(c.over);
    assert.match(r.ok ? "ok" : r.error, c.says);
  });

test("a chain of which one part has ended is refused", () => {
  const r = pluggedAuthority(files(), NOW + 51 * HOUR);
  assert.match(r.ok ? "ok" : r.error, /has ended/);
});

test("an answer is the leaf, what leads to the root, and the roots as its last element", () => {
  const authority = unwrap(plug({ rootCert: other.certPem + root.certPem }));
  const identity = spiffeId("cluster.local", "ns", "a");
  const chain = signWorkload(authority, { publicKey: createKey().publicKey, identity, ...span });
  assert.equal(chain.length, 4);
  assert.ok(new X509Certificate(chain[0] ?? "").verify(new X509Certificate(signer.certPem).publicKey));
  assert.equal(chain.at(-1), root.certPem + other.certPem);
});
