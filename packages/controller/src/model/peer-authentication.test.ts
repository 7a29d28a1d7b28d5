// What do PeerAuthentications become for ztunnels? (istio's TestWorkloadPeerAuthentication, TestAmbientIndex_PeerAuthentication…)

import assert from "node:assert/strict";
import { test } from "node:test";
import { EMPTY_MATCH } from "@ambit/shared/authz/types.ts";
import type { PeerAuthentication } from "@ambit/shared/kube/objects/istio.ts";
import { meshOf, peerAuth, pod } from "./test/fixtures.ts";

const STRICT = "istio-system/istio_converted_static_strict";
const app = { selector: { matchLabels: { app: "a" } } };
const mtls = (mode: string) => ({ mtls: { mode } });
const ports = (modes: Record<number, string>) => ({
  portLevelMtls: Object.fromEntries(Object.entries(modes).map(([p, mode]) => [p, { mode }])),
});
const NO_ID = { ...EMPTY_MATCH, notPrincipals: [{ kind: "presence" }] };

const cases: readonly {
  readonly name: string;
  readonly policies: readonly PeerAuthentication[];
  readonly names: readonly string[];
  readonly rules?: object;
}[] = [
  { name: "none", policies: [], names: [] },
  { name: "mesh strict", policies: [peerAuth("istio-system", "d", mtls("STRICT"))], names: [STRICT] },
  {
    name: "mesh strict, namespace permissive",
    policies: [peerAuth("istio-system", "d", mtls("STRICT")), peerAuth("shop", "d", mtls("PERMISSIVE"))],
    names: [],
  },
  {
    name: "mesh strict, namespace disabled",
    policies: [peerAuth("istio-system", "d", mtls("STRICT")), peerAuth("shop", "d", mtls("DISABLE"))],
    names: [],
  },
  {
    name: "mesh strict, namespace unset inherits",
    policies: [peerAuth("istio-system", "d", mtls("STRICT")), peerAuth("shop", "d", mtls("UNSET"))],
    names: [STRICT],
  },
  { name: "namespace strict", policies: [peerAuth("shop", "d", mtls("STRICT"))], names: [STRICT] },
  { name: "another namespace's", policies: [peerAuth("other", "d", mtls("STRICT"))], names: [] },
  {
    name: "the oldest of a level wins",
    policies: [
      peerAuth("shop", "new", mtls("STRICT"), "2026-02-01T00:00:00Z"),
      peerAuth("shop", "old", mtls("PERMISSIVE"), "2026-01-01T00:00:00Z"),
    ],
    names: [],
  },
  { name: "workload strict", policies: [peerAuth("shop", "w", { ...app, ...mtls("STRICT") })], names: [STRICT] },
  {
    name: "workload permissive under namespace strict",
    policies: [peerAuth("shop", "d", mtls("STRICT")), peerAuth("shop", "w", { ...app, ...mtls("PERMISSIVE") })],
    names: [],
  },
  {
    name: "workload that selects another",
    policies: [peerAuth("shop", "w", { selector: { matchLabels: { app: "b" } }, ...mtls("STRICT") })],
    names: [],
  },
  { name: "a mode nobody knows is strict", policies: [peerAuth("shop", "d", mtls("MAYBE"))], names: [STRICT] },
  {
    name: "permissive, two ports strict",
    policies: [peerAuth("shop", "w", { ...app, ...mtls("PERMISSIVE"), ...ports({ 9090: "STRICT", 8080: "STRICT", 7070: "DISABLE" }) })],
    names: ["shop/converted_peer_authentication_w"],
    rules: [8080, 9090].map((p) => ({ clauses: [{ matches: [{ ...NO_ID, destinationPorts: [p] }] }] })),
  },
  {
    name: "strict, ports exempt",
    policies: [peerAuth("shop", "w", { ...app, ...mtls("STRICT"), ...ports({ 8080: "PERMISSIVE", 9090: "DISABLE" }) })],
    names: ["shop/converted_peer_authentication_w"],
    rules: [
      {
        clauses: [
          { matches: [NO_ID] },
          { matches: [{ ...EMPTY_MATCH, notDestinationPorts: [8080] }] },
          { matches: [{ ...EMPTY_MATCH, notDestinationPorts: [9090] }] },
        ],
      },
    ],
  },
  {
    name: "unset inherits strict from the mesh, a port exempt",
    policies: [peerAuth("istio-system", "d", mtls("STRICT")), peerAuth("shop", "w", { ...app, ...ports({ 8080: "PERMISSIVE" }) })],
    names: ["shop/converted_peer_authentication_w"],
    rules: [{ clauses: [{ matches: [NO_ID] }, { matches: [{ ...EMPTY_MATCH, notDestinationPorts: [8080] }] }] }],
  },
  {
    name: "all ports strict collapses",
    policies: [peerAuth("shop", "w", { ...app, ...mtls("STRICT"), ...ports({ 8080: "STRICT" }) })],
    names: [STRICT],
  },
  {
    name: "port unset inherits",
    policies: [peerAuth("shop", "w", { ...app, ...mtls("STRICT"), ...ports({ 8080: "UNSET" }) })],
    names: [STRICT],
  },
  {
    name: "permissive, ports permissive",
    policies: [peerAuth("shop", "w", { ...app, ...mtls("PERMISSIVE"), ...ports({ 8080: "PERMISSIVE" }) })],
    names: [],
  },
  {
    name: "ports without selector are not honoured",
    policies: [peerAuth("shop", "d", { ...mtls("PERMISSIVE"), ...ports({ 8080: "STRICT" }) })],
    names: [],
  },
];
for (const c of cases)
  test(`PeerAuthentication: ${c.name}`, () => {
    const m = meshOf({ pods: [pod("shop", "p", { ip: "10.244.1.2", labels: { app: "a" } })], peerAuthentications: c.policies });
    assert.deepEqual(m.workload("shop", "p")?.authorizationPolicies, c.names);
    for (const name of c.names)
      assert.ok(m.mesh.policies.get(name), `${name} must be sent: a named policy that is missing denies everything`);
    if (c.rules !== undefined) assert.deepEqual(m.mesh.policies.get(c.names[0] ?? "")?.rules, c.rules);
    assert.equal(m.mesh.policies.get(STRICT) !== undefined, c.policies.length > 0, "pushed only if some PeerAuthentication exists");
  });

test("TestAmbientIndex_PeerAuthenticationNamespacePolicyChange", () => {
  const m = meshOf({ pods: [pod("shop", "p", { ip: "10.244.1.2" })] });
  const names = () => m.workload("shop", "p")?.authorizationPolicies;
  m.put("peerAuthentications", peerAuth("shop", "d", mtls("STRICT")));
  assert.deepEqual(names(), [STRICT]);
  m.put("peerAuthentications", peerAuth("shop", "d", mtls("PERMISSIVE")));
  assert.deepEqual(names(), []);
  m.put("peerAuthentications", peerAuth("istio-system", "d", mtls("STRICT")), peerAuth("shop", "d", mtls("UNSET")));
  assert.deepEqual(names(), [STRICT]);
  m.remove("peerAuthentications", "istio-system/d", "shop/d");
  assert.deepEqual([names(), m.mesh.policies.size], [[], 0]);
});
