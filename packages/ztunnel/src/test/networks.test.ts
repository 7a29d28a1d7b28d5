// Services whose endpoints are on another network: tunnels in tunnels through its gateway, which a relay of ours plays with real TLS.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { workloadCert } from "@ambit/shared/ca/workload-cert.ts";
import { serveTunnels } from "@ambit/shared/hbone/accept.ts";
import type { TunnelRequest, TunnelServer } from "@ambit/shared/hbone/types.ts";
import { spiffeId } from "@ambit/shared/identity/spiffe.ts";
import { listenSocket } from "@ambit/shared/linux/socket.ts";
import { unwrap } from "@ambit/shared/runtime/result.ts";
import { realWorld } from "@ambit/shared/runtime/run.ts";
import { aPort, aService, aWorkload, ip, waypointByHost } from "@ambit/shared/state/fixtures.ts";
import type { GatewayAddress, Service, Workload } from "@ambit/shared/state/types.ts";
import { createTestCa, createTestController, issue } from "./mesh.ts";
import { createTestNet, dialFrom, readToEnd, refusal, serveIn, type TestPod } from "./net.ts";
import { createTestNodes, type TestNode } from "./node.ts";

const PODS = ["client", "near", "far", "stranger", "gateway"] as const;
const net = createTestNet(PODS);
const pods = Object.fromEntries(PODS.map((name) => [name, net.pod(name)])) as Record<(typeof PODS)[number], TestPod>;
const { client, near, far, stranger, gateway } = pods;
const dir = mkdtempSync(join(tmpdir(), "ambit-w-"));
const ca = createTestCa();
const [here, there] = [createTestController(ca), createTestController(ca)];
const [nodesHere, nodesThere] = [createTestNodes(dir, here), createTestNodes(dir, there)];

const VIP = "10.96.8.1";
const HOST = "svc.ns.svc.cluster.local";
const KEY = `ns/${HOST}`;
const GATEWAY_HOST = "gateway.ns.svc.cluster.local";
const serving = { services: { [KEY]: [aPort(80, 8080)] } };
const idOf = (name: string) => spiffeId("cluster.local", "ns", name);
const byIp: GatewayAddress = { destination: { kind: "address", network: "net-b", ip: ip(gateway.v4) }, hboneMtlsPort: 15008 };

const workload = (p: TestPod, network: string, over: Partial<Workload> = {}): Workload =>
  aWorkload(p.name, p.v4, { addresses: [ip(p.v4), ip(p.v6)], serviceAccount: p.name, network, ...over });
const service = (network: string, over: Partial<Service> = {}): Service =>
  aService("svc", "", { addresses: [{ network, ip: ip(VIP) }], subjectAltNames: [idOf("far").uri], ...over });
/** As a controller tells of endpoints beyond a gateway: no address, only who leads there. */
const split = (networkGateway: GatewayAddress): Workload =>
  aWorkload("far", "", { uid: "net-b/SplitHorizonWorkload/gateway/svc", network: "net-b", networkGateway, ...serving });

/** Whom the gateway sends the inner connection to, and what it was asked for. */
const relay = { to: far, asked: [] as TunnelRequest[], as: "gateway" };

const serveGateway = (): Promise<TunnelServer> => {
  const listen = { netns: gateway.netns.fd, family: "ipv6", v6only: false, reuseAddr: true, bind: { ip: "::", port: 15008 } } as const;
  return serveTunnels({
    listen: { fd: listenSocket(listen) },
    certs: () => unwrap(workloadCert(idOf(relay.as), issue(ca, idOf(relay.as)))),
    trustDomain: "cluster.local",
    onRequest: async (request) => {
      relay.asked.push(request);
      const upstream = await dialFrom(gateway, relay.to.v4, 15008);
      const stream = request.accept({});
      upstream.pipe(stream);
      stream.pipe(upstream);
      stream.on("close", () => upstream.destroy());
      upstream.on("error", () => stream.destroy());
    },
    world: realWorld(),
    log: () => undefined,
  });
};

const echoed = async (from: TestPod, host: string, port: number, text = "hello"): Promise<string> => {
  const socket = await dialFrom(from, host, port);
  socket.end(text);
  return readToEnd(socket);
};

