// Is ztunnel's environment read as Istio's ztunnel reads it?

import assert from "node:assert/strict";
import { test } from "node:test";
import { envFrom } from "@ambit/shared/runtime/env.ts";
import { parseConfig } from "./config.ts";

const read = (vars: Record<string, string>) => parseConfig(envFrom(vars));

test("nothing set: Istio's defaults", () => {
  const config = read({});
  assert.ok(config.ok);
  const { xds, ca, sockets, pool, drainMs, token, ports, clusterId, trustDomain, zdsPath } = config.value;
  assert.equal(xds.address, "istiod.istio-system.svc:15012");
  assert.deepEqual(ca.roots, { kind: "file", path: "./var/run/secrets/istio/root-cert.pem" });
  assert.deepEqual(token, { kind: "file", path: "./var/run/secrets/tokens/istio-token" });
  assert.deepEqual(sockets.keepalive, { idleSeconds: 180, intervalSeconds: 180, probes: 9 });
  assert.equal(sockets.mark, 1337);
  assert.deepEqual(pool, { maxStreams: 100, idleMs: 300_000 });
  assert.deepEqual([drainMs, clusterId, trustDomain, zdsPath], [5_000, "Kubernetes", "cluster.local", "/var/run/ztunnel/ztunnel.sock"]);
  assert.deepEqual(ports, { admin: 15000, stats: 15020, readiness: 15021 });
});

const drains = [
  { vars: { TERMINATION_GRACE_PERIOD_SECONDS: "30" }, ms: 25_000 },
  { vars: { TERMINATION_GRACE_PERIOD_SECONDS: "10" }, ms: 9_000 },
  { vars: { TERMINATION_GRACE_PERIOD_SECONDS: "1" }, ms: 1_000 },
  { vars: { TERMINATION_GRACE_PERIOD_SECONDS: "30", CONNECTION_TERMINATION_DEADLINE: "250ms" }, ms: 250 },
];
for (const { vars, ms } of drains)
  test(`drain for ${ms} ms with ${JSON.stringify(vars)}`, () => {
    const config = read(vars);
    assert.equal(config.ok && config.value.drainMs, ms);
  });

const addresses = [
  { value: "istiod.x.svc:15012", address: "istiod.x.svc:15012", roots: "file" },
  { value: "https://10.0.0.1:15012/", address: "10.0.0.1:15012", roots: "file" },
  { value: "http://127.0.0.1:15010", address: "127.0.0.1:15010", roots: "plaintext" },
];
for (const { value, address, roots } of addresses)
  test(`XDS_ADDRESS=${value}`, () => {
    const config = read({ XDS_ADDRESS: value });
    assert.deepEqual(config.ok && [config.value.xds.address, config.value.xds.roots.kind], [address, roots]);
  });

test("roots, tokens, headers and metadata", () => {
  const config = read({
    XDS_ROOT_CA: "SYSTEM",
    CA_ROOT_CA: "-----BEGIN CERTIFICATE-----",
    AUTH_TOKEN: "abc",
    XDS_HEADER_Tenant: "t",
    ISTIO_META_CLUSTER_ID: "c1",
    CLUSTER_ID: "c2",
  });
  assert.ok(config.ok);
  assert.deepEqual(config.value.xds.roots, { kind: "system" });
  assert.equal(config.value.ca.roots.kind, "pem");
  assert.deepEqual(config.value.token, { kind: "literal", token: "abc" });
  assert.deepEqual(config.value.xds.headers, { tenant: "t" });
  assert.equal(config.value.clusterId, "c1");
  assert.deepEqual(config.value.metadata, { CLUSTER_ID: "c1" });
});

test("every mistake is told at once", () => {
  const config = read({
    XDS_ADDRESS: "nowhere",
    KEEPALIVE_TIME: "long",
    RUST_LOG: "loud",
    PROXY_MODE: "dedicated",
    COMPLIANCE_POLICY: "fips-140-2",
  });
  assert.deepEqual(!config.ok && config.error.split("; "), [
    'XDS_ADDRESS="nowhere": want https://host:port',
    'KEEPALIVE_TIME="long": want a duration such as "10s" or "1h30m"',
    'RUST_LOG="loud": "loud" is not a log level: want debug, info, warn, error or off, or scope=level',
    'COMPLIANCE_POLICY="fips-140-2": the OpenSSL that we run on is not a FIPS 140 validated module: want pqc, or leave it unset',
    'PROXY_MODE="dedicated": one ztunnel serves its whole node (shared), one per pod (dedicated) is not supported',
  ]);
});
