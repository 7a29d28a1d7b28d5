// Does a dump show certificates and no key?

import assert from "node:assert/strict";
import { test } from "node:test";
import { testAuthority } from "../ca/fixture.ts";
import { spiffeId } from "../identity/spiffe.ts";
import { dumpCertificate } from "./dump.ts";

const HOUR = 3_600_000;
const NOW = Date.UTC(2026, 0, 2, 3, 4, 5);
const identity = spiffeId("cluster.local", "ns", "default");

test("leaf and root with their times and serial numbers, and no key", () => {
  const cert = testAuthority(NOW).cert(identity);
  const dumped = dumpCertificate({ identity, state: "Available", error: undefined, cert });
  const [leaf] = dumped.certChain;
  assert.equal(dumped.identity, "spiffe://cluster.local/ns/ns/sa/default");
  assert.equal(dumped.state, "Available");
  assert.equal(leaf?.serialNumber, BigInt(`0x${cert.leaf.serial}`).toString());
  assert.equal(Buffer.from(leaf?.pem ?? "", "base64").toString(), cert.leaf.pem);
  assert.deepEqual(
    [leaf?.validFrom, leaf?.expirationTime],
    [NOW - HOUR, NOW + HOUR].map((ms) => new Date(ms).toISOString()),
  );
  assert.equal(dumped.rootCerts.length, 1);
  assert.ok(!JSON.stringify(dumped).includes(Buffer.from(cert.keyPem).toString("base64").slice(0, 40)));
});

test("none is held: why", () =>
  assert.deepEqual(dumpCertificate({ identity, state: "Unavailable", error: "the CA is away", cert: undefined }), {
    identity: "spiffe://cluster.local/ns/ns/sa/default",
    state: "Unavailable: the CA is away",
    certChain: [],
    rootCerts: [],
  }));
