// Do objects enter the graph, and are those of another control plane left alone? (istio's TestOtherRevisionIgnored)

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { createKubeClient } from "@ambit/shared/kube/client.ts";
import type { KubeObject } from "@ambit/shared/kube/objects/meta.ts";
import { RESOURCES, resourceName } from "@ambit/shared/kube/resources.ts";
import { realWorld } from "@ambit/shared/runtime/run.ts";
import { staticCollection } from "../collections/static.ts";
import { authz, gateway, gatewayClass, meshOf, namespace, serviceAccount } from "../model/test/fixtures.ts";
import { type ObjectServer, startObjectServer } from "./test/object-server.ts";
import { createSources } from "./watch.ts";

const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const GATEWAYS = "/apis/gateway.networking.k8s.io/v1/gateways";
const CLASSES = "/apis/gateway.networking.k8s.io/v1/gatewayclasses";
const POLICIES = "/apis/security.istio.io/v1/authorizationpolicies";

const serve = (server: ObjectServer, kind: keyof typeof RESOURCES): void => {
  const { group, resource } = RESOURCES[kind];
  const crd = {
    metadata: { name: resourceName(RESOURCES[kind]) },
    spec: { group, names: { plural: resource } },
    status: { conditions: [{ type: "Established", status: "True" }] },
  };
  server.put(CRDS, crd as KubeObject);
};

const start = async (t: TestContext, fill: (server: ObjectServer) => void) => {
  const server = await startObjectServer();
  fill(server);
  const world = realWorld();
  const client = createKubeClient(server.config, world);
  const m = meshOf();
  const served = staticCollection<string>({ graph: m.graph, name: "ServedKinds", equal: (a, b) => a === b });
  const sources = createSources({ client, graph: m.graph, inputs: m.inputs, served, revision: "default", world, log: () => undefined });
  const stop = new AbortController();
  const running = sources.run(stop.signal);
  t.after(async () => {
    stop.abort(new Error("test over"));
    await running;
    await client.close();
    await server[Symbol.asyncDispose]();
  });
  await sources.synced(AbortSignal.timeout(5_000));
  /** Resolves when the graph holds what is said. */
  const until = (holds: () => boolean, says: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const late = AbortSignal.timeout(5_000);
      late.addEventListener("abort", () => reject(new Error(`not within 5 s: ${says}`)), { once: true });
      const look = (): void => {
        if (holds()) resolve();
      };
      for (const c of Object.values(m.inputs)) c.subscribe(look);
    });
  return { server, m, until };
};
const rev = (value: string) => ({ labels: { "istio.io/rev": value } });

test("TestOtherRevisionIgnored: what is labelled for another control plane never enters, nor gets a status", async (t) => {
  const { m } = await start(t, (server) => {
    for (const kind of ["gateways", "gatewayClasses", "authorizationPolicies"] as const) serve(server, kind);
    server.put(CLASSES, gatewayClass());
    server.put(GATEWAYS, gateway("shop", "ours", { ready: false }));
    server.put(GATEWAYS, gateway("shop", "named", { ready: false, ...rev("default") }));
    server.put(GATEWAYS, gateway("shop", "theirs", { ready: false, ...rev("canary") }));
    server.put(POLICIES, authz("shop", "theirs", { rules: [{}] }, rev("canary")));
  });
  assert.deepEqual(m.inputs.gateways.keys().toSorted(), ["shop/named", "shop/ours"]);
  assert.deepEqual(m.mesh.waypoints.keys().toSorted(), ["shop/named", "shop/ours"]);
  assert.equal(m.mesh.policies.get("shop/theirs"), undefined);
  assert.equal(m.status("gateways/shop/theirs"), undefined);
  assert.equal(m.status("gateways/shop/ours")?.conditions[0]?.status, "True");
});

test("relabelled for another control plane, an object is as good as gone; relabelled back, it is there again", async (t) => {
  const { server, m, until } = await start(t, (s) => {
    serve(s, "gateways");
    serve(s, "gatewayClasses");
    s.put(CLASSES, gatewayClass());
    s.put(GATEWAYS, gateway("shop", "wp"));
  });
  assert.ok(m.mesh.waypoints.get("shop/wp") !== undefined);
  server.put(GATEWAYS, gateway("shop", "wp", rev("canary")));
  await until(() => m.mesh.waypoints.get("shop/wp") === undefined, "the waypoint has gone");
  server.put(GATEWAYS, gateway("shop", "wp", rev("")));
  await until(() => m.mesh.waypoints.get("shop/wp") !== undefined, "the waypoint is back");
});

test("a kind whose definition comes later is followed, and its objects go with it", async (t) => {
  const { server, m, until } = await start(t, (s) => {
    s.put("/api/v1/namespaces", namespace("shop"));
    s.put("/api/v1/serviceaccounts", serviceAccount("shop", "web"));
  });
  assert.ok(m.inputs.namespaces.get("shop") !== undefined);
  assert.ok(m.inputs.serviceAccounts.get("shop/web") !== undefined);
  server.put(GATEWAYS, gateway("shop", "wp"));
  serve(server, "gateways");
  await until(() => m.inputs.gateways.size === 1, "the Gateway");
  server.remove(CRDS, resourceName(RESOURCES.gateways));
  await until(() => m.inputs.gateways.size === 0, "no Gateway");
});
