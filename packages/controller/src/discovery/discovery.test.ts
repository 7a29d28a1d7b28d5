// Do proxies get the right resources, in the right order, over a real stream? (istio's TestWorkload, TestDeltaWDS, TestWorkloadAuthorizationPolicy)

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { setTimeout as deadline } from "node:timers/promises";
import { createChannel } from "@ambit/shared/grpc/channel.ts";
import { serveGrpc } from "@ambit/shared/grpc/serve.ts";
import { err, ok, unwrap } from "@ambit/shared/runtime/result.ts";
import { realWorld } from "@ambit/shared/runtime/run.ts";
import { createRoot } from "@ambit/shared/tls/issue.ts";
import { decodeAddress } from "@ambit/shared/wire/address-read.ts";
import { decodeAuthorization } from "@ambit/shared/wire/authorization.ts";
import { ADDRESS_TYPE, AUTHORIZATION_TYPE, type Node, WAYPOINT_SERVICE_TYPE } from "@ambit/shared/wire/types.ts";
import { decodeWaypointService } from "@ambit/shared/wire/waypoint.ts";
import { createXdsClient, type XdsType } from "@ambit/shared/xds/client.ts";
import { createServingCertificate, servingNames } from "../ca/serve.ts";
import { authz, gateway, meshOf, namespace, pod, service } from "../model/test/fixtures.ts";
import type { Caller } from "../tokens/identity.ts";
import { identifyProxy } from "./auth.ts";
import { createDiscovery } from "./server.ts";

const world = realWorld();
const now = world.now();
const root = createRoot({ notBefore: now - 60_000, notAfter: now + 3_600_000, organization: "test" });
const TOKENS: Readonly<Record<string, Caller>> = {
  ztunnel: { namespace: "istio-system", serviceAccount: "ztunnel", pod: undefined },
  wp: { namespace: "shop", serviceAccount: "wp", pod: undefined },
  web: { namespace: "shop", serviceAccount: "web", pod: undefined },
};
const ZTUNNELS = ["istio-system/ztunnel"];
const USE = { "istio.io/use-waypoint": "wp" };

const start = async (t: TestContext) => {
  const m = meshOf({
    namespaces: [namespace("shop")],
    services: [service("shop", "web", { ip: "10.96.0.5", labels: USE }), service("shop", "other", { ip: "10.96.0.6" })],
    pods: [
      pod("shop", "web-1", { ip: "10.244.1.2", labels: { app: "web" }, captured: true }),
      pod("shop", "other-1", { ip: "10.244.1.3", labels: { app: "other" } }),
    ],
    gateways: [gateway("shop", "wp")],
    authorizationPolicies: [authz("shop", "l7", { targetRefs: [{ kind: "Service", name: "web" }], rules: [{}] })],
  });
  const review = async (token: string) => (TOKENS[token] === undefined ? err("the token is not valid") : ok(TOKENS[token]));
  const refused: string[] = [];
  const onRefused = new Set<() => void>();
  const log = (event: string, fields: object): void => {
    if (event !== "xds stream refused") return;
    refused.push(String((fields as { error: string }).error));
    for (const heard of onRefused) heard();
  };
  const authority = { signer: root, chainPem: [], rootsPem: [root.certPem], notAfter: now + 3_600_000 };
  const names = servingNames({ service: "istiod", namespace: "istio-system", clusterDomain: "cluster.local" });
  const serving = createServingCertificate({ authority: () => authority, onChange: () => () => undefined, names }, world);
  const serve = async (port: number) => {
    const discovery = createDiscovery({ mesh: m.mesh, review, ztunnelAccounts: ZTUNNELS, log });
    const server = await serveGrpc({ bind: `127.0.0.1:${port}`, tls: serving, services: [discovery] });
    const close = async (): Promise<void> => {
      discovery.close();
      await server.drain(1_000);
      server.close();
    };
    return { port: server.port, close };
  };
  let running = await serve(0);
  const { port } = running;
  const restart = async (): Promise<void> => {
    await running.close();
    running = await serve(port);
  };
  const stop = new AbortController();
  t.after(async () => {
    stop.abort();
    await running.close();
  });
  return { m, refused, onRefused, port, signal: stop.signal, restart };
};
type Rig = Awaited<ReturnType<typeof start>>;

