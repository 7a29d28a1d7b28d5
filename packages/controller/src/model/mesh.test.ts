// Does the whole graph, edited in any order, end where a graph built from scratch would, and hold nothing of what has gone?

import assert from "node:assert/strict";
import { test } from "node:test";
import { type KubeObject, keyOf } from "@ambit/shared/kube/objects/meta.ts";
import fc from "fast-check";
import type { Collection } from "../collections/core.ts";
import { vertexOf } from "../collections/core.ts";
import type { InputTypes } from "./inputs.ts";
import type { Mesh } from "./mesh.ts";
import {
  authz,
  deployment,
  gateway,
  gatewayClass,
  httpRoute,
  meshOf,
  namespace,
  node,
  peerAuth,
  pod,
  service,
  serviceAccount,
  slice,
  toService,
} from "./test/fixtures.ts";

const jwtOf = (name: string) => ({ metadata: { namespace: "shop", name: "jwt" }, spec: { targetRefs: [{ kind: "Service", name }] } });
const USE = "istio.io/use-waypoint";
/** A few variants of a few objects: most edits meet something that depends on them. */
const universe: { readonly [K in keyof InputTypes]: readonly InputTypes[K][] } = {
  namespaces: [namespace("shop"), namespace("shop", { labels: { [USE]: "wp" } }), namespace("istio-system")],
  nodes: [node("node1", { "topology.kubernetes.io/zone": "a" }), node("node1", { "topology.kubernetes.io/zone": "b" })],
  services: [
    service("shop", "web", { ip: "10.96.0.5" }),
    service("shop", "web", { ip: "10.96.0.5", labels: { [USE]: "wp" } }),
    service("shop", "web", { ip: "10.96.0.5", spec: { selector: {} } }),
    service("shop", "cart", { ip: "10.96.0.6", labels: { [USE]: "none" } }),
    service("shop", "wp", { ip: "10.96.0.9" }),
  ],
  pods: [
    pod("shop", "web-1", { ip: "10.244.1.2", labels: { app: "web" } }),
    pod("shop", "web-1", { ip: "10.244.1.2", labels: { app: "web" }, captured: true }),
    pod("shop", "cart-1", { ip: "10.244.1.3", labels: { app: "cart" }, ready: false }),
  ],
  endpointSlices: [
    slice("shop", "web-x", {
      service: "web",
      endpoints: [{ addresses: ["192.0.2.1"] }, { addresses: ["10.244.1.2"], targetRef: { kind: "Pod", name: "web-1" } }],
    }),
  ],
  deployments: [deployment("shop", "wp", true, "uid-shop-wp"), deployment("shop", "wp", false, "uid-shop-wp")],
  serviceAccounts: [serviceAccount("shop", "wp"), serviceAccount("shop", "wp", "uid-shop-wp")],
  gatewayClasses: [gatewayClass()],
  gateways: [gateway("shop", "wp"), gateway("shop", "wp", { ready: false }), gateway("shop", "wp", { waypointFor: "all" })],
  httpRoutes: [
    httpRoute("shop", "r", { parentRefs: [toService("web")], rules: [{ backendRefs: [{ name: "cart", port: 80 }] }] }),
    httpRoute("shop", "s", { parentRefs: [toService("web", { port: 80 })] }, "2025-01-01T00:00:00Z"),
  ],
  authorizationPolicies: [
    authz("shop", "p", { selector: { matchLabels: { app: "web" } }, rules: [{}] }),
    authz("shop", "p", { targetRefs: [toService("web")], action: "DENY", rules: [{}] }),
    authz("istio-system", "root", { selector: { matchLabels: { app: "cart" } }, rules: [{}] }),
  ],
  requestAuthentications: [jwtOf("web"), jwtOf("cart")],
  peerAuthentications: [
    peerAuth("istio-system", "d", { mtls: { mode: "STRICT" } }),
    peerAuth("shop", "w", {
      selector: { matchLabels: { app: "web" } },
      mtls: { mode: "PERMISSIVE" },
      portLevelMtls: { 8080: { mode: "STRICT" } },
    }),
  ],
};

type Edit = { readonly kind: keyof InputTypes; readonly object: KubeObject; readonly gone: boolean };
const everything: readonly Omit<Edit, "gone">[] = (Object.keys(universe) as (keyof InputTypes)[]).flatMap((kind) =>
  universe[kind].map((object) => ({ kind, object })),
);
const edit: fc.Arbitrary<Edit> = fc.tuple(fc.constantFrom(...everything), fc.boolean()).map(([e, gone]) => ({ ...e, gone }));
const history = fc.array(fc.array(edit, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 15 });

const contents = <V>(c: Collection<V>): readonly (readonly [string, V | undefined])[] =>
  c
    .keys()
    .toSorted()
    .map((k) => [k, c.get(k)]);
const outputs = (m: Mesh) => Object.fromEntries(Object.entries(m).map(([name, c]) => [name, contents(c as Collection<unknown>)]));

type World = ReturnType<typeof meshOf>;
const apply = (m: World, e: Edit): void => {
  if (e.gone) m.remove(e.kind, keyOf(e.object));
  else m.put(e.kind, e.object as never);
};

test("property: any history of edits ends where a fresh graph begins", () => {
  fc.assert(
    fc.property(history, (batches) => {
      const lived = meshOf();
      const final = new Map<string, Edit>();
      for (const batch of batches)
        lived.graph.batch(() => {
          for (const e of batch) {
            apply(lived, e);
            final.set(`${e.kind}/${keyOf(e.object)}`, e);
          }
        });
      const fresh = meshOf();
      for (const e of final.values()) if (!e.gone) apply(fresh, e);
      assert.deepEqual(outputs(lived.mesh), outputs(fresh.mesh));
      for (const e of final.values()) apply(lived, { ...e, gone: true });
      for (const v of lived.graph.vertices) assert.deepEqual([v.name, v.size, vertexOf(v).dependencies()], [v.name, 0, 0]);
    }),
    { numRuns: 120 },
  );
});

test("every policy a workload names is among those sent, at every moment a listener can see", () => {
  fc.assert(
    fc.property(history, (batches) => {
      const m = meshOf();
      m.mesh.workloads.subscribe(() => {
        for (const w of m.mesh.workloads.list())
          for (const name of w.authorizationPolicies) assert.notEqual(m.mesh.policies.get(name), undefined, `${w.uid} names ${name}`);
      });
      for (const batch of batches) m.graph.batch(() => batch.forEach((e) => void apply(m, e)));
    }),
    { numRuns: 60 },
  );
});
