// Is a waypoint pod's environment read whole, with every mistake named?

import assert from "node:assert/strict";
import { test } from "node:test";
import { envFrom } from "@ambit/shared/runtime/env.ts";
import { unwrap } from "@ambit/shared/runtime/result.ts";
import { parseConfig } from "./config.ts";

const required = {
  GATEWAY_NAME: "waypoint",
  POD_NAME: "w-1",
  POD_NAMESPACE: "shop",
  SERVICE_ACCOUNT: "waypoint",
  INSTANCE_IP: "10.244.1.9",
};

test("a pod's environment alone is enough; the rest is Istio's defaults", () => {
  const c = unwrap(parseConfig(envFrom(required)));
  assert.deepEqual(c.xds, {
    address: "istiod.istio-system.svc:15012",
    roots: { kind: "file", path: "./var/run/secrets/istio/root-cert.pem" },
    serverName: undefined,
  });
  assert.deepEqual(c.ports, { hbone: 15008, admin: 15000, stats: 15020, readiness: 15021 });
  assert.deepEqual([c.tokenFile, c.drainMs, c.accessLog], ["./var/run/secrets/tokens/istio-token", 5_000, "text"]);
});

test("what is told wins", () => {
  const c = unwrap(
    parseConfig(
      envFrom({
        ...required,
        XDS_ADDRESS: "https://istiod.mesh:15010",
        CA_ADDRESS: "http://127.0.0.1:1",
        TOKEN_FILE: "/t",
        ROOT_CERT_FILE: "/r.pem",
        ISTIO_META_CLUSTER_ID: "c1",
        ISTIO_META_NETWORK: "n1",
        LOG_FORMAT: "json",
        TERMINATION_GRACE_PERIOD_SECONDS: "30",
      }),
    ),
  );
  assert.deepEqual(
    [c.xds.address, c.ca.roots.kind, c.clusterId, c.network, c.accessLog, c.drainMs],
    ["istiod.mesh:15010", "plaintext", "c1", "n1", "json", 25_000],
  );
  assert.deepEqual([c.tokenFile, c.xds.roots], ["/t", { kind: "file", path: "/r.pem" }]);
  assert.deepEqual(c.metadata, { CLUSTER_ID: "c1", NETWORK: "n1" });
});

test("every mistake is told at once", () => {
  const r = parseConfig(envFrom({ ...required, POD_NAME: "", HBONE_PORT: "x", LOG_FORMAT: "xml", XDS_ADDRESS: "nowhere" }));
  assert.ok(!r.ok);
  for (const name of ["POD_NAME is not set", 'HBONE_PORT="x"', 'LOG_FORMAT="xml"', 'XDS_ADDRESS="nowhere"'])
    assert.ok(r.error.includes(name), name);
});
