// Do client and reflector hold against the real API server?

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createKubeClient, type KubeClient, loadKubeConfig } from "@ambit/shared/kube/client.ts";
import { isAlreadyExists, isConflict, KubeError } from "@ambit/shared/kube/error.ts";
import { runLeader } from "@ambit/shared/kube/leader/run.ts";
import type { ConfigMap, Namespace } from "@ambit/shared/kube/objects/core.ts";
import type { Lease } from "@ambit/shared/kube/objects/discovery.ts";
import { createReflector } from "@ambit/shared/kube/reflector.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import { aborted, realWorld } from "@ambit/shared/runtime/run.ts";
import { type ApiServer, build } from "../../apiserver/app.ts";

// shared/kube against the real API server: TLS, client certificate, paging, watches, 410, restarts.
const world = realWorld();
const start = (dataDir: string, port: number): Promise<ApiServer> =>
  build({ dataDir, address: "127.0.0.1", port, fabric: undefined, nodes: 0, history: 5, bookmarkMs: 50 }, { world, log: () => undefined });

const withServer = async (
  body: (api: { server: ApiServer; restart(): Promise<void>; stop(): Promise<void> }, client: KubeClient) => Promise<void>,
): Promise<void> => {
  const dir = mkdtempSync(join(tmpdir(), "t-kube-client-"));
  let server = await start(dir, 0);
  const { port } = server;
  const client = createKubeClient(loadKubeConfig({ kubeconfig: server.kubeconfig }), world);
  const stop = (): Promise<void> => Promise.resolve(server[Symbol.asyncDispose]());
  const restart = async (): Promise<void> => {
    server = await start(dir, port);
  };
  try {
    await body({ server, restart, stop }, client);
  } finally {
    await client.close();
    await stop();
    rmSync(dir, { recursive: true });
  }
};
const map = (name: string, data: Record<string, string> = {}): ConfigMap => ({ metadata: { namespace: "default", name }, data });

test("verbs: conflict, exists, patches of all kinds, preconditions", () =>
  withServer(async (_api, client) => {
    const made = await client.create<ConfigMap>(RESOURCES.configMaps, map("a", { x: "1" }));
    await assert.rejects(client.create(RESOURCES.configMaps, map("a")), isAlreadyExists);
    const changed = await client.update<ConfigMap>(RESOURCES.configMaps, { ...made, data: { x: "2" } });
    await assert.rejects(client.update(RESOURCES.configMaps, { ...made, data: { x: "3" } }), isConflict);
    const key = { namespace: "default", name: "a" };
    await client.patch(RESOURCES.configMaps, key, { type: "merge", body: { data: { y: "m" } } });
    await client.patch(RESOURCES.configMaps, key, { type: "strategic", body: { data: { z: "s" } } });
    await client.patch(RESOURCES.configMaps, key, { type: "json", body: [{ op: "remove", path: "/data/x" }] });
    const applied = await client.patch<ConfigMap>(RESOURCES.configMaps, key, {
      type: "apply",
      body: { data: { own: "a" } },
      fieldManager: "t",
      force: true,
    });
    assert.deepEqual(applied.data, { y: "m", z: "s", own: "a" });
    await assert.rejects(client.delete(RESOURCES.configMaps, key, { uid: "another" }), (e) => e instanceof KubeError && e.status === 409);
    await client.delete(RESOURCES.configMaps, key, { uid: changed.metadata.uid });
    await client.delete(RESOURCES.configMaps, key);
    assert.equal(await client.get(RESOURCES.configMaps, key), undefined);
    await assert.rejects(
      client.create<Namespace>(RESOURCES.namespaces, { metadata: { name: "No!" } }),
      (e) => e instanceof KubeError && e.status === 422,
    );
  }));

test("a list of more than a page is whole", () =>
  withServer(async (_api, client) => {
    await Promise.all(Array.from({ length: 520 }, (_, i) => client.create(RESOURCES.configMaps, map(`m${i}`))));
    assert.equal((await client.list(RESOURCES.configMaps, { namespace: "default" })).items.length, 520);
  }));

test("a reflector lives through a restart, and through changes beyond what the server remembers", () =>
  withServer(async (api, client) => {
    const stop = new AbortController();
    const logs: string[] = [];
    const waiting = new Set<() => void>();
    const reflector = createReflector<ConfigMap>({
      client,
      resource: RESOURCES.configMaps,
      namespace: "default",
      world,
      log: (event) => void logs.push(event),
    });
    reflector.subscribe(() => {
      for (const w of waiting) w();
    });
    const until = (done: () => boolean): Promise<void> =>
      new Promise((resolve, reject) => {
        const deadline = AbortSignal.timeout(15_000);
        deadline.addEventListener("abort", () =>
          reject(new Error(`not within 15 s: ${reflector.list().map((o) => o.metadata.name)} ${logs}`)),
        );
        const look = (): void => {
          if (done()) resolve();
        };
        waiting.add(look);
        look();
      });
    const running = reflector.run(stop.signal);
    await reflector.synced(AbortSignal.timeout(10_000));
    await client.create(RESOURCES.configMaps, map("a"));
    await until(() => reflector.get("default/a") !== undefined);

    await api.stop();
    assert.ok(reflector.get("default/a") !== undefined, "the state is kept while the server is away");
    await api.restart();
    await client.close(); // its kept-alive connection is dead, and a POST on it would not be sent again
    await client.create(RESOURCES.configMaps, map("b"));
    await until(() => reflector.get("default/b") !== undefined);

    // Eight changes while the server is down to us are more than the five it remembers.
    await api.stop();
    await api.restart();
    await client.close();
    await Promise.all(Array.from({ length: 8 }, (_, i) => client.create(RESOURCES.configMaps, map(`c${i}`))));
    await client.delete(RESOURCES.configMaps, { namespace: "default", name: "a" });
    await until(() => reflector.list().length === 9 && reflector.get("default/a") === undefined);
    stop.abort(new Error("test over"));
    await running;
  }));

test("leader election: one leads; a clean exit hands over at once", () =>
  withServer(async (_api, client) => {
    const events: string[] = [];
    const stand = (self: string, signal: AbortSignal): { leads: Promise<void>; done: Promise<void> } => {
      const leads = Promise.withResolvers<void>();
      const times = { leaseMs: 3_000, renewMs: 2_000, retryMs: 100 };
      const done = runLeader(
        { client, namespace: "default", name: "l", self, world, times, log: () => undefined },
        async (term) => {
          events.push(`${self} leads`);
          leads.resolve();
          await aborted(term);
          events.push(`${self} stops`);
        },
        signal,
      );
      return { leads: leads.promise, done };
    };
    const [stopA, stopB] = [new AbortController(), new AbortController()];
    const a = stand("a", stopA.signal);
    await a.leads;
    const b = stand("b", stopB.signal);
    assert.equal((await client.get<Lease>(RESOURCES.leases, { namespace: "default", name: "l" }))?.spec?.holderIdentity, "a");
    stopA.abort(new Error("bye"));
    await a.done;
    await b.leads;
    stopB.abort(new Error("bye"));
    await b.done;
    assert.deepEqual(events, ["a leads", "a stops", "b leads", "b stops"]);
  }));
