// Is every root known before it is met, and trusted until nothing of it is left?

import assert from "node:assert/strict";
import { test } from "node:test";
import { ANNOTATION, KEYS } from "@ambit/shared/ca/root-secret.ts";
import type { Secret } from "@ambit/shared/kube/objects/core.ts";
import { unwrap } from "@ambit/shared/runtime/result.ts";
import { createKey, createRoot, issueLeaf } from "@ambit/shared/tls/issue.ts";
import { readRevoked, readRootState, refusedWish, withRootState } from "./root-secret.ts";
import { type RootState, type RotationSettings, rotationDue, rotationStep, trustedRoots } from "./rotation.ts";

const HOUR = 3_600_000;
const NOW = Date.UTC(2026, 5, 1);
const span = { notBefore: NOW, notAfter: NOW + 1000 * HOUR };
const rootOf = (over: object = {}) => ({ ...createRoot({ ...span, organization: "cluster.local", ...over }), ...span });
const [one, two] = [rootOf(), rootOf()];
const settings: RotationSettings = { introduceMs: 24 * HOUR, retireMs: 90 * HOUR, gracePercent: 20 };
const steady: RootState = {
  signer: { certPem: one.certPem, keyPem: one.keyPem },
  ...span,
  phase: { kind: "steady" },
  asked: "",
  answered: "",
  introduceMs: undefined,
  retireMs: undefined,
};
const secretOf = (s: RootState, annotations: Record<string, string> = {}): Secret => {
  const { metadata, ...rest } = withRootState({ metadata: { namespace: "istio-system", name: "istio-ca-secret" } }, s);
  return { ...rest, metadata: { ...metadata, annotations: { ...metadata.annotations, ...annotations } } };
};
const step = (s: RootState, now: number) => rotationStep(s, { now, settings, makeRoot: () => two });
const pems = (s: RootState) => trustedRoots(s).map((p) => (p === one.certPem ? 1 : p === two.certPem ? 2 : 0));

test("asked for: introduced, switched to, and the old one dropped, each when its time has come and not before", () => {
  assert.equal(step(steady, NOW), undefined);
  const asked = { ...steady, asked: "a" };
  const introducing = step(asked, NOW)?.state;
  assert.ok(introducing?.phase.kind === "introducing");
  assert.deepEqual([introducing.phase.until, pems(introducing), introducing.signer.certPem], [NOW + 24 * HOUR, [1, 2], one.certPem]);
  assert.equal(step(introducing, NOW + 24 * HOUR - 1), undefined);
  const retiring = step(introducing, NOW + 24 * HOUR)?.state;
  assert.ok(retiring?.phase.kind === "retiring");
  assert.deepEqual([retiring.phase.until, pems(retiring), retiring.signer.certPem], [NOW + 114 * HOUR, [2, 1], two.certPem]);
  assert.equal(step(retiring, NOW + 114 * HOUR - 1), undefined);
  const done = step(retiring, NOW + 114 * HOUR)?.state;
  assert.ok(done?.phase.kind === "steady");
  assert.deepEqual(pems(done), [2]);
  assert.equal(step(done, NOW + 114 * HOUR), undefined, "what was asked for once is done once");
});

test("an operator's own times, also none at all for a key that is known to others", () => {
  const s = { ...steady, asked: "now", introduceMs: 0, retireMs: 5 };
  const introducing = step(s, NOW)?.state ?? assert.fail();
  const retiring = step(introducing, NOW)?.state ?? assert.fail();
  assert.ok(retiring.phase.kind === "retiring" && retiring.phase.until === NOW + 5);
});

test("by itself, when a fifth of its life is left", () => {
  assert.equal(rotationDue(steady, settings), NOW + 800 * HOUR);
  assert.equal(step(steady, NOW + 800 * HOUR - 1), undefined);
  assert.equal(step(steady, NOW + 800 * HOUR)?.why, "the root nears its end");
  assert.equal(rotationStep(steady, { now: NOW + 999 * HOUR, settings: { ...settings, gracePercent: 0 }, makeRoot: () => two }), undefined);
});

test("every state survives its Secret", () => {
  let s: RootState = { ...steady, asked: "a" };
  for (const now of [NOW, NOW + 24 * HOUR, NOW + 114 * HOUR]) {
    s = step(s, now)?.state ?? assert.fail();
    const read = unwrap(readRootState(secretOf(s, { [ANNOTATION.asked]: "a" }), NOW));
    assert.deepEqual({ ...read, notBefore: 0, notAfter: 0 }, { ...s, notBefore: 0, notAfter: 0 });
    assert.deepEqual(pems(read), pems(s));
  }
});

