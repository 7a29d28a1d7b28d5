// Does a ztunnel start, refuse to start, and end as Istio's does? (tests/direct.rs, ambient-l4 section 10.1, by its names)

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { SocketAddr } from "@ambit/shared/addr/socket.ts";
import { EMPTY_MATCH, type Policy } from "@ambit/shared/authz/types.ts";
import { workloadCert } from "@ambit/shared/ca/workload-cert.ts";
import { createTunnelPool } from "@ambit/shared/hbone/pool.ts";
import { spiffeId } from "@ambit/shared/identity/spiffe.ts";
import { closeFd, listenSocket } from "@ambit/shared/linux/socket.ts";
import { unwrap } from "@ambit/shared/runtime/result.ts";
import { realWorld } from "@ambit/shared/runtime/run.ts";
import { aWorkload, ip } from "@ambit/shared/state/fixtures.ts";
import { createTestCa, createTestController, issue } from "./mesh.ts";
import { createTestNet, cutOf, dialFrom, readToEnd, serveIn, type TestPod } from "./net.ts";
import { announce, ask, createTestNodes, type TestNode } from "./node.ts";

const net = createTestNet(["client", "server"]);
const [client, server] = ["client", "server"].map(net.pod) as [TestPod, TestPod];
const dir = mkdtempSync(join(tmpdir(), "ambit-life-"));
const ca = createTestCa();
const controller = createTestController(ca);
const nodes = createTestNodes(dir, controller);

const denyAll = (namespace: string): Policy => ({
  namespace,
  name: "deny",
  scope: "NAMESPACE",
  action: "DENY",
  dryRun: false,
  rules: [{ clauses: [{ matches: [{ ...EMPTY_MATCH, principals: [{ kind: "presence" }] }] }] }],
});

