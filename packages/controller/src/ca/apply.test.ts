// Does every namespace have the root in ConfigMap istio-ca-root-cert, also after somebody has meddled with it?

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { createKubeClient } from "@ambit/shared/kube/client.ts";
import type { ConfigMap, Namespace } from "@ambit/shared/kube/objects/core.ts";
import { realWorld } from "@ambit/shared/runtime/run.ts";
import { startObjectServer } from "../kube/test/object-server.ts";
import { meshOf, namespace } from "../model/test/fixtures.ts";
import { publishToNamespaces, ROOT_CERT } from "./apply.ts";

const MAPS = "/api/v1/configmaps";
const ROOT = "the root";

const start = async (t: TestContext, namespaces: readonly Namespace[], maps: readonly ConfigMap[] = []) => {
  const server = await startObjectServer();
  for (const map of maps) server.put(MAPS, map);
  const world = realWorld();
  const client = createKubeClient(server.config, world);
  const m = meshOf({ namespaces });
  const stop = new AbortController();
  const log = (event: string, fields: object): void => {
    if (event === "config_map_not_written") assert.fail(`${event} ${JSON.stringify(fields)}`);
  };
  let text: string | undefined = ROOT;
  let changed = (): void => assert.fail("nobody listens");
  const become = (next: string | undefined): void => {
    text = next;
    changed();
  };
  const running = publishToNamespaces(
    {
      client,
      namespaces: m.inputs.namespaces,
      map: ROOT_CERT,
      content: () => text,
      onChange: (listener) => {
        changed = listener;
        return () => undefined;
      },
      world,
      log,
    },
    stop.signal,
  );
  t.after(async () => {
    stop.abort(new Error("test over"));
    await running;
    await client.close();
    await server[Symbol.asyncDispose]();
  });
  const root = (ns: string): string | undefined =>
    (server.get(MAPS, `${ns}/istio-ca-root-cert`) as ConfigMap | undefined)?.data?.["root-cert.pem"];
  const published = (ns: string, want = ROOT): Promise<void> => server.until(() => root(ns) === want, `the root in ${ns}`);
  return { server, m, root, published, become };
};

test("every namespace has it, and one that is made later too", async (t) => {
  const { m, published } = await start(t, [namespace("shop"), namespace("istio-system")]);
  await Promise.all([published("shop"), published("istio-system")]);
  m.put("namespaces", namespace("later"));
  await published("later");
});

test("deleted, it comes back; changed, it is put right", async (t) => {
  const { server, published } = await start(t, [namespace("shop")]);
  await published("shop");
  server.remove(MAPS, "shop/istio-ca-root-cert");
  await published("shop");
  const metadata = { namespace: "shop", name: "istio-ca-root-cert" };
  server.put(MAPS, { metadata, data: { "root-cert.pem": "somebody else's" } } as ConfigMap);
  await published("shop");
  server.put(MAPS, { metadata, data: {} } as ConfigMap);
  await published("shop");
});

test("what is right is not written again, and a namespace that goes gets nothing", async (t) => {
  const right: ConfigMap = { metadata: { namespace: "shop", name: "istio-ca-root-cert" }, data: { "root-cert.pem": ROOT } };
  const going: Namespace = { metadata: { ...namespace("going").metadata, deletionTimestamp: "2026-01-01T00:00:00Z" } };
  const { server, m, root, published } = await start(t, [namespace("shop"), going], [right]);
  m.put("namespaces", namespace("later"));
  await published("later");
  assert.deepEqual(server.writes, ["PATCH later/istio-ca-root-cert"]);
  assert.equal(root("going"), undefined);
});

test("another content is written everywhere; none at all leaves what is there", async (t) => {
  const { server, published, become } = await start(t, [namespace("shop"), namespace("bar")]);
  await Promise.all([published("shop"), published("bar")]);
  become("both roots");
  await Promise.all([published("shop", "both roots"), published("bar", "both roots")]);
  const { length } = server.writes;
  become(undefined);
  become("both roots");
  assert.equal(server.writes.length, length);
});