test("what else the Secret holds stays; what a phase no longer needs goes", () => {
  const introducing = step({ ...steady, asked: "a" }, NOW)?.state ?? assert.fail();
  const before = { ...secretOf(introducing), data: { ...secretOf(introducing).data, other: "eA==" } };
  const after = withRootState(before, steady);
  assert.deepEqual(Object.keys(after.data ?? {}).sort(), [KEYS.cert, KEYS.key, "other", KEYS.roots]);
  assert.equal(after.metadata.annotations?.[ANNOTATION.until], undefined);
});

const b64 = (s: string) => Buffer.from(s).toString("base64");
const leaf = (() => {
  const { keyPem, publicKey } = createKey();
  return { certPem: issueLeaf(one, { ...span, publicKey, uris: ["spiffe://cluster.local/ns/a/sa/b"] }), keyPem };
})();
const pair = (certPem: string, keyPem: string) => ({ "ca-cert.pem": b64(certPem), "ca-key.pem": b64(keyPem) });
const old = rootOf({ notBefore: NOW - 2 * HOUR, notAfter: NOW - HOUR });
const unreadable: { name: string; data: Record<string, string>; annotations?: Record<string, string>; says: RegExp }[] = [
  { name: "nothing", data: {}, says: /^Secret istio-system\/istio-ca-secret lacks ca-cert\.pem$/ },
  { name: "no key", data: { "ca-cert.pem": b64(one.certPem) }, says: /lacks ca-key\.pem$/ },
  { name: "no certificate", data: pair("x", "y"), says: /ca-cert\.pem is not a certificate/ },
  { name: "no key in it", data: pair(one.certPem, "y"), says: /ca-key\.pem is not a private key/ },
  { name: "another's key", data: pair(one.certPem, two.keyPem), says: /ca-key\.pem is not the key of ca-cert\.pem/ },
  { name: "a leaf", data: pair(leaf.certPem, leaf.keyPem), says: /ca-cert\.pem is not a CA's certificate/ },
  { name: "expired", data: pair(old.certPem, old.keyPem), says: /ca-cert\.pem has expired/ },
  {
    name: "a phase that is none",
    data: pair(one.certPem, one.keyPem),
    annotations: { [ANNOTATION.phase]: "x", [ANNOTATION.until]: "2026-01-01T00:00:00Z" },
    says: /root-phase is "x": want steady/,
  },
  {
    name: "a phase without its end",
    data: pair(one.certPem, one.keyPem),
    annotations: { [ANNOTATION.phase]: "retiring" },
    says: /root-phase-until is ""/,
  },
  {
    name: "introducing nothing",
    data: pair(one.certPem, one.keyPem),
    annotations: { [ANNOTATION.phase]: "introducing", [ANNOTATION.until]: "2026-01-01T00:00:00Z" },
    says: /next-ca-cert\.pem is not a certificate/,
  },
];
for (const c of unreadable)
  test(`a Secret that is not a root is said to be so, never replaced: ${c.name}`, () => {
    const secret: Secret = {
      metadata: {
        namespace: "istio-system",
        name: "istio-ca-secret",
        ...(c.annotations === undefined ? {} : { annotations: c.annotations }),
      },
      data: c.data,
    };
    const r = readRootState(secret, NOW);
    assert.match(r.ok ? "ok" : r.error, c.says);
  });

test("a wish that cannot be read is not begun, and said", () => {
  const secret = secretOf(steady, { [ANNOTATION.asked]: "a", [ANNOTATION.retire]: "soon" });
  const read = unwrap(readRootState(secret, NOW));
  assert.equal(step(read, NOW), undefined);
  assert.match(refusedWish(secret) ?? "", /rotate-root-retire is "soon": want a duration/);
});

test("revoked serial numbers, all or none", () => {
  const of = (text: string) => readRevoked({ metadata: { name: "x" }, data: { [KEYS.revoked]: b64(text) } });
  assert.deepEqual(unwrap(readRevoked({ metadata: { name: "x" } })), []);
  assert.deepEqual(unwrap(of('[{"serial":"0a","at":"2026-01-01T00:00:00Z"}]')), [{ serial: "0A", at: Date.UTC(2026, 0, 1) }]);
  for (const bad of ["{", "{}", '[{"serial":"xyz","at":"2026-01-01T00:00:00Z"}]', '[{"serial":"0a"}]', "[null]"])
    assert.ok(!of(bad).ok, bad);
});