describe("lifecycle", { timeout: 90_000 }, () => {
  const servers: { close(): void }[] = [];
  before(async () => {
    for (const p of [client, server]) net.capture(p);
    const workload = (p: TestPod) => aWorkload(p.name, p.v4, { addresses: [ip(p.v4), ip(p.v6)], serviceAccount: p.name });
    await controller.push({ workloads: [workload(client), workload(server)] });
    servers.push(await serveIn(server, 8080, (s) => s.pipe(s)));
  });
  after(() => {
    for (const s of servers) s.close();
    net[Symbol.dispose]();
    rmSync(dir, { recursive: true });
  });
  const post = async (node: TestNode, path: string): Promise<string> =>
    (await fetch(`http://127.0.0.1:${node.app.ports.admin}${path}`, { method: "POST" })).text();
  const opened = async (text: string) => {
    const socket = await dialFrom(client, server.v4, 8080);
    socket.write(text);
    await once(socket, "data");
    return socket;
  };

  test("shutdown_lifecycle", async () => {
    const node = await nodes.start("down", [client]);
    await node.stop();
    await nodes.logged(/down\t.*stopped/);
    await assert.rejects(fetch(`http://127.0.0.1:${node.app.ports.admin}/`));
  });

  test("quit_lifecycle", async () => {
    const node = await nodes.start("quit", [client]);
    assert.equal(await post(node, "/quitquitquit"), "shutdown now\n");
    await nodes.logged(/quit\t.*stopped/);
    await node.stop();
  });

  test("conflicting_bind_error_admin", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const address = taken.address();
    assert.ok(typeof address === "object" && address !== null);
    await assert.rejects(nodes.start("admin", [], { ADMIN_PORT: String(address.port) }), /cannot listen on 127\.0\.0\.1:\d+: .*EADDRINUSE/);
    taken.close();
  });

  for (const [name, port] of [
    ["inbound", 15008],
    ["inbound_plaintext", 15006],
    ["outbound", 15001],
  ] as const)
    test(`conflicting_bind_error_${name}`, async () => {
      const fd = listenSocket({ netns: client.netns.fd, family: "ipv4", bind: { ip: "0.0.0.0", port } });
      const node = await nodes.start(`taken${port}`, []);
      const answer = await node.agent.tell(announce(client), [client.netns.fd]);
      assert.match(answer.error, new RegExp(`^failure to start proxy: bind: EADDRINUSE \\(.* port ${port}\\)`));
      const ready = await fetch(`http://127.0.0.1:${node.app.ports.readiness}/healthz/ready`);
      assert.deepEqual([ready.status, await ready.text()], [500, "not ready, pending: workload proxy manager\n"]);
      closeFd(fd);
      assert.deepEqual(await node.agent.tell(announce(client), [client.netns.fd]), { error: "" });
      await node.stop();
    });

  test("shutdown_drain: what is open ends in its own time, and then ztunnel does", async () => {
    const node = await nodes.start("drain", [client, server], { CONNECTION_TERMINATION_DEADLINE: "60s" });
    const open = await opened("x");
    const began = performance.now();
    const stopped = node.stop();
    await nodes.logged(/drain\t.*shutting down/);
    open.write("y");
    assert.equal(String((await once(open, "data"))[0]), "y");
    await assert.rejects(dialFrom(client, server.v4, 8080), /ECONNREFUSED/);
    open.end();
    assert.equal(await readToEnd(open), "");
    await stopped;
    assert.ok(performance.now() - began < 30_000, "it does not wait for the deadline");
  });

  test("shutdown_forced_drain: what is still open at the deadline is cut", async () => {
    const node = await nodes.start("forced", [client, server], { CONNECTION_TERMINATION_DEADLINE: "1s" });
    const cut = cutOf(await opened("x"));
    await node.stop();
    assert.equal(await cut, "ECONNRESET");
  });

  test("TestZtunnelSecureMetrics, test_hbone_metrics_access: ztunnel's metrics are reached through a tunnel, under its policies, and nothing else of it is", async () => {
    const me = { name: "zt", namespace: "istio-system", serviceAccount: "ztunnel" };
    const node = await nodes.start("self", [], { POD_NAME: me.name, POD_NAMESPACE: me.namespace, SERVICE_ACCOUNT: me.serviceAccount });
    await controller.push({ workloads: [aWorkload(me.name, "127.0.0.1", me)] });
    const scraper = spiffeId("cluster.local", "ns", "prometheus");
    const cert = unwrap(workloadCert(scraper, issue(ca, scraper)));
    const dial = async (to: SocketAddr): Promise<Socket> => {
      const socket = connect({ host: to.ip, port: to.port, allowHalfOpen: false });
      await once(socket, "connect");
      return socket;
    };
    const pool = createTunnelPool({ cert: async () => cert, dial, world: realWorld() });
    const expect = [spiffeId("cluster.local", me.namespace, me.serviceAccount)];
    const target = { self: scraper, expect, to: { ip: ip("127.0.0.1"), port: 15008 }, from: "127.0.0.1" };
    const through = (port: number) => pool.connect(target, { authority: `127.0.0.1:${port}`, headers: {} });
    try {
      const { stream } = await through(node.app.ports.stats);
      stream.end("GET /stats/prometheus HTTP/1.1\r\nhost: zt\r\nconnection: close\r\n\r\n");
      let text = "";
      for await (const chunk of stream) text += String(chunk);
      assert.match(text, /^HTTP\/1\.1 200 [\s\S]*istio_build/);
      await assert.rejects(through(node.app.ports.admin), /answered 400/);
      await controller.push({ policies: [denyAll(me.namespace)] });
      await assert.rejects(through(node.app.ports.stats), /answered 401/);
      await controller.push({ removedPolicies: [`${me.namespace}/deny`] });
    } finally {
      pool.close();
      await node.stop();
    }
  });

  test("stats_exist, and profiles can be taken of every thread", async () => {
    const node = await nodes.start("stats", [client, server]);
    (await opened("x")).destroy();
    await nodes.logged(/stats\t.*connection complete/);
    const metrics = await (await fetch(`http://127.0.0.1:${node.app.ports.stats}/metrics`)).text();
    for (const family of [
      "istio_build",
      "istio_tcp_connections_opened_total",
      "istio_tcp_received_bytes_total",
      "workload_manager_active_proxy_count",
    ])
      assert.match(metrics, new RegExp(`^# TYPE ${family.replace("_total", "(_total)?")} `, "m"), family);
    for (const thread of ["0", "1", "control"]) {
      const cpu = await ask(node, `/debug/pprof/profile?seconds=1&thread=${thread}`);
      assert.equal(cpu.status, 200, cpu.body);
      assert.ok(Array.isArray(JSON.parse(cpu.body).nodes), "a .cpuprofile");
    }
    assert.ok(JSON.parse((await ask(node, "/debug/pprof/heap?seconds=1")).body).head, "a .heapprofile");
    const bad = await ask(node, "/debug/pprof/profile?seconds=0");
    assert.deepEqual([bad.status, bad.body], [400, "seconds: want a whole number from 1 to 300\n"]);
    assert.equal((await ask(node, "/debug/pprof/profile?seconds=1&thread=99")).status, 404);
    await node.stop();
  });
});