/** A proxy that keeps what it is sent, and an ordered record of it. */
const connect = (
  rig: Rig,
  who: { readonly token: string; readonly node: Node; readonly onDemand?: boolean; readonly types: readonly string[] },
) => {
  const held = new Map<string, Uint8Array>();
  const record: string[] = [];
  const waiters = new Set<() => void>();
  const types = who.types.map(
    (typeUrl): XdsType => ({
      typeUrl,
      subscribe: who.onDemand === true && typeUrl === ADDRESS_TYPE ? "on-demand" : "wildcard",
      apply: ({ upserts, removed }) => {
        const short = typeUrl.split(".").at(-1) ?? "";
        for (const r of upserts) {
          held.set(r.name, r.value);
          record.push(`${short} + ${r.name}`);
        }
        for (const name of removed) {
          held.delete(name);
          record.push(`${short} - ${name}`);
        }
        for (const w of waiters) w();
        return { rejected: [] };
      },
    }),
  );
  const channel = createChannel({
    address: `127.0.0.1:${rig.port}`,
    roots: { kind: "pem", pem: root.certPem },
    serverName: "istiod.istio-system.svc",
    headers: { authorization: `Bearer ${who.token}` },
  });
  const client = createXdsClient({ channel, node: who.node, types, world, log: () => undefined });
  const running = client.run(rig.signal).finally(() => channel.close());
  /** Waits for what is sent, never for time. */
  const until = async (what: () => boolean, says: string): Promise<void> => {
    const over = new AbortController();
    const seen = new Promise<void>((resolve) => {
      const look = (): void => {
        if (what()) resolve();
      };
      waiters.add(look);
      look();
    });
    const late = deadline(5_000, undefined, { signal: over.signal }).then(
      () => assert.fail(`never: ${says}; got ${record.join(", ")}`),
      () => undefined,
    );
    await Promise.race([seen, late]);
    over.abort();
  };
  return { client, held, record, until, running, synced: () => client.firstSync(AbortSignal.timeout(5_000)) };
};

const ztunnel: Node = {
  id: "ztunnel~10.244.1.9~ztunnel-1.istio-system~istio-system.svc.cluster.local",
  metadata: { NAMESPACE: "istio-system", NODE_NAME: "node1" },
};
const waypoint: Node = { id: "waypoint~10.244.1.8~wp-1.shop~shop.svc.cluster.local", metadata: { NAMESPACE: "shop", GATEWAY_NAME: "wp" } };
const WEB = "shop/web.shop.svc.cluster.local";
const WEB_1 = "Kubernetes//Pod/shop/web-1";

test("a ztunnel gets every address and policy, and changes only after that", async (t) => {
  const rig = await start(t);
  const z = connect(rig, { token: "ztunnel", node: ztunnel, types: [AUTHORIZATION_TYPE, ADDRESS_TYPE] });
  await z.synced();
  assert.deepEqual([...z.held.keys()].toSorted(), ["Kubernetes//Pod/shop/other-1", WEB_1, "shop/other.shop.svc.cluster.local", WEB]);
  const web = unwrap(decodeAddress(z.held.get(WEB_1) ?? new Uint8Array()));
  assert.equal(web.kind === "workload" ? web.workload.tunnelProtocol : "", "HBONE");
  z.record.length = 0;
  rig.m.put("pods", pod("shop", "web-2", { ip: "10.244.1.4", labels: { app: "web" } }));
  rig.m.remove("pods", "shop/other-1");
  await z.until(() => z.record.length >= 2, "the two changes");
  assert.deepEqual(z.record.toSorted(), ["Address + Kubernetes//Pod/shop/web-2", "Address - Kubernetes//Pod/shop/other-1"]);
});

