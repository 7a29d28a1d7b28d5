// Do the data threads share the work, and does the node go on when one of them fails?

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { workloadCert } from "@ambit/shared/ca/workload-cert.ts";
import { createTunnelPool } from "@ambit/shared/hbone/pool.ts";
import { spiffeId } from "@ambit/shared/identity/spiffe.ts";
import { unwrap } from "@ambit/shared/runtime/result.ts";
import { realWorld } from "@ambit/shared/runtime/run.ts";
import { aWorkload, ip } from "@ambit/shared/state/fixtures.ts";
import { harmable } from "./harmed.ts";
import { createTestCa, createTestController, issue } from "./mesh.ts";
import { createTestNet, dialFrom, readToEnd, serveIn, type TestPod } from "./net.ts";
import { ask, createTestNodes, type TestNode } from "./node.ts";

const PORT = 8080;
const net = createTestNet(["client", "server", "plain", "other"]);
const [client, server, plain, other] = ["client", "server", "plain", "other"].map(net.pod) as [TestPod, TestPod, TestPod, TestPod];
const dir = mkdtempSync(join(tmpdir(), "ambit-threads-"));
const ca = createTestCa();
const controller = createTestController(ca);
const { spawn, harm, said } = harmable();
const nodes = createTestNodes(dir, controller, spawn);

const metrics = async (node: TestNode): Promise<string> => (await fetch(`http://127.0.0.1:${node.app.ports.stats}/metrics`)).text();
const sum = (body: string, family: string): number =>
  [...body.matchAll(new RegExp(`^${family}(?:\\{[^}]*\\})? (\\S+)$`, "gm"))].reduce((total, m) => total + Number(m[1]), 0);
const loads = async (node: TestNode): Promise<number[]> =>
  [...(await metrics(node)).matchAll(/^ambit_data_thread_load\{thread="\d+"\} (\d+)$/gm)].map((m) => Number(m[1]));
const readiness = async (node: TestNode): Promise<string> =>
  (await fetch(`http://127.0.0.1:${node.app.ports.readiness}/healthz/ready`)).text();

