// Istio's own scenarios for ztunnel, by their names (ztunnel tests/namespaced.rs), with real namespaces, redirection and TLS.

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { EMPTY_MATCH, type Policy } from "@ambit/shared/authz/types.ts";
import { workloadCert } from "@ambit/shared/ca/workload-cert.ts";
import { serveTunnels } from "@ambit/shared/hbone/accept.ts";
import type { TunnelRequest, TunnelServer } from "@ambit/shared/hbone/types.ts";
import { spiffeId } from "@ambit/shared/identity/spiffe.ts";
import { listenSocket } from "@ambit/shared/linux/socket.ts";
import { unwrap } from "@ambit/shared/runtime/result.ts";
import { realWorld } from "@ambit/shared/runtime/run.ts";
import { aPort, aService, aWorkload, ip, waypointByHost, waypointByIp } from "@ambit/shared/state/fixtures.ts";
import type { Service, Workload } from "@ambit/shared/state/types.ts";
import { createTestCa, createTestController, issue } from "./mesh.ts";
import { createTestNet, cutOf, dialFrom, readToEnd, refusal, serveIn, type TestPod } from "./net.ts";
import { announce, ask, connectAs, createTestNodes, type TestNode } from "./node.ts";

const PODS = ["client", "server", "remote", "plain", "waypoint", "sandwich"] as const;
const net = createTestNet(PODS);
const pods = Object.fromEntries(PODS.map((name) => [name, net.pod(name)])) as Record<(typeof PODS)[number], TestPod>;
const { client, server, remote, plain, waypoint, sandwich } = pods;
const dir = mkdtempSync(join(tmpdir(), "ambit-n-"));
const ca = createTestCa();
const controller = createTestController(ca);
const nodes = createTestNodes(dir, controller);

const ECHO_PORT = 8080;
const SANDWICH_PORT = 15088;
const VIP = "10.96.7.1";
const SERVICE_KEY = "ns/svc.ns.svc.cluster.local";
const WAYPOINT_VIP = "10.96.7.2";
const WAYPOINT_HOST = "waypoint.ns.svc.cluster.local";
const SANDWICH_HOST = "sandwich.ns.svc.cluster.local";

const workload = (p: TestPod, over: Partial<Workload> = {}): Workload =>
  aWorkload(p.name, p.v4, { addresses: [ip(p.v4), ip(p.v6)], serviceAccount: p.name, ...over });
const serving = { services: { [SERVICE_KEY]: [aPort(80, ECHO_PORT)] } };
const service = (over: Partial<Service> = {}): Service => aService("svc", VIP, over);

const denyRemote: Policy = {
  namespace: "ns",
  name: "deny-remote",
  scope: "NAMESPACE",
  action: "DENY",
  dryRun: false,
  rules: [{ clauses: [{ matches: [{ ...EMPTY_MATCH, principals: [{ kind: "exact", value: "cluster.local/ns/ns/sa/remote" }] }] }] }],
};

const identity = (p: TestPod) => spiffeId("cluster.local", "ns", p.name);

/** A waypoint for tests: it names itself and what it was asked for, then gives back what comes. */
const answerAsWaypoint = (request: TunnelRequest): void => {
  const stream = request.accept({});
  stream.write(`waypoint for ${request.authority} of ${request.peer.uri}\n`);
  stream.pipe(stream);
};

const serveWaypoint = (): Promise<TunnelServer> => {
  const cert = unwrap(workloadCert(identity(waypoint), issue(ca, identity(waypoint))));
  const fd = listenSocket({ netns: waypoint.netns.fd, family: "ipv6", v6only: false, reuseAddr: true, bind: { ip: "::", port: 15008 } });
  return serveTunnels({
    listen: { fd },
    certs: () => cert,
    trustDomain: "cluster.local",
    onRequest: answerAsWaypoint,
    world: realWorld(),
    log: () => undefined,
  });
};

const echoed = async (from: TestPod, host: string, port: number, text = "hello"): Promise<string> => {
  const socket = await dialFrom(from, host, port);
  socket.end(text);
  return readToEnd(socket);
};

/** How many connections a node has opened, by reporter and by whether TLS secured them. */
const opened = async (node: TestNode, reporter: "source" | "destination", security: "mutual_tls" | "unknown"): Promise<number> => {
  const text = await (await fetch(`http://127.0.0.1:${node.app.ports.stats}/metrics`)).text();
  return text
    .split("\n")
    .filter((l) => l.startsWith("istio_tcp_connections_opened_total{"))
    .filter((l) => l.includes(`reporter="${reporter}"`) && l.includes(`connection_security_policy="${security}"`))
    .reduce((sum, l) => sum + Number(l.slice(l.lastIndexOf(" "))), 0);
};

