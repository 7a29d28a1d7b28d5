// Is a proxy's configuration merged as Istio merges it: the mesh's file, PROXY_CONFIG, the environment?

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "./config.ts";
import { withProxyConfig } from "./proxy-config.ts";

const MESH = `
trustDomain: ignored-here
defaultConfig:
  discoveryAddress: istiod.mesh.svc:15012
  proxyAdminPort: 15100
  statsPort: 15120
  concurrency: 6
  image: { imageType: distroless }
  proxyMetadata: { ISTIO_META_DNS_CAPTURE: "false", ISTIO_META_FROM: mesh }
`;
const read = (vars: Record<string, string>, mesh?: string) => {
  const env = withProxyConfig(vars, mesh);
  return env.ok ? parseConfig(env.value) : env;
};

test("neither: the defaults", () => {
  const c = read({});
  assert.ok(c.ok);
  assert.deepEqual(
    [c.value.xds.address, c.value.ports.admin, c.value.threads.concurrency],
    ["istiod.istio-system.svc:15012", 15000, undefined],
  );
});

test("the mesh's file alone", () => {
  const c = read({}, MESH);
  assert.ok(c.ok);
  const { xds, ca, ports, threads, metadata } = c.value;
  assert.deepEqual([xds.address, ca.address], ["istiod.mesh.svc:15012", "istiod.mesh.svc:15012"]);
  assert.deepEqual([ports.admin, ports.stats, threads.concurrency], [15100, 15120, 6]);
  assert.deepEqual([metadata.FROM, metadata.DNS_CAPTURE], ["mesh", "false"]);
});

test("PROXY_CONFIG is stronger than the file, a variable than both; PROXY_CONFIG may be JSON", () => {
  const PROXY_CONFIG = JSON.stringify({ discoveryAddress: "own:15012", concurrency: 3, proxyMetadata: { ISTIO_META_FROM: "own" } });
  const c = read({ PROXY_CONFIG, ADMIN_PORT: "1", CA_ADDRESS: "ca:1" }, MESH);
  assert.ok(c.ok);
  const { xds, ca, ports, threads, metadata } = c.value;
  assert.deepEqual([xds.address, ca.address, ports.admin, ports.stats], ["own:15012", "ca:1", 1, 15120]);
  assert.deepEqual([threads.concurrency, metadata.FROM, metadata.DNS_CAPTURE], [3, "own", "false"]);
});

for (const c of [
  { config: "concurrency: many", want: "PROXY_CONFIG: concurrency is not a whole number" },
  { config: "- a", want: "PROXY_CONFIG is not a mapping" },
  { config: "statsPort: -1", want: "PROXY_CONFIG: statsPort is not a whole number" },
  { config: "proxyMetadata: { A: [1] }", want: "PROXY_CONFIG: proxyMetadata.A is not a text" },
  { config: "discoveryAddress: { a: b }", want: "PROXY_CONFIG: discoveryAddress is not a text" },
])
  test(`refused: ${c.config}`, () =>
    assert.deepEqual(withProxyConfig({ PROXY_CONFIG: c.config }, undefined), { ok: false, error: c.want }));

test("both mistakes are told; what is not YAML is said to be so", () => {
  const r = withProxyConfig({ PROXY_CONFIG: "a: b: c" }, "defaultConfig: 7");
  assert.ok(!r.ok);
  assert.match(r.error, /etc\/istio\/config\/mesh: defaultConfig is not a mapping; PROXY_CONFIG is not YAML: /);
});

for (const [vars, want] of [
  [{ PROXY_MODE: "dedicated" }, /PROXY_MODE="dedicated": one ztunnel serves its whole node \(shared\)/],
  [{ FAKE_CA: "true" }, /FAKE_CA="true": certificates come from a CA/],
  [{ LOCAL_XDS_PATH: "/x" }, /LOCAL_XDS_PATH="\/x": the mesh's state comes from a controller/],
  [{ LOCAL_XDS: "{}" }, /LOCAL_XDS="\{\}": the mesh's state comes from a controller/],
  [{ ENABLE_PROXY: "false" }, /ENABLE_PROXY="false": a ztunnel that is no proxy has nothing to do/],
  [{ HTTP2_FRAME_SIZE: "16384" }, /HTTP2_FRAME_SIZE="16384": it is fixed at 1048576/],
] as const)
  test(`refused in one sentence: ${JSON.stringify(vars)}`, () => {
    const c = read(vars);
    assert.ok(!c.ok);
    assert.match(c.error, want);
  });

test("what asks for what is done anyway is no mistake; ENABLE_ORIG_SRC=false keeps the pod's own address", () => {
  const c = read({
    PROXY_MODE: "shared",
    FAKE_CA: "false",
    ENABLE_PROXY: "true",
    HTTP2_STREAM_WINDOW_SIZE: "4194304",
    HTTP2_CONNECTION_WINDOW_SIZE: "16777216",
    HTTP2_FRAME_SIZE: "1048576",
    ENABLE_ORIG_SRC: "false",
  });
  assert.equal(c.ok && c.value.sockets.originalSource, false);
  assert.equal(
    (() => {
      const d = read({});
      return d.ok && d.value.sockets.originalSource;
    })(),
    true,
  );
});