test("a policy comes before the workloads that name it, and goes after they no longer do", async (t) => {
  const rig = await start(t);
  const z = connect(rig, { token: "ztunnel", node: ztunnel, types: [AUTHORIZATION_TYPE, ADDRESS_TYPE] });
  await z.synced();
  z.record.length = 0;
  rig.m.put("authorizationPolicies", authz("shop", "p", { selector: { matchLabels: { app: "web" } }, rules: [{}] }));
  await z.until(() => z.record.length === 2, "policy and workload");
  assert.deepEqual(z.record, ["Authorization + shop/p", `Address + ${WEB_1}`]);
  assert.equal(unwrap(decodeAuthorization(z.held.get("shop/p") ?? new Uint8Array())).scope, "WORKLOAD_SELECTOR");
  z.record.length = 0;
  rig.m.remove("authorizationPolicies", "shop/p");
  await z.until(() => z.record.length === 2, "workload and policy");
  assert.deepEqual(z.record, [`Address + ${WEB_1}`, "Authorization - shop/p"]);
});

test("a waypoint gets the services it owns, and only those; backends on demand with their workloads", async (t) => {
  const rig = await start(t);
  const w = connect(rig, { token: "wp", node: waypoint, onDemand: true, types: [WAYPOINT_SERVICE_TYPE, ADDRESS_TYPE] });
  await w.synced();
  assert.deepEqual([...w.held.keys()], [WEB]);
  assert.deepEqual(
    unwrap(decodeWaypointService(w.held.get(WEB) ?? new Uint8Array())).policies.map((p) => p.name),
    ["l7"],
  );
  w.held.clear();
  w.client.subscribe(ADDRESS_TYPE, ["shop/other.shop.svc.cluster.local"]);
  await w.until(() => w.held.size === 2, "the service and its workload");
  assert.deepEqual([...w.held.keys()].toSorted(), ["Kubernetes//Pod/shop/other-1", "shop/other.shop.svc.cluster.local"]);
  rig.m.put("pods", pod("shop", "other-2", { ip: "10.244.1.5", labels: { app: "other" } }));
  await w.until(() => w.held.has("Kubernetes//Pod/shop/other-2"), "the new endpoint");
  rig.m.remove("pods", "shop/other-1");
  await w.until(() => !w.held.has("Kubernetes//Pod/shop/other-1"), "the removed endpoint");
  w.client.subscribe(ADDRESS_TYPE, ["/10.244.1.2"]);
  await w.until(() => w.held.has(WEB_1), "a workload by its address");
  rig.m.put("services", service("shop", "other", { ip: "10.96.0.6", labels: USE }));
  await w.until(() => w.record.includes("Service + shop/other.shop.svc.cluster.local"), "a service bound later");
  rig.m.put("services", service("shop", "web", { ip: "10.96.0.5" }));
  await w.until(() => w.record.includes(`Service - ${WEB}`), "a service that is no longer bound");
});

test("another service account gets nothing of the mesh, whatever gateway it names, until it has a waypoint", async (t) => {
  const rig = await start(t);
  const types = [AUTHORIZATION_TYPE, ADDRESS_TYPE, WAYPOINT_SERVICE_TYPE];
  const liar = connect(rig, { token: "web", node: waypoint, types });
  const early = connect(rig, { token: "web", node: { ...waypoint, metadata: { NAMESPACE: "shop", GATEWAY_NAME: "web" } }, types });
  await Promise.all([liar.synced(), early.synced()]);
  rig.m.put("pods", pod("shop", "web-2", { ip: "10.244.1.4", labels: { app: "web" } }));
  assert.deepEqual([liar.held.size, early.held.size], [0, 0]);
  rig.m.put("gateways", gateway("shop", "web"));
  await early.until(
    () => early.held.has("Kubernetes//Pod/shop/web-2") && early.held.has(WEB),
    "the addresses, now that there is a waypoint",
  );
  rig.m.remove("gateways", "shop/web");
  await early.until(() => early.held.size === 0, "nothing, now that it has gone");
  assert.equal(liar.held.size, 0);
});