describe("namespaced", { timeout: 90_000 }, () => {
  let one: TestNode;
  let two: TestNode;
  let tunnels: TunnelServer;
  const closing: { close(): void }[] = [];
  /** Source addresses that the servers saw. */
  const seen: string[] = [];
  /** What the sandwiched waypoint's application was sent first. */
  const heard: Buffer[] = [];

  before(async () => {
    for (const p of [client, server, remote, sandwich]) net.capture(p);
    await controller.push({
      services: [
        service(),
        aService("waypoint", WAYPOINT_VIP, { ports: [aPort(15008, 15008)] }),
        aService("sandwich", "10.96.7.3", { ports: [aPort(15008, 15008)] }),
      ],
      workloads: [
        workload(client),
        workload(server, serving),
        workload(remote, { node: "node2", ...serving }),
        workload(waypoint, { hostname: "waypoint.example", services: { [`ns/${WAYPOINT_HOST}`]: [aPort(15008, 15008)] } }),
        workload(sandwich, { services: { [`ns/${SANDWICH_HOST}`]: [aPort(15008, 15008)] } }),
      ],
    });
    one = await nodes.start("one", [client, server, sandwich]);
    two = await nodes.start("two", [remote], { CONNECTION_TERMINATION_DEADLINE: "10s" });
    tunnels = await serveWaypoint();
    const echo = (who: TestPod) => (socket: Socket) => {
      seen.push(`${who.name} ${(socket.remoteAddress ?? "").replace("::ffff:", "")}`);
      socket.write(`${who.name}:`);
      socket.pipe(socket);
    };
    for (const p of [server, remote, plain]) closing.push(await serveIn(p, ECHO_PORT, echo(p)));
    closing.push(
      await serveIn(sandwich, SANDWICH_PORT, (socket) => {
        socket.once("data", (chunk: Buffer) => heard.push(chunk));
        socket.once("end", () => socket.end("sandwich"));
      }),
    );
  });

  after(async () => {
    tunnels?.close();
    for (const s of closing) s.close();
    await one?.stop();
    await two?.stop();
    net[Symbol.dispose]();
    rmSync(dir, { recursive: true });
  });

  /** The state as every scenario begins: no waypoints, no policies. */
  const restore = (): Promise<void> =>
    controller.push({ services: [service()], workloads: [workload(server, serving), workload(remote, { node: "node2", ...serving })] });

  test("local_captured_inpod", async () => {
    const before = [await opened(one, "source", "mutual_tls"), await opened(one, "destination", "mutual_tls")] as const;
    assert.equal(await echoed(client, server.v4, ECHO_PORT), "server:hello");
    assert.equal(seen.at(-1), `server ${client.v4}`);
    assert.equal(await opened(one, "source", "mutual_tls"), before[0] + 1);
    assert.equal(await opened(one, "destination", "mutual_tls"), before[1] + 1);
  });

  test("cross_node_captured_inpod", async () => {
    const before = [await opened(one, "source", "mutual_tls"), await opened(two, "destination", "mutual_tls")] as const;
    assert.equal(await echoed(client, remote.v4, ECHO_PORT), "remote:hello");
    assert.equal(seen.at(-1), `remote ${client.v4}`);
    assert.equal(await opened(one, "source", "mutual_tls"), before[0] + 1);
    assert.equal(await opened(two, "destination", "mutual_tls"), before[1] + 1);
  });

  test("hbone_request, tcp_request, vip_request: their connections and bytes are counted (tcp_connections_metrics, tcp_bytes_metrics)", async () => {
    const counted = async (family: string): Promise<number> => {
      const text = await (await fetch(`http://127.0.0.1:${one.app.ports.stats}/metrics`)).text();
      return text
        .split("\n")
        .filter((l) => l.startsWith(`istio_tcp_${family}_total{reporter="source",source_workload="client"`))
        .reduce((sum, l) => sum + Number(l.slice(l.lastIndexOf(" "))), 0);
    };
    const all = () => Promise.all(["connections_opened", "connections_closed", "sent_bytes", "received_bytes"].map(counted));
    for (const [host, port] of [
      [remote.v4, ECHO_PORT],
      [plain.v4, ECHO_PORT],
      [VIP, 80],
    ] as const) {
      const before = await all();
      const answer = await echoed(client, host, port, "12345");
      assert.match(answer, /:12345$/);
      // Received is what came from the client, sent what went to it, whoever reports.
      const grown = [1, 1, answer.length, 5];
      for (const deadline = AbortSignal.timeout(5_000); ; ) {
        const now = await all();
        const growth = now.map((n, i) => n - (before[i] ?? 0));
        if (growth.every((n, i) => n === grown[i])) break;
        if (deadline.aborted) assert.deepEqual(growth, grown, `${host}:${port}`);
      }
    }
  });

  test("explain says who is reached without a tunnel", async () => {
    const text = async (to: TestPod): Promise<string> =>
      JSON.parse((await ask(one, `/explain/outbound?namespace=ns&pod=client&to=${to.v4}:${ECHO_PORT}`)).body).text;
    assert.match(await text(server), /HBONE straight to .*ns\/server .*handed over within it and needs no tunnel/);
    assert.match(await text(remote), /HBONE straight to .*ns\/remote [^;]*$/);
  });

  test("server_uncaptured_inpod", async () => {
    const before = await opened(one, "source", "unknown");
    assert.equal(await echoed(client, plain.v4, ECHO_PORT), "plain:hello");
    assert.equal(await opened(one, "source", "unknown"), before + 1);
  });

  test("client_uncaptured_inpod", async () => {
    const before = await opened(two, "destination", "unknown");
    assert.equal(await echoed(plain, remote.v4, ECHO_PORT), "remote:hello");
    assert.equal(seen.at(-1), `remote ${plain.v4}`);
    assert.equal(await opened(two, "destination", "unknown"), before + 1);
  });

  test("workload_waypoint", async () => {
    await controller.push({ workloads: [workload(remote, { node: "node2", ...serving, waypoint: waypointByIp(waypoint.v4) })] });
    const answer = `waypoint for ${remote.v4}:${ECHO_PORT} of ${identity(client).uri}\nhello`;
    assert.equal(await echoed(client, remote.v4, ECHO_PORT), answer);
    // A workload's waypoint is for those who address it as such.
    assert.match(await echoed(client, VIP, 80), /^(server|remote):hello$/);
    await restore();
  });

  test("service_waypoint", async () => {
    await controller.push({ services: [service({ waypoint: waypointByIp(waypoint.v4) })] });
    assert.equal(await echoed(client, VIP, 80), `waypoint for ${VIP}:80 of ${identity(client).uri}\nhello`);
    assert.equal(await echoed(client, remote.v4, ECHO_PORT), "remote:hello");
    await restore();
  });

  test("service_waypoint_hostname", async () => {
    await controller.push({ services: [service({ waypoint: waypointByHost("ns", WAYPOINT_HOST) })] });
    assert.equal(await echoed(client, VIP, 80), `waypoint for ${VIP}:80 of ${identity(client).uri}\nhello`);
    await restore();
  });

  test("service_waypoint_workload_hostname", async () => {
    await controller.push({ services: [service({ waypoint: waypointByHost("ns", "waypoint.example") })] });
    assert.equal(await echoed(client, VIP, 80), `waypoint for ${VIP}:80 of ${identity(client).uri}\nhello`);
    await restore();
  });

  test("sandwich_waypoint_plain", async () => {
    heard.length = 0;
    const tunnel = { protocol: "NONE" as const, port: SANDWICH_PORT };
    await controller.push({
      services: [service({ waypoint: waypointByHost("ns", SANDWICH_HOST) })],
      workloads: [workload(sandwich, { services: { [`ns/${SANDWICH_HOST}`]: [aPort(15008, 15008)] }, applicationTunnel: tunnel })],
    });
    assert.equal(await echoed(client, VIP, 80), "sandwich");
    assert.equal(String(heard[0]), "hello");
    await restore();
  });

  test("sandwich_waypoint_proxy_protocol", async () => {
    heard.length = 0;
    const tunnel = { protocol: "PROXY" as const, port: SANDWICH_PORT };
    await controller.push({
      services: [service({ waypoint: waypointByHost("ns", SANDWICH_HOST) })],
      workloads: [workload(sandwich, { services: { [`ns/${SANDWICH_HOST}`]: [aPort(15008, 15008)] }, applicationTunnel: tunnel })],
    });
    assert.equal(await echoed(client, VIP, 80), "sandwich");
    const header = heard[0] ?? Buffer.alloc(0);
    assert.equal(header.subarray(0, 14).toString("hex"), "0d0a0d0a000d0a515549540a2111");
    const address = (at: number): string => [...header.subarray(at, at + 4)].join(".");
    assert.deepEqual([address(16), address(20), header.readUInt16BE(26)], [client.v4, VIP, 80]);
    const identityTlv = header.subarray(28);
    assert.equal(identityTlv[0], 0xd0);
    assert.equal(String(identityTlv.subarray(3, 3 + identityTlv.readUInt16BE(1))), identity(client).uri);
    await restore();
  });

  test("service_loadbalancing", async () => {
    const answers = await Promise.all(Array.from({ length: 100 }, () => echoed(client, VIP, 80)));
    const of = (name: string): number => answers.filter((a) => a === `${name}:hello`).length;
    assert.equal(of("server") + of("remote"), 100);
    // Each is as likely: fewer than 20 of 100 come once in a billion runs.
    assert.ok(of("server") >= 20 && of("remote") >= 20, `${of("server")} to ${of("remote")}`);
  });

  test("test_policy", async () => {
    await controller.push({ policies: [denyRemote] });
    const asRemote = { identity: identity(remote), from: remote };
    assert.equal(
      await connectAs(ca, { ...asRemote, from: plain }, server, `${server.v4}:8080`),
      `the peer answered 401 to CONNECT ${server.v4}:8080`,
    );
    assert.equal(await connectAs(ca, { identity: identity(client), from: plain }, server, `${server.v4}:8080`), "200");
    assert.equal(await refusal(remote, server.v4, ECHO_PORT), "ECONNRESET");
    await controller.push({ removedPolicies: ["ns/deny-remote"] });
    assert.equal(await echoed(remote, server.v4, ECHO_PORT), "server:hello");
  });

  test("hbone_ip_mismatch", async () => {
    const authority = `${client.v4}:8080`;
    assert.equal(
      await connectAs(ca, { identity: identity(plain), from: plain }, server, authority),
      `the peer answered 400 to CONNECT ${authority}`,
    );
  });

  test("test_svc_hostname_port", async () => {
    const who = { identity: identity(plain), from: plain };
    assert.equal(await connectAs(ca, who, server, "svc.ns.svc.cluster.local:80"), "200");
    for (const authority of ["svc.ns.svc.cluster.local:81", "nobody.ns.svc.cluster.local:80"])
      assert.equal(await connectAs(ca, who, server, authority), `the peer answered 503 to CONNECT ${authority}`);
  });

  test("test_svc_hostname_named_port", async () => {
    // Named: the service says 0, each endpoint says which port it is.
    await controller.push({ services: [service({ ports: [aPort(80, 0)] })] });
    assert.equal(await connectAs(ca, { identity: identity(plain), from: plain }, server, "svc.ns.svc.cluster.local:80"), "200");
    assert.match(await echoed(client, VIP, 80), /^(server|remote):hello$/);
    await restore();
  });

  test("trust_domain_mismatch_rejected", async () => {
    const stranger = { identity: spiffeId("other.example", "ns", "client"), from: plain };
    assert.notEqual(await connectAs(ca, stranger, server, `${server.v4}:8080`), "200");
  });

  test("malicious_calls_inpod", async () => {
    const answer = async (from: TestPod, host: string, port: number): Promise<string> => {
      try {
        return await echoed(from, host, port, "x");
      } catch (e) {
        return e instanceof Error ? e.message : String(e);
      }
    };
    for (const port of [15001, 15006, 15008]) {
      for (const host of [server.v4, VIP, "127.0.0.1", client.v4])
        assert.match(await answer(client, host, port), /^$|ECONNRESET|ECONNREFUSED|EPIPE/, `captured → ${host}:${port}`);
      for (const host of [server.v4, remote.v4])
        assert.match(await answer(plain, host, port), /^$|ECONNRESET|ECONNREFUSED|EPIPE/, `uncaptured → ${host}:${port}`);
    }
  });

  test("test_server_shutdown", async () => {
    const sockets = new Set<Socket>();
    const listening = await serveIn(remote, 9090, (socket) => {
      sockets.add(socket);
      socket.write("up");
    });
    const socket = await dialFrom(client, remote.v4, 9090);
    await once(socket, "data");
    listening.close();
    const cut = cutOf(socket);
    for (const s of sockets) s.resetAndDestroy();
    assert.equal(await cut, "ECONNRESET");
    assert.equal(await refusal(client, remote.v4, 9090), "ECONNRESET");
  });

  test("test_ztunnel_shutdown", async () => {
    const established = await dialFrom(client, remote.v4, ECHO_PORT);
    await once(established, "data");
    // The next one serves the same pod before the first one goes, as in a rolling update.
    const next = await nodes.start("two-next", [remote]);
    const stopped = two.stop();
    for (let i = 0; i < 20; i++) assert.equal(await echoed(client, remote.v4, ECHO_PORT), "remote:hello");
    established.end("last words");
    assert.equal(await readToEnd(established), "last words");
    await stopped;
    two = next;
    assert.equal(await echoed(client, remote.v4, ECHO_PORT), "remote:hello");
    assert.deepEqual(await two.agent.tell({ kind: "del", uid: announce(remote).uid }), { error: "" });
    await assert.rejects(echoed(client, remote.v4, ECHO_PORT), /ECONNRESET|ECONNREFUSED|EPIPE/);
  });
});
