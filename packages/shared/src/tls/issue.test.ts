// Are certificates and requests made and read as X.509 has it, and can no name pass for another?

import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { unwrap } from "../runtime/result.ts";
import { parseBundle, parseCertificate, parseSubjectAltName, spiffeIdOf, splitPem } from "./certificate.ts";
import { createCsr } from "./csr.ts";
import { parseCsr } from "./csr-parse.ts";
import { fromPem, toPem } from "./der.ts";
import { createKey, createRoot, issueLeaf, keyMatches } from "./issue.ts";

const DAY = 86_400_000;
const start = Date.UTC(2026, 0, 1);
const root = createRoot({ organization: "cluster.local", notBefore: start, notAfter: start + 3650 * DAY });
const leafWith = (names: { uris?: string[]; dnsNames?: string[]; ips?: string[]; commonName?: string }) =>
  issueLeaf(root, { publicKey: createKey().publicKey, uris: [], notBefore: start, notAfter: start + DAY, ...names });
const uri = "spiffe://cluster.local/ns/a/sa/b";

test("a root is a CA that signed itself", () => {
  const cert = new X509Certificate(root.certPem);
  assert.equal(cert.ca, true);
  assert.equal(cert.subject, "O=cluster.local");
  assert.equal(cert.verify(cert.publicKey), true);
  assert.equal(keyMatches(root), true);
  assert.equal(keyMatches({ ...root, keyPem: createKey().keyPem }), false);
});

test("a leaf chains to its root and says who and until when", () => {
  const pem = leafWith({ uris: [uri], dnsNames: ["x.example"], ips: ["10.0.0.1", "fd00::1"] });
  const cert = unwrap(parseCertificate(pem));
  const ca = new X509Certificate(root.certPem);
  assert.equal(cert.x509.checkIssued(ca), true);
  assert.equal(cert.x509.verify(ca.publicKey), true);
  assert.equal(cert.x509.ca, false);
  assert.deepEqual(cert.uris, [uri]);
  assert.deepEqual(cert.dnsNames, ["x.example"]);
  assert.equal(cert.x509.checkIP("10.0.0.1"), "10.0.0.1");
  assert.deepEqual([cert.notBefore, cert.notAfter], [start, start + DAY]);
  assert.deepEqual(cert.x509.keyUsage, ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
  assert.equal(cert.serial, cert.x509.serialNumber);
  assert.equal(unwrap(spiffeIdOf(cert)).uri, uri);
});

test("a leaf for one use has that use alone, and carries its subject", () => {
  const request = { publicKey: createKey().publicKey, uris: [], notBefore: start, notAfter: start + DAY };
  const leaf = (usage: "server" | "client") =>
    new X509Certificate(issueLeaf(root, { ...request, commonName: "admin", organizations: ["a", "b"], usages: [usage] }));
  assert.deepEqual(leaf("server").keyUsage, ["1.3.6.1.5.5.7.3.1"]);
  assert.deepEqual(leaf("client").keyUsage, ["1.3.6.1.5.5.7.3.2"]);
  assert.equal(leaf("client").subject, "O=a\nO=b\nCN=admin");
});

test("times after 2049 are written so that they are read back", () => {
  const far = Date.UTC(2060, 5, 1);
  const pem = issueLeaf(root, { publicKey: createKey().publicKey, uris: [uri], notBefore: start, notAfter: far });
  assert.equal(unwrap(parseCertificate(pem)).notAfter, far);
});

test("an RSA authority signs too", () => {
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const keyPem = rsa.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const certPem = issueLeaf(root, {
    publicKey: rsa.publicKey,
    uris: [],
    commonName: "intermediate",
    notBefore: start,
    notAfter: start + DAY,
  });
  const leaf = unwrap(
    parseCertificate(
      issueLeaf({ certPem, keyPem }, { publicKey: createKey().publicKey, uris: [uri], notBefore: start, notAfter: start + DAY }),
    ),
  );
  assert.equal(leaf.x509.verify(rsa.publicKey), true);
});

test("no URI can pass for two names", () => {
  for (const hostile of [
    `${uri}, URI:spiffe://evil/ns/a/sa/b`,
    `"${uri}"`,
    `${uri}\\", URI:x`,
    `${uri}\u0000`,
    `x,DNS:y`,
    " ",
    "a\nb",
    "'",
  ]) {
    const cert = unwrap(parseCertificate(leafWith({ uris: [hostile], dnsNames: ["d"] })));
    assert.deepEqual([cert.uris, cert.dnsNames], [[hostile], ["d"]], JSON.stringify(hostile));
    assert.equal(spiffeIdOf(cert).ok, false);
  }
});

test("names of any bytes come back as they are", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ minLength: 1, unit: "binary-ascii" }), { maxLength: 3 }), (uris) => {
      assert.deepEqual(unwrap(parseCertificate(leafWith({ uris, commonName: "x" }))).uris, uris);
    }),
    { numRuns: 40 },
  );
});

test("subjectAltName text that is not Node's form is refused", () => {
  for (const bad of ["x", "URI:a,URI:b", 'URI:"a', 'URI:"a"b', 'URI:"\\q"', "URI:a, ", ", URI:a"])
    assert.equal(parseSubjectAltName(bad).ok, false, bad);
  assert.deepEqual(unwrap(parseSubjectAltName(undefined)), []);
  assert.deepEqual(unwrap(parseSubjectAltName('IP Address:10.0.0.1, URI:"a, \\u0022b"')), [
    { type: "IP Address", value: "10.0.0.1" },
    { type: "URI", value: 'a, "b' },
  ]);
});

test("a SPIFFE certificate has one URI", () => {
  assert.match(JSON.stringify(spiffeIdOf({ uris: [] })), /has no SPIFFE id/);
  assert.match(JSON.stringify(spiffeIdOf({ uris: [uri, uri] })), /has 2 URIs/);
});

test("bundles are split, and a broken block fails the bundle", () => {
  const bundle = `# comment\n${root.certPem}\n${leafWith({ uris: [uri] })}`;
  assert.equal(splitPem(bundle).length, 2);
  assert.equal(unwrap(parseBundle(bundle)).length, 2);
  assert.equal(parseBundle(`${bundle}-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----`).ok, false);
  assert.equal(parseBundle("").ok, false);
});

test("a request says what was asked and that its sender has the key", () => {
  const { csrPem, keyPem } = createCsr(uri);
  const csr = unwrap(parseCsr(csrPem));
  assert.deepEqual([csr.uris, csr.dnsNames, csr.ips], [[uri], [], []]);
  assert.equal(csr.publicKey.equals(createPublicKey(keyPem)), true);
});

test("a request whose bytes were changed is refused", () => {
  const bytes = unwrap(fromPem(createCsr(uri).csrPem, "CERTIFICATE REQUEST"));
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const changed = Uint8Array.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ flip;
      assert.equal(parseCsr(toPem("CERTIFICATE REQUEST", changed)).ok, false);
    }),
    { numRuns: 300 },
  );
});

test("what is not a request is refused with a sentence", () => {
  for (const bad of [
    "",
    "x",
    root.certPem,
    root.certPem.replaceAll("CERTIFICATE", "CERTIFICATE REQUEST"),
    `-----BEGIN CERTIFICATE REQUEST-----\n${"A".repeat(50_000)}\n-----END CERTIFICATE REQUEST-----`,
  ])
    assert.equal(parseCsr(bad).ok, false);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (b) => assert.equal(parseCsr(toPem("CERTIFICATE REQUEST", b)).ok, false)));
});