test("a waypoint gets no ztunnel's policies", async (t) => {
  const rig = await start(t);
  rig.m.put("authorizationPolicies", authz("shop", "p", { rules: [{}] }));
  const w = connect(rig, { token: "wp", node: waypoint, types: [AUTHORIZATION_TYPE, ADDRESS_TYPE] });
  await w.synced();
  assert.equal(w.held.has("shop/p"), false);
  assert.equal(w.held.has(WEB), true);
});

test("without a valid token, or with a description that contradicts it, there is no stream", async (t) => {
  const rig = await start(t);
  const refusal = () => new Promise<void>((resolve) => rig.onRefused.add(resolve));
  const first = refusal();
  const bad = connect(rig, { token: "nobody", node: ztunnel, types: [ADDRESS_TYPE] });
  await first;
  assert.deepEqual(rig.refused, ["the token is not valid"]);
  const other = connect(rig, { token: "web", node: ztunnel, types: [ADDRESS_TYPE] });
  while (!rig.refused.includes("the node says istio-system/web, its token belongs to shop/web")) await refusal();
  assert.equal(bad.held.size + other.held.size, 0);
});

test("TestWorkloadReconnect: after a clean end a proxy comes back, holds what it had, and gets only what changed", async (t) => {
  const rig = await start(t);
  const z = connect(rig, { token: "ztunnel", node: ztunnel, types: [AUTHORIZATION_TYPE, ADDRESS_TYPE] });
  await z.synced();
  z.record.length = 0;
  await rig.restart();
  rig.m.put("pods", pod("shop", "web-2", { ip: "10.244.1.4", labels: { app: "web" } }));
  await z.until(() => z.record.length > 0, "the change after coming back");
  assert.deepEqual(z.record, ["Address + Kubernetes//Pod/shop/web-2"]);
});

const identities: readonly { readonly name: string; readonly node: Node; readonly caller: string; readonly expect: string }[] = [
  { name: "ztunnel", node: ztunnel, caller: "ztunnel", expect: "ztunnel istio-system/ztunnel" },
  {
    name: "namespace from the id when the metadata has none",
    node: { id: ztunnel.id, metadata: {} },
    caller: "ztunnel",
    expect: "ztunnel istio-system/ztunnel",
  },
  { name: "waypoint with its gateway", node: waypoint, caller: "wp", expect: "waypoint shop/wp shop/wp" },
  {
    name: "waypoint without gateway name: its account's name",
    node: { id: waypoint.id, metadata: {} },
    caller: "wp",
    expect: "waypoint shop/wp shop/wp",
  },
  {
    name: "another kind of node",
    node: { id: "sidecar~1~a.shop~shop.svc", metadata: {} },
    caller: "web",
    expect: 'node type "sidecar" is not served: want ztunnel or waypoint',
  },
  {
    name: "a ztunnel by its own word only",
    node: { id: "ztunnel~10.244.1.2~web-1.shop~shop.svc.cluster.local", metadata: {} },
    caller: "web",
    expect: "shop/web is no ztunnel: those run as istio-system/ztunnel",
  },
  { name: "another namespace", node: ztunnel, caller: "web", expect: "the node says istio-system/web, its token belongs to shop/web" },
  {
    name: "another account",
    node: { ...waypoint, metadata: { NAMESPACE: "shop", SERVICE_ACCOUNT: "wp" } },
    caller: "web",
    expect: "the node says shop/wp, its token belongs to shop/web",
  },
];
for (const c of identities)
  test(`identity: ${c.name}`, () => {
    const caller = TOKENS[c.caller];
    const r = caller === undefined ? err("no such token") : identifyProxy(caller, c.node, ZTUNNELS);
    assert.equal(
      r.ok ? [r.value.kind, `${r.value.namespace}/${r.value.serviceAccount}`, r.value.gateway].filter(Boolean).join(" ") : r.error,
      c.expect,
    );
  });
