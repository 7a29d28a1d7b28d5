// Does the cluster keep its keys and certificates, and make anew only what no longer holds?

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { openPki } from "./store.ts";

const DAY = 86_400_000;
const NOW = Date.UTC(2026, 0, 1);

const inDir = (t: TestContext) => {
  const dir = mkdtempSync(join(tmpdir(), "ambit-pki-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const open = (over: { now?: number; dnsNames?: string[] } = {}) =>
    openPki({ dir, now: NOW, dnsNames: ["kubernetes"], addresses: ["10.96.0.1", "fd00:96::1"], ...over });
  return { dir, open };
};

test("the server's certificate is signed by the CA, names what it serves, and is for serving only", (t) => {
  const { open, dir } = inDir(t);
  const pki = open();
  const [ca, server] = [new X509Certificate(pki.caPem), new X509Certificate(pki.server.certificatePem)];
  assert.deepEqual([ca.ca, ca.subject, server.checkIssued(ca), server.verify(ca.publicKey)], [true, "CN=ambit-ca", true, true]);
  assert.deepEqual([server.checkHost("kubernetes"), server.checkIP("10.96.0.1")], ["kubernetes", "10.96.0.1"]);
  assert.deepEqual(server.keyUsage, ["1.3.6.1.5.5.7.3.1"]);
  for (const file of ["ca.key", "ca.crt", "server.key", "sa.key"]) assert.equal(statSync(join(dir, file)).mode & 0o777, 0o600, file);
});

test("a client's certificate says user and groups", (t) => {
  const pki = inDir(t).open();
  const admin = new X509Certificate(pki.client("admin", "kubernetes-admin", ["system:masters", "other"]).certificatePem);
  assert.equal(admin.subject, "O=system:masters\nO=other\nCN=kubernetes-admin");
  assert.deepEqual(admin.keyUsage, ["1.3.6.1.5.5.7.3.2"]);
});

test("what still holds is kept over a restart", (t) => {
  const { open } = inDir(t);
  const [first, second] = [open(), open({ now: NOW + 200 * DAY })];
  assert.equal(second.caPem, first.caPem);
  assert.deepEqual(second.server, first.server);
  assert.deepEqual(second.tokenKey.export({ format: "jwk" }), first.tokenKey.export({ format: "jwk" }));
});

const renewals = [
  { name: "another name", over: { dnsNames: ["kubernetes.default"] } },
  { name: "a third of its life left", over: { now: NOW + 260 * DAY } },
];
for (const { name, over } of renewals)
  test(`made anew with its old key: ${name}`, (t) => {
    const { open } = inDir(t);
    const [first, second] = [open(), open(over)];
    assert.notEqual(second.server.certificatePem, first.server.certificatePem);
    assert.equal(second.server.keyPem, first.server.keyPem);
    assert.equal(second.caPem, first.caPem);
  });

test("an authority without its key is replaced, and all it signed with it", (t) => {
  const { open, dir } = inDir(t);
  const first = open();
  rmSync(join(dir, "ca.key"));
  const second = open();
  assert.notEqual(second.caPem, first.caPem);
  assert.ok(new X509Certificate(second.server.certificatePem).verify(new X509Certificate(second.caPem).publicKey));
});
