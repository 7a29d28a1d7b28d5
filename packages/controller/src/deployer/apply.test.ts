// What is applied for a Gateway, and what is left alone because it is somebody else's?

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { KubeClient } from "@ambit/shared/kube/client.ts";
import type { ServiceAccount } from "@ambit/shared/kube/objects/core.ts";
import type { KubeObject } from "@ambit/shared/kube/objects/meta.ts";
import { realWorld } from "@ambit/shared/runtime/run.ts";
import { gateway, gatewayClass, meshOf, SETTINGS, service, serviceAccount } from "../model/test/fixtures.ts";
import { runDeployer } from "./apply.ts";

const UID = "uid-shop-default";

/** A cluster that has these service accounts and takes what is applied; the graph knows only what it was told. */
const start = (t: TestContext, there: readonly ServiceAccount[] = []) => {
  const m = meshOf({ gatewayClasses: [gatewayClass()] });
  const applied: string[] = [];
  const said: string[] = [];
  const stop = new AbortController();
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const client: Pick<KubeClient, "get" | "patch"> = {
    get: async <T extends KubeObject>(_r: unknown, key: { readonly name: string }) =>
      there.find((a) => a.metadata.name === key.name) as T | undefined,
    patch: async <T extends KubeObject>(r: { readonly kind: string }, key: { readonly name: string }) => {
      applied.push(`${r.kind} ${key.name}`);
      return { metadata: { name: key.name } } as T;
    },
  };
  const running = runDeployer(
    {
      client,
      inputs: m.inputs,
      settings: { mesh: SETTINGS, image: "w", imagePullPolicy: "Never", discoveryAddress: { host: "istiod", port: 15012 } },
      world: realWorld(),
      log: (event) => said.push(event),
    },
    stop.signal,
  );
  t.after(async () => {
    stop.abort();
    await running;
  });
  /** Until the queue has been quiet for some turns of the loop. */
  const settled = async (): Promise<void> => {
    for (let i = 0; i < 10; i++) await turn();
  };
  return { m, applied, said, settled };
};

const ALL = ["ServiceAccount default", "Deployment default", "Service default"];

test("nobody has the names: account, deployment and service are applied", async (t) => {
  const { m, applied, settled } = start(t);
  m.put("gateways", gateway("shop", "default", { ready: false }));
  await settled();
  assert.deepEqual(applied, ALL);
});

test("a Gateway named like somebody's ServiceAccount does not take it over, and is deployed once the account is gone", async (t) => {
  const { m, applied, settled } = start(t);
  m.put("serviceAccounts", serviceAccount("shop", "default"));
  m.put("gateways", gateway("shop", "default", { ready: false }));
  await settled();
  assert.deepEqual(applied, []);
  m.remove("serviceAccounts", "shop/default");
  await settled();
  assert.deepEqual(applied, ALL);
});

test("an account that the watch has not told of yet is not taken over either", async (t) => {
  const { m, applied, said, settled } = start(t, [serviceAccount("shop", "default")]);
  m.put("gateways", gateway("shop", "default", { ready: false }));
  await settled();
  assert.deepEqual([applied, said], [[], []]);
});

test("what is the Gateway's own is applied again when it drifts; what is foreign stays", async (t) => {
  const { m, applied, settled } = start(t);
  m.put("serviceAccounts", serviceAccount("shop", "default", UID));
  m.put("gateways", gateway("shop", "default", { ready: false }));
  await settled();
  assert.deepEqual(applied.splice(0), ALL);
  m.remove("serviceAccounts", "shop/default");
  await settled();
  assert.deepEqual(applied.splice(0), ALL, "a deleted account comes back");
  m.put("services", service("shop", "default", { ip: "10.96.0.9" }));
  m.remove("services", "shop/default");
  m.put("services", service("shop", "default", { ip: "10.96.0.9" }));
  await settled();
  assert.deepEqual(applied.splice(0), [], "a Service of somebody else");
});