describe("networks", { timeout: 60_000 }, () => {
  let one: TestNode;
  let two: TestNode;
  let tunnels: TunnelServer;
  const closing: { close(): void }[] = [];

  before(async () => {
    for (const p of [client, near, far, stranger]) net.capture(p);
    await here.push({
      services: [service("net-a"), aService("gateway", "", { ports: [aPort(15008, 15008)] })],
      workloads: [
        workload(client, "net-a"),
        workload(gateway, "net-b", { services: { [`ns/${GATEWAY_HOST}`]: [aPort(15008, 15008)] } }),
        split(byIp),
      ],
    });
    // The client's address means somebody else over there.
    await there.push({
      services: [service("net-b")],
      workloads: [
        workload(far, "net-b", serving),
        workload(stranger, "net-b"),
        aWorkload("decoy", gateway.v4, { network: "net-b", serviceAccount: "client" }),
      ],
    });
    one = await nodesHere.start("one", [client, near], { NETWORK: "net-a" });
    two = await nodesThere.start("two", [far, stranger], { NETWORK: "net-b" });
    tunnels = await serveGateway();
    const echo = (who: TestPod) => (socket: Socket) => {
      socket.write(`${who.name}:`);
      socket.pipe(socket);
    };
    for (const p of [near, far, stranger]) closing.push(await serveIn(p, 8080, echo(p)));
  });

  after(async () => {
    tunnels?.close();
    for (const s of closing) s.close();
    await one?.stop();
    await two?.stop();
    net[Symbol.dispose]();
    rmSync(dir, { recursive: true });
  });

  test("double_hbone1: through the gateway by its address, to whoever has the service's name", async () => {
    assert.equal(await echoed(client, VIP, 80), "far:hello");
    const [outer] = relay.asked;
    assert.equal(outer?.authority, `${HOST}:80`);
    assert.equal(outer.peer.uri, idOf("client").uri);
    assert.equal(outer.headers["x-forwarded-network"], undefined, "only the inner CONNECT says where it comes from");
    const line = await nodesHere.logged(/one\t.*connection complete.*direction="outbound"/);
    assert.match(line, new RegExp(`dst\\.addr=${gateway.v4}:15008 dst\\.hbone_addr=${HOST}:80`));
    assert.match(line, /dst\.workload="far" dst\.namespace="ns" dst\.identity="spiffe:\/\/cluster\.local\/ns\/ns\/sa\/far"/);
    assert.match(line, /bytes_sent=5 bytes_recv=9/);
  });

  test("x_forwarded_network_header: the far side takes the caller at its word and does not look its address up", async () => {
    nodesThere.forget();
    assert.equal(await echoed(client, VIP, 80), "far:hello");
    const line = await nodesThere.logged(/two\t.*connection complete.*direction="inbound"/);
    assert.match(line, /src\.workload="client" src\.namespace="ns" src\.identity="spiffe:\/\/cluster\.local\/ns\/ns\/sa\/client"/);
    assert.doesNotMatch(line, /decoy/);
    assert.match(line, new RegExp(`dst\\.hbone_addr=${HOST}:80 dst\\.service="${HOST}" dst\\.workload="far"`));
  });

  test("double_hbone2: through the gateway by its hostname, and 50 connections at once share its connection", async () => {
    await here.push({ workloads: [split(waypointByHost("ns", GATEWAY_HOST))] });
    const texts = Array.from({ length: 50 }, (_, i) => `connection ${i}`);
    assert.deepEqual(
      await Promise.all(texts.map((text) => echoed(client, VIP, 80, text))),
      texts.map((text) => `far:${text}`),
    );
    await here.push({ workloads: [split(byIp)] });
  });

  test("2 MB each way arrive whole", async () => {
    const text = "0123456789abcdef".repeat(131_072);
    assert.equal(await echoed(client, VIP, 80, text), `far:${text}`);
  });

  test("whoever is not of the service is refused beyond the gateway, and so is a gateway that is not the gateway", async () => {
    relay.to = stranger;
    assert.equal(await refusal(client, VIP, 80), "ECONNRESET");
    await nodesHere.logged(/one\t.*connection complete.*error=.*spiffe:\/\/cluster\.local\/ns\/ns\/sa\/stranger/);
    relay.to = far;
    assert.equal(await echoed(client, VIP, 80), "far:hello");
  });

  test("a service without names of its own: nobody beyond the gateway would do", async () => {
    await here.push({ services: [service("net-a", { subjectAltNames: [] })] });
    assert.equal(await refusal(client, VIP, 80), "ECONNRESET");
    await nodesHere.logged(/one\t.*the service has no subject alternative names/);
    await here.push({ services: [service("net-a")] });
  });

  test("failover_to_remote: near endpoints first, the gateway when none of them is left", async () => {
    const nearestNetwork = { routingPreference: ["NETWORK" as const], mode: "FAILOVER" as const, healthPolicy: "ONLY_HEALTHY" as const };
    await here.push({ services: [service("net-a", { loadBalancing: nearestNetwork })], workloads: [workload(near, "net-a", serving)] });
    for (let i = 0; i < 5; i++) assert.equal(await echoed(client, VIP, 80), "near:hello");
    await here.push({ workloads: [workload(near, "net-a", { ...serving, status: "UNHEALTHY" })] });
    assert.equal(await echoed(client, VIP, 80), "far:hello");
    await here.push({ services: [service("net-a")], workloads: [workload(near, "net-a")] });
  });

  test("a waypoint on another network is reached through its gateway", async () => {
    const waypoint = waypointByHost("ns", "waypoint.ns.svc.cluster.local");
    await here.push({
      services: [service("net-a", { waypoint }), aService("waypoint", "", { ports: [aPort(15008, 15008)] })],
      workloads: [
        { ...split(byIp), uid: "net-b/SplitHorizonWorkload/gateway/waypoint", services: { "ns/waypoint.ns.svc.cluster.local": [] } },
      ],
    });
    assert.equal(await echoed(client, VIP, 80), "far:hello");
    assert.equal(relay.asked.at(-1)?.authority, `${HOST}:80`);
    await here.push({ services: [service("net-a")] });
  });
});
