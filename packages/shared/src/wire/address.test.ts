// Is a bad Address refused with its field named, and are absent fields given their defaults?

import assert from "node:assert/strict";
import { test } from "node:test";
import { codecOf } from "../proto/schema.ts";
import { unwrap } from "../runtime/result.ts";
import { decodeAddress } from "./address-read.ts";
import { addressAliases, addressName } from "./types.ts";
import { contentVersion } from "./version.ts";

const raw = codecOf<object>("istio.workload.Address");
const v4 = Uint8Array.of(10, 0, 0, 1);
const workload = (fields: object) => raw.encode({ workload: { uid: "Kubernetes//Pod/ns/a", ...fields } });
const service = (fields: object) => raw.encode({ service: { namespace: "ns", hostname: "a.example", ...fields } });

const refused: { name: string; bytes: Uint8Array; error: RegExp }[] = [
  { name: "nothing in the oneof", bytes: new Uint8Array(), error: /Address\.type is empty: want one of workload, service/ },
  { name: "a workload without a uid", bytes: raw.encode({ workload: { name: "a" } }), error: /uid is empty/ },
  {
    name: "an address of five bytes",
    bytes: workload({ addresses: [new Uint8Array(5)] }),
    error: /addresses\[0\]: an IP address has 4 or 16 bytes, not 5/,
  },
  { name: "the second address bad", bytes: workload({ addresses: [v4, new Uint8Array(0)] }), error: /addresses\[1\]: .*not 0/ },
  { name: "LEGACY_ISTIO_MTLS", bytes: workload({ tunnelProtocol: 2 }), error: /LEGACY_ISTIO_MTLS is not supported/ },
  { name: "an unknown tunnel protocol", bytes: workload({ tunnelProtocol: 9 }), error: /tunnel_protocol: 9 is not a known value/ },
  { name: "an unknown workload type", bytes: workload({ workloadType: 4 }), error: /workload_type: 4/ },
  { name: "an unknown status", bytes: workload({ status: 2 }), error: /status: 2/ },
  { name: "an unknown network mode", bytes: workload({ networkMode: 2 }), error: /network_mode: 2/ },
  {
    name: "a port past 65535",
    bytes: workload({ services: { "ns/h": { ports: [{ servicePort: 80, targetPort: 65536 }] } } }),
    error: /services\["ns\/h"\]\[0\]: target_port: 65536 is not a port/,
  },
  {
    name: "an unknown app protocol",
    bytes: service({ ports: [{ servicePort: 1, appProtocol: 6 }] }),
    error: /ports\[0\]: app_protocol: 6/,
  },
  {
    name: "a waypoint without a destination",
    bytes: workload({ waypoint: { hboneMtlsPort: 15008 } }),
    error: /waypoint: destination is empty/,
  },
  {
    name: "a waypoint with a bad address",
    bytes: workload({ waypoint: { address: { address: new Uint8Array(3) } } }),
    error: /waypoint: .*not 3/,
  },
  {
    name: "a waypoint port past 65535",
    bytes: workload({ networkGateway: { hostname: { hostname: "h" }, hboneMtlsPort: 70000 } }),
    error: /network_gateway: hbone_mtls_port: 70000/,
  },
  {
    name: "an unknown application tunnel",
    bytes: workload({ applicationTunnel: { protocol: 2 } }),
    error: /application_tunnel: protocol: 2/,
  },
  { name: "a service without a hostname", bytes: raw.encode({ service: { namespace: "ns" } }), error: /hostname is empty/ },
  {
    name: "a block longer than its address",
    bytes: service({ addresses: [{ address: v4, length: 33 }] }),
    error: /prefix length must be from 0 to 32/,
  },
  { name: "an unknown visibility", bytes: service({ visibility: 2 }), error: /visibility: 2/ },
  { name: "an unknown mode", bytes: service({ loadBalancing: { mode: 7 } }), error: /load_balancing: mode: 7/ },
  {
    name: "an unspecified scope",
    bytes: service({ loadBalancing: { routingPreference: [0] } }),
    error: /routing_preference\[0\]: the scope is not given/,
  },
  {
    name: "a weighted waypoint without one",
    bytes: service({ weightedWaypoints: [{ weight: 1 }] }),
    error: /weighted_waypoints\[0\]: destination is empty/,
  },
];

for (const c of refused) {
  test(`refused: ${c.name}`, () => {
    const r = decodeAddress(c.bytes);
    assert.equal(r.ok, false);
    assert.match(r.ok ? "" : r.error, c.error);
  });
}

test("absent fields have Istio's defaults", () => {
  const a = unwrap(decodeAddress(workload({})));
  assert.equal(a.kind, "workload");
  if (a.kind !== "workload") return;
  const { trustDomain, serviceAccount, clusterId, capacity, tunnelProtocol, workloadType } = a.workload;
  assert.deepEqual(
    { trustDomain, serviceAccount, clusterId, capacity, tunnelProtocol, workloadType },
    {
      trustDomain: "cluster.local",
      serviceAccount: "default",
      clusterId: "Kubernetes",
      capacity: 1,
      tunnelProtocol: "NONE",
      workloadType: "DEPLOYMENT",
    },
  );
});

test("a capacity of 0 that was said is kept", () => {
  const a = unwrap(decodeAddress(workload({ capacity: { value: 0 } })));
  assert.equal(a.kind === "workload" && a.workload.capacity, 0);
});

test("an unknown field and an extension are ignored", () => {
  const bytes = Buffer.concat([service({ extensions: [{ name: "x" }] }), Buffer.from([0x9a, 0x06, 0x01, 0x41])]);
  assert.equal(decodeAddress(bytes).ok, true);
});

test("names and aliases", () => {
  const w = unwrap(decodeAddress(workload({ network: "n", addresses: [v4] })));
  assert.equal(addressName(w), "Kubernetes//Pod/ns/a");
  assert.deepEqual(addressAliases(w), ["n/10.0.0.1"]);
  const host = unwrap(decodeAddress(workload({ network: "n", addresses: [v4], networkMode: 1 })));
  assert.deepEqual(addressAliases(host), []);
  const s = unwrap(
    decodeAddress(
      service({
        addresses: [
          { network: "", address: v4 },
          { network: "n", address: v4, length: 8 },
        ],
      }),
    ),
  );
  assert.equal(addressName(s), "ns/a.example");
  assert.deepEqual(addressAliases(s), ["/10.0.0.1", "n/10.0.0.0/8"]);
});

test("the version is xxhash64 in hex", () => {
  assert.equal(contentVersion(new Uint8Array()), "ef46db3751d8e999");
  assert.equal(contentVersion(Buffer.from("a")), "d24ec4f1a98c6e5b");
});
