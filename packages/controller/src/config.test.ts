// Is the environment read whole, with every mistake named?

import assert from "node:assert/strict";
import { test } from "node:test";
import { envFrom } from "@ambit/shared/runtime/env.ts";
import { parseConfig } from "./config.ts";

const parse = (vars: Record<string, string>) => parseConfig(envFrom(vars));

test("nothing set: Istio's defaults", () => {
  const c = parse({});
  assert.ok(c.ok);
  assert.deepEqual(c.value.mesh, {
    rootNamespace: "istio-system",
    trustDomain: "cluster.local",
    trustDomainAliases: [],
    clusterDomain: "cluster.local",
    clusterId: "Kubernetes",
    network: "",
    revision: "default",
  });
  assert.deepEqual([c.value.grpcPort, c.value.monitoringPort, c.value.readyPort], [15012, 15014, 8080]);
  assert.deepEqual(c.value.trustedNodeAccounts, ["istio-system/ztunnel"]);
  assert.deepEqual(c.value.discoveryAddress, { host: "istiod.istio-system.svc", port: 15012 });
  assert.deepEqual(c.value.certificates, { defaultMs: 86_400_000, maxMs: 90 * 86_400_000 });
  assert.deepEqual(c.value.rootRotation, {
    rootLifetimeMs: 3_650 * 86_400_000,
    gracePercent: 20,
    introduceMs: 86_400_000,
    retireMs: 90 * 86_400_000,
  });
  assert.deepEqual([c.value.tls.compliance, c.value.tls.minVersion], ["none", "TLSv1.3"]);
});

test("another namespace moves what belongs to it", () => {
  const c = parse({ POD_NAMESPACE: "mesh" });
  assert.ok(c.ok);
  assert.deepEqual([c.value.trustedNodeAccounts, c.value.discoveryAddress.host], [["mesh/ztunnel"], "istiod.mesh.svc"]);
});

test("all mistakes at once", () => {
  const c = parse({ GRPC_PORT: "x", LOG_FORMAT: "xml", DEFAULT_WORKLOAD_CERT_TTL: "1s", TOKEN_AUDIENCES: "a,,b" });
  assert.ok(!c.ok);
  for (const name of ["GRPC_PORT", "LOG_FORMAT", "DEFAULT_WORKLOAD_CERT_TTL", "TOKEN_AUDIENCES"]) assert.match(c.error, new RegExp(name));
});

test("a default lifetime beyond the maximum", () => {
  const c = parse({ DEFAULT_WORKLOAD_CERT_TTL: "48h", MAX_WORKLOAD_CERT_TTL: "24h" });
  assert.deepEqual(c, { ok: false, error: "DEFAULT_WORKLOAD_CERT_TTL is longer than MAX_WORKLOAD_CERT_TTL" });
});

test("aliases of the trust domain, all or none", () => {
  const c = parse({ TRUST_DOMAIN: "new.corp", TRUST_DOMAIN_ALIASES: "old.corp, older,old.corp" });
  assert.ok(c.ok);
  assert.deepEqual(c.value.mesh.trustDomainAliases, ["old.corp", "older"]);
  for (const bad of ["a/b", "*", "A.corp", "a b", "spiffe://a"]) {
    const refused = parse({ TRUST_DOMAIN_ALIASES: `good,${bad}` });
    assert.match(refused.ok ? "ok" : refused.error, /TRUST_DOMAIN_ALIASES=.* is not a trust domain/, bad);
  }
});

test("post-quantum only, and what cannot be kept with it", () => {
  const pqc = parse({ COMPLIANCE_POLICY: "pqc" });
  assert.ok(pqc.ok && pqc.value.tls.ecdhCurve === "X25519MLKEM768");
  const refusals: [Record<string, string>, RegExp][] = [
    [{ COMPLIANCE_POLICY: "pqc", TLS12_ENABLED: "true" }, /needs TLS 1\.3/],
    [{ COMPLIANCE_POLICY: "fips-140-2" }, /not a FIPS 140 validated module/],
    [{ COMPLIANCE_POLICY: "best" }, /want pqc, or leave it unset/],
  ];
  for (const [vars, says] of refusals) {
    const c = parse(vars);
    assert.match(c.ok ? "ok" : c.error, says);
  }
});