const until = async (what: string, holds: () => Promise<boolean>): Promise<void> => {
  const deadline = AbortSignal.timeout(10_000);
  while (!(await holds())) {
    if (deadline.aborted) throw new Error(`not within 10 s: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
};

/** A connection of the client to the server's echo, through both of the node's halves. */
const open = async (): Promise<Socket> => {
  const socket = await dialFrom(client, server.v4, PORT);
  socket.write("x");
  await once(socket, "data", { signal: AbortSignal.timeout(5_000) });
  return socket;
};
const echoed = async (text: string): Promise<string> => {
  const socket = await dialFrom(client, server.v4, PORT);
  socket.end(text);
  return readToEnd(socket);
};
const openFds = (): number => readdirSync("/proc/self/fd").length;

describe("data threads", { timeout: 60_000 }, () => {
  let node: TestNode;
  let echo: { close(): void };

  before(async () => {
    for (const p of [client, server]) net.capture(p);
    await controller.push({
      workloads: [client, server].map((p) => aWorkload(p.name, p.v4, { addresses: [ip(p.v4), ip(p.v6)], serviceAccount: p.name })),
    });
    node = await nodes.start("node", [client, server], { ZTUNNEL_WORKER_THREADS: "2" });
    echo = await serveIn(server, PORT, (socket) => void socket.pipe(socket));
  });

  after(async () => {
    echo?.close();
    await node?.stop();
    net[Symbol.dispose]();
    rmSync(dir, { recursive: true });
  });

  test("8 long tunnels on 2 threads end 4 and 4", async () => {
    const self = spiffeId("cluster.local", "ns", "plain");
    const cert = unwrap(workloadCert(self, issue(ca, self)));
    const target = { self, expect: [spiffeId("cluster.local", "ns", "server")], to: { ip: ip(server.v4), port: 15008 }, from: plain.v4 };
    const pools = Array.from({ length: 8 }, () =>
      createTunnelPool({ cert: async () => cert, dial: (to) => dialFrom(plain, to.ip, to.port, false), world: realWorld() }),
    );
    for (const [n, pool] of pools.entries()) {
      const { stream } = await pool.connect(target, { authority: `${server.v4}:${PORT}`, headers: {} });
      stream.write(`tunnel ${n}`);
      const [answer] = (await once(stream, "data", { signal: AbortSignal.timeout(5_000) })) as [Buffer];
      assert.equal(String(answer), `tunnel ${n}`);
    }
    assert.deepEqual(await loads(node), [32, 32]);
    for (const pool of pools) pool.close();
    await until("the tunnels have ended", async () => (await loads(node)).every((load) => load === 0));
  });

  test("connections of all threads are dumped, and counted once", async () => {
    const opened = "istio_tcp_connections_opened_total";
    const before = sum(await metrics(node), opened);
    const sockets = await Promise.all(Array.from({ length: 40 }, open));
    const { workloadState } = JSON.parse((await ask(node, "/config_dump")).body);
    assert.equal(workloadState["uid-client"].connections.outbound.length, 40);
    assert.equal(workloadState["uid-server"].connections.inbound.length, 40);
    assert.equal(sum(await metrics(node), opened), before + 80);
    const [least = 0, most = 0] = (await loads(node)).toSorted((a, b) => a - b);
    assert.ok(least > 0 && most - least <= 16, `the loads are ${least} and ${most}`);
    for (const s of sockets) s.end();
    await Promise.all(sockets.map(readToEnd));
    // What is left are the pools' own tunnels, one at most for each thread that dialled.
    await until("what has ended is no load", async () => (await loads(node)).every((load) => load % 8 === 0 && load <= 16));
  });

  test("a thread that fails is started again: others' connections go on, no new one is lost, counts are kept", async () => {
    const fds = openFds();
    const opened = sum(await metrics(node), "istio_tcp_connections_opened_total");
    const sockets = await Promise.all(Array.from({ length: 40 }, open));
    const ended = new Set<Socket>();
    for (const s of sockets) {
      s.on("error", () => {});
      for (const event of ["end", "close"]) s.once(event, () => ended.add(s));
    }
    harm(0, { harm: "throw" });
    await nodes.logged(/error\tztunnel\ta data thread ended: starting it again\tthread=0 error=".*harmed by a test/);
    const texts = Array.from({ length: 60 }, (_, i) => `during the restart ${i}`);
    assert.deepEqual(await Promise.all(texts.map(echoed)), texts);
    await until("ready again", async () => (await readiness(node)) === "ready\n");
    assert.ok(ended.size > 0 && ended.size < 40, `${ended.size} of 40 connections were the failed thread's`);
    for (const s of sockets) {
      if (!ended.has(s)) {
        s.write("still here");
        await once(s, "data", { signal: AbortSignal.timeout(5_000) });
      }
      s.destroy();
    }
    const body = await metrics(node);
    assert.equal(sum(body, "istio_tcp_connections_opened_total"), opened + 80 + 120);
    assert.equal(sum(body, "ambit_data_thread_restarts_total"), 1);
    // What the failed thread served is not open any more.
    await until("nothing is open", async () => sum(await metrics(node), "istio_tcp_sockets_open") === 0);
    await until("no descriptor is left behind", async () => openFds() <= fds);
  });

  test("a thread that was started again decides by the policies of now", async () => {
    await controller.push({
      policies: [{ namespace: "ns", name: "nobody", scope: "NAMESPACE", action: "ALLOW", dryRun: false, rules: [] }],
    });
    harm(1, { harm: "throw" });
    await nodes.logged(/error\tztunnel\ta data thread ended: starting it again\tthread=1/);
    for (let i = 0; i < 20; i++) await assert.rejects(echoed("denied"), /ECONNRESET/);
    await controller.push({ removedPolicies: ["ns/nobody"] });
    assert.equal(await echoed("allowed"), "allowed");
    await until("ready again", async () => (await readiness(node)) === "ready\n");
  });

  test("a thread that is stuck makes the node not ready, until it turns again", async () => {
    harm(1, { harm: "block", ms: 2_500 });
    assert.equal(await readiness(node), "not ready, pending: proxy\n");
    await until("ready again", async () => (await readiness(node)) === "ready\n");
  });

  test("without SO_REUSEPORT all threads accept from one socket", async () => {
    net.capture(other);
    await controller.push({ workloads: [aWorkload(other.name, other.v4, { addresses: [ip(other.v4)], serviceAccount: other.name })] });
    const single = await createTestNodes(dir, controller).start("single", [other], {
      ZTUNNEL_WORKER_THREADS: "2",
      INPOD_PORT_REUSE: "false",
    });
    const ask = async (text: string): Promise<string> => {
      const socket = await dialFrom(other, server.v4, PORT);
      socket.end(text);
      return readToEnd(socket);
    };
    try {
      const texts = Array.from({ length: 40 }, (_, i) => `one socket ${i}`);
      assert.deepEqual(await Promise.all(texts.map(ask)), texts);
      assert.equal(await readiness(single), "ready\n");
    } finally {
      await single.stop();
    }
  });

  test("log levels reach the threads, also those that start later", async () => {
    const set = (query: string): Promise<Response> => fetch(`http://127.0.0.1:${node.app.ports.admin}/logging${query}`, { method: "POST" });
    assert.equal((await set("?level=access=off")).status, 200);
    harm(0, { harm: "throw" });
    await until("ready again", async () => (await readiness(node)) === "ready\n");
    await node.app.settled();
    nodes.forget();
    for (let i = 0; i < 20; i++) assert.equal(await echoed("quiet"), "quiet");
    await assert.rejects(nodes.logged(/\taccess\t/, 300), /no line matches/);
    assert.equal((await set("?reset")).status, 200);
    await node.app.settled();
    assert.equal(await echoed("heard"), "heard");
    await nodes.logged(/\taccess\tconnection complete/);
  });

  test("a scrape of 10 000 label sets stops no data thread", async (t) => {
    for (const thread of [0, 1]) harm(thread, { harm: "count", family: "test_label_sets_total", sets: 5_000 });
    await until("all is counted", async () => sum(await metrics(node), "test_label_sets_total") === 5_000 * 4_999);
    /** The longest time, in milliseconds, that an event loop stood still while the work was done. */
    const longestDuring = async (work: () => Promise<unknown>): Promise<number> => {
      for (const thread of [0, 1]) harm(thread, { harm: "watch" });
      await node.app.settled();
      await work();
      const delays: number[] = [];
      for (const thread of [0, 1]) {
        nodes.forget();
        harm(thread, { harm: "tell" });
        delays.push(Number(/longest delay (\S+) ms/.exec(await nodes.logged(/longest delay/))?.[1]));
      }
      return Math.max(...delays);
    };
    const started = performance.now();
    await metrics(node);
    const scrapeMs = performance.now() - started;
    const rounds: { idle: number; scraped: number }[] = [];
    for (let round = 0; round < 5; round++) {
      const idle = await longestDuring(() => realWorld().sleep(5 * scrapeMs));
      const scraped = await longestDuring(async () => {
        for (let i = 0; i < 5; i++) await metrics(node);
      });
      rounds.push({ idle, scraped });
    }
    const shown = rounds.map((r) => `${r.scraped} (unscraped ${r.idle})`).join(", ");
    // The collector of the control thread's heap has helper threads; on few cores they take them from the data threads.
    t.diagnostic(`a scrape took ${scrapeMs.toFixed(0)} ms; data threads stood still for ${shown} ms; see --v8-pool-size`);
    const before = said();
    await metrics(node);
    assert.equal(said(), before, "a scrape asks nothing of the data threads");
  });
});
