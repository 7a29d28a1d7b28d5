// Is a list read as OpenSSL reads it, and nothing that is half a list?

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { unwrap } from "../runtime/result.ts";
import { parseCrl, parseCrls, signedBy } from "./crl.ts";
import { createCrl } from "./crl-issue.ts";
import { fromPem } from "./der.ts";
import { createIntermediate, createKey, createRoot, issueLeaf } from "./issue.ts";
import { namesOf, revocationIndex, revocationOf } from "./revocation.ts";

const HOUR = 3_600_000;
const NOW = Date.UTC(2026, 5, 1);
const span = { notBefore: NOW - HOUR, notAfter: NOW + HOUR };
const root = createRoot({ ...span, organization: "cluster.local" });
const other = createRoot({ ...span, organization: "cluster.local" }); // the same name, another key: a rotated root
const between = createIntermediate(root, { ...span, organization: "cluster.local", commonName: "Intermediate" });
const leafOf = (ca: typeof root) =>
  issueLeaf(ca, { ...span, publicKey: createKey().publicKey, uris: ["spiffe://cluster.local/ns/a/sa/b"] });
const der = (pem: string): Uint8Array => new X509Certificate(pem).raw;
const serial = (pem: string): string => new X509Certificate(pem).serialNumber;
const list = (ca: typeof root, ...serials: string[]): string =>
  createCrl(ca, { revoked: serials.map((s) => ({ serial: s, at: NOW })), number: 7, thisUpdate: NOW, nextUpdate: NOW + HOUR });
const bytes = (...pems: string[]): Uint8Array => Buffer.from(pems.join(""));

test("what we write is what we read", () => {
  const [read] = unwrap(parseCrls(bytes(list(root, "0A", "FF01"))));
  assert.deepEqual([...(read?.revoked ?? [])], ["A", "FF01"]);
  assert.deepEqual([read?.thisUpdate, read?.nextUpdate], [NOW, NOW + HOUR]);
  assert.equal(read?.issuer, unwrap(namesOf(der(root.certPem))).subject);
  assert.ok(read !== undefined && signedBy(read, new X509Certificate(root.certPem)));
  assert.ok(!signedBy(read, new X509Certificate(other.certPem)));
});

const files: { name: string; file: Uint8Array; want: number | RegExp }[] = [
  { name: "an empty file revokes nothing", file: bytes(), want: 0 },
  { name: "white space", file: bytes("\n"), want: 0 },
  { name: "two lists", file: bytes(list(root, "01"), "a comment\n", list(between)), want: 2 },
  { name: "one list in DER", file: unwrap(fromPem(list(root, "01"), "X509 CRL")), want: 1 },
  { name: "something else", file: bytes("hello"), want: /no revocation list/ },
  { name: "a certificate", file: bytes(root.certPem), want: /no revocation list/ },
  { name: "a block that is cut off", file: bytes(list(root, "01"), list(root).slice(0, 80)), want: /cannot be read/ },
  { name: "a block that is no list", file: bytes("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"), want: /list 1 of 1/ },
  {
    name: "DER with something after it",
    file: Buffer.concat([unwrap(fromPem(list(root), "X509 CRL")), Buffer.of(0)]),
    want: /not a revocation/,
  },
];
for (const { name, file, want } of files)
  test(`file: ${name}`, () => {
    const read = parseCrls(file);
    if (typeof want === "number") assert.equal(unwrap(read).length, want);
    else assert.match(read.ok ? "read" : read.error, want);
  });

test("bytes that are no list are an error, whatever they are; a list with a changed byte never verifies", () => {
  const whole = unwrap(fromPem(list(root, "0A", "0B"), "X509 CRL"));
  const issuer = new X509Certificate(root.certPem);
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const spoiled = Uint8Array.from(whole);
      spoiled[at] = (spoiled[at] ?? 0) ^ change;
      const read = parseCrl(spoiled);
      assert.ok(!read.ok || !signedBy(read.value, issuer));
    }),
    { numRuns: 500 },
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (b) => void parseCrls(b)));
});

const leaf = leafOf(between);
const chain = [leaf, between.certPem, root.certPem].map(der);
const rootLeaf = leafOf(root);
const cases: { name: string; chain: Uint8Array[]; lists: string[]; depth: number | undefined }[] = [
  { name: "no list", chain, lists: [], depth: undefined },
  { name: "lists that name nobody", chain, lists: [list(root), list(between)], depth: undefined },
  { name: "the leaf", chain, lists: [list(between, serial(leaf))], depth: 0 },
  { name: "the intermediate", chain, lists: [list(root, serial(between.certPem))], depth: 1 },
  { name: "the status of an issuer without a list is unknown and passes", chain, lists: [list(root, "0123")], depth: undefined },
  { name: "the leaf's serial in another issuer's list", chain, lists: [list(root, serial(leaf))], depth: undefined },
  { name: "two lists of one issuer", chain, lists: [list(between, "01"), list(between, serial(leaf))], depth: 0 },
  {
    name: "a list of the same name signed with another key",
    chain: [rootLeaf, root.certPem].map(der),
    lists: [list(other, serial(rootLeaf))],
    depth: undefined,
  },
  {
    name: "a root in its own list stays",
    chain: [rootLeaf, root.certPem].map(der),
    lists: [list(root, serial(root.certPem))],
    depth: undefined,
  },
];
for (const c of cases)
  test(`revoked: ${c.name}`, () => {
    const index = revocationIndex(unwrap(parseCrls(bytes(...c.lists))));
    assert.equal(unwrap(revocationOf(c.chain, index))?.depth, c.depth);
  });

test("a chain that cannot be read is an error", () => {
  assert.ok(!revocationOf([], revocationIndex([])).ok);
  assert.ok(!revocationOf([Buffer.from([0x30, 0])], revocationIndex([])).ok);
});

test("openssl reads our list, and we read openssl's", () => {
  const dir = mkdtempSync(join(tmpdir(), "ambit-crl-"));
  try {
    const at = (name: string, text = ""): string => {
      if (text !== "") writeFileSync(join(dir, name), text);
      return join(dir, name);
    };
    const openssl = (...args: string[]): string =>
      execFileSync("openssl", args, { cwd: dir, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
    at("root.pem", root.certPem);
    at("root.key", root.keyPem);
    const shown = openssl("crl", "-in", at("ours.pem", list(root, "0A0B")), "-noout", "-text", "-CAfile", "root.pem");
    assert.match(shown, /Serial Number: 0A0B/);
    assert.match(shown, /X509v3 CRL Number: *\n *7/);
    at("index.txt", " ");
    writeFileSync(join(dir, "index.txt"), `R\t360101000000Z\t260101000000Z\tABCDEF\tunknown\t/O=x\n`);
    at("number", "01\n");
    at(
      "ca.cnf",
      "[ca]\ndefault_ca=a\n[a]\ndatabase=index.txt\ncrlnumber=number\ndefault_md=sha256\ndefault_crl_days=7\ncrl_extensions=e\n[e]\nauthorityKeyIdentifier=keyid\n",
    );
    openssl("ca", "-config", "ca.cnf", "-gencrl", "-cert", "root.pem", "-keyfile", "root.key", "-out", "theirs.pem");
    const [theirs] = unwrap(parseCrls(readFileSync(join(dir, "theirs.pem"))));
    assert.deepEqual([...(theirs?.revoked ?? [])], ["ABCDEF"]);
    assert.ok(theirs !== undefined && signedBy(theirs, new X509Certificate(root.certPem)));
    assert.equal(theirs.issuerKeyId, unwrap(parseCrls(bytes(list(root))))[0]?.issuerKeyId);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
