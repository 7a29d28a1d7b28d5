// Does a program that nobody here wrote read our certificates and requests as we mean them? (openssl)

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { unwrap } from "../runtime/result.ts";
import { parseCertificate } from "./certificate.ts";
import { createCsr } from "./csr.ts";
import { parseCsr } from "./csr-parse.ts";
import { createKey, createRoot, issueLeaf } from "./issue.ts";

const uri = "spiffe://cluster.local/ns/a/sa/b";
const HOUR = 3_600_000;
const missing = (() => {
  try {
    execFileSync("openssl", ["version"]);
    return false;
  } catch {
    return "openssl is not installed";
  }
})();

const bench = (t: { after(f: () => void): void }) => {
  const dir = mkdtempSync(join(tmpdir(), "ambit-openssl-"));
  t.after(() => rmSync(dir, { recursive: true }));
  return {
    file: (name: string, text: string): string => {
      writeFileSync(join(dir, name), text);
      return join(dir, name);
    },
    openssl: (...args: string[]): string =>
      execFileSync("openssl", args, { encoding: "utf8", cwd: dir, stdio: ["ignore", "pipe", "pipe"] }),
  };
};

test("our root and leaf verify strictly, for both purposes, and say what they must", { skip: missing }, (t) => {
  const { file, openssl } = bench(t);
  const validity = { notBefore: Date.now() - HOUR, notAfter: Date.now() + HOUR };
  const root = createRoot({ organization: "cluster.local", ...validity });
  const leaf = issueLeaf(root, { publicKey: createKey().publicKey, uris: [uri], ...validity });
  const rootFile = file("root.pem", root.certPem);
  const leafFile = file("leaf.pem", leaf);
  for (const purpose of ["sslserver", "sslclient"])
    assert.match(openssl("verify", "-x509_strict", "-purpose", purpose, "-CAfile", rootFile, leafFile), /leaf\.pem: OK/);
  const text = openssl("x509", "-in", leafFile, "-noout", "-text");
  for (const part of [
    /Version: 3/,
    /ecdsa-with-SHA256/,
    /Subject:\s*\n/,
    /X509v3 Subject Alternative Name: critical\s+URI:spiffe:\/\/cluster\.local\/ns\/a\/sa\/b\s/,
    /X509v3 Key Usage: critical\s+Digital Signature, Key Encipherment/,
    /TLS Web Server Authentication, TLS Web Client Authentication/,
    /X509v3 Basic Constraints: critical\s+CA:FALSE/,
  ])
    assert.match(text, part);
});

test("our request is well signed and asks for the URI", { skip: missing }, (t) => {
  const { file, openssl } = bench(t);
  const out = openssl("req", "-in", file("a.csr", createCsr(uri).csrPem), "-noout", "-text", "-verify");
  assert.match(out, /X509v3 Subject Alternative Name: critical\s+URI:spiffe:\/\/cluster\.local\/ns\/a\/sa\/b\s/);
});

test("openssl's requests are read: EC and RSA; a weak key is refused", { skip: missing }, (t) => {
  const { openssl } = bench(t);
  const ask = (...key: string[]) =>
    openssl("req", "-new", "-nodes", "-keyout", "k.pem", "-subj", "/", "-addext", `subjectAltName=critical,URI:${uri}`, ...key);
  for (const key of [
    ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
    ["-newkey", "rsa:2048"],
  ])
    assert.deepEqual(unwrap(parseCsr(ask(...key))).uris, [uri]);
  const weak = parseCsr(ask("-newkey", "rsa:1024"));
  assert.match(weak.ok ? "" : weak.error, /must be ECDSA P-256 or P-384, or RSA of 2048/);
});

test("openssl's certificates are read, whatever is in their names", { skip: missing }, (t) => {
  const { openssl } = bench(t);
  const pem = openssl(
    ...[
      "req",
      "-x509",
      "-nodes",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-keyout",
      "k.pem",
      "-subj",
      "/CN=x",
      "-days",
      "1",
    ],
    ...["-addext", `subjectAltName=DNS:a.example,URI:${uri},IP:10.0.0.1,IP:fd00::1,email:a@b.c,otherName:1.2.3.4;UTF8:z,RID:1.2.3`],
  );
  const cert = unwrap(parseCertificate(pem));
  assert.deepEqual([cert.uris, cert.dnsNames], [[uri], ["a.example"]]);
});
