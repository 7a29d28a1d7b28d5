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
    clusterDomain: "cluster.local",
    clusterId: "Kubernetes",
    network: "",
    revision: "default",
  });
  assert.deepEqual([c.value.grpcPort, c.value.monitoringPort, c.value.readyPort], [15012, 15014, 8080]);
  assert.deepEqual(c.value.trustedNodeAccounts, ["istio-system/ztunnel"]);
  assert.deepEqual(c.value.discoveryAddress, { host: "istiod.istio-system.svc", port: 15012 });
  assert.deepEqual(c.value.certificates, { defaultMs: 86_400_000, maxMs: 90 * 86_400_000 });
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
