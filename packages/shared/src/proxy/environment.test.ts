// Is what both proxies read from their environment read the same way?

import assert from "node:assert/strict";
import { test } from "node:test";
import { envFrom } from "../runtime/env.ts";
import { ok, unwrap } from "../runtime/result.ts";
import { controlPlaneServer, drainWithin, proxyEnvironment } from "./environment.ts";

const ISTIO_ROOTS = { kind: "file", path: "./var/run/secrets/istio/root-cert.pem" };

const servers = [
  { name: "nothing told", vars: {}, want: { address: "istiod.istio-system.svc:15012", roots: ISTIO_ROOTS, serverName: undefined } },
  {
    name: "a name of its own, a slash at the end",
    vars: { XDS_ADDRESS: "https://10.0.0.1:15012/", ALT_XDS_HOSTNAME: "istiod", CA_ADDRESS: "https://other:1" },
    want: { address: "10.0.0.1:15012", roots: ISTIO_ROOTS, serverName: "istiod" },
  },
  {
    name: "http:// takes no TLS, whatever roots are told",
    vars: { XDS_ADDRESS: "http://127.0.0.1:15010", XDS_ROOT_CA: "SYSTEM" },
    want: { address: "127.0.0.1:15010", roots: { kind: "plaintext" }, serverName: undefined },
  },
  {
    name: "the system's roots",
    vars: { XDS_ADDRESS: "a:1", XDS_ROOT_CA: "SYSTEM" },
    want: { address: "a:1", roots: { kind: "system" }, serverName: undefined },
  },
  {
    name: "roots as text",
    vars: { XDS_ADDRESS: "a:1", XDS_ROOT_CA: "-----BEGIN CERTIFICATE-----" },
    want: { address: "a:1", roots: { kind: "pem", pem: "-----BEGIN CERTIFICATE-----" }, serverName: undefined },
  },
];
for (const { name, vars, want } of servers)
  test(`control plane: ${name}`, () => assert.deepEqual(unwrap(controlPlaneServer(envFrom(vars), "XDS")), want));

test("a component's own roots give way to those that are told", () => {
  const own = ok({ kind: "file", path: "/own.pem" } as const);
  const roots = (vars: Record<string, string>) => unwrap(controlPlaneServer(envFrom(vars), "CA", own)).roots;
  assert.deepEqual(roots({}), { kind: "file", path: "/own.pem" });
  assert.deepEqual(roots({ CA_ROOT_CA: "/told.pem" }), { kind: "file", path: "/told.pem" });
});

const drains = [
  { grace: undefined, ms: 5_000 },
  { grace: 0, ms: 1_000 },
  { grace: 10, ms: 9_000 },
  { grace: 11, ms: 6_000 },
  { grace: 30, ms: 25_000 },
];
for (const { grace, ms } of drains) test(`a grace period of ${grace} s leaves ${ms} ms`, () => assert.equal(drainWithin(grace), ms));

test("the cluster's id in the metadata wins; plain is text; only the named variable tells levels", () => {
  const vars = { CLUSTER_ID: "a", ISTIO_META_CLUSTER_ID: "b", LOG_FORMAT: "plain", RUST_LOG: "debug", LOG_LEVEL: "warn" };
  const read = unwrap(proxyEnvironment(envFrom(vars), "LOG_LEVEL"));
  assert.deepEqual([read.clusterId, read.metadata, read.log], ["b", { CLUSTER_ID: "b" }, { format: "text", level: "warn" }]);
});

test("every mistake is told at once", () => {
  const read = proxyEnvironment(envFrom({ ADMIN_PORT: "x", LOG_FORMAT: "xml", RUST_LOG: "loud", SECRET_TTL: "long" }), "RUST_LOG");
  assert.ok(!read.ok);
  for (const name of ["SECRET_TTL=", "ADMIN_PORT=", "LOG_FORMAT=", "RUST_LOG="]) assert.ok(read.error.includes(name), name);
});
