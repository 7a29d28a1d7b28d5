// Is a ztunnel replaced by another one, with other threads than the one before, without a connection that fails?

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { aPort, aService, aWorkload, ip } from "@ambit/shared/state/fixtures.ts";
import type { Workload } from "@ambit/shared/state/types.ts";
import { createTestCa, createTestController } from "./mesh.ts";
import { createTestNet, cutOf, dialFrom, readToEnd, serveIn, type TestPod } from "./net.ts";
import { announce, createTestNodes, type TestNode } from "./node.ts";

const net = createTestNet(["client", "server", "plain", "late"]);
const [client, server, plain, late] = ["client", "server", "plain", "late"].map(net.pod) as [TestPod, TestPod, TestPod, TestPod];
const dir = mkdtempSync(join(tmpdir(), "ambit-up-"));
const controller = createTestController(createTestCa());
const nodes = createTestNodes(dir, controller);
const KEY = "ns/s.ns.svc.cluster.local";
const workload = (p: TestPod, over: Partial<Workload> = {}): Workload =>
  aWorkload(p.name, p.v4, { addresses: [ip(p.v4), ip(p.v6)], serviceAccount: p.name, ...over });

const echoed = async (from: TestPod, host: string, port: number): Promise<string> => {
  const socket = await dialFrom(from, host, port);
  socket.end("hello");
  return readToEnd(socket);
};

/** New connections, one after the other in each lane, from before the change until after it. */
const underLoad = async (change: () => Promise<void>): Promise<{ answered: number; failures: string[] }> => {
  const failures: string[] = [];
  let answered = 0;
  let over = false;
  const lane = async (from: TestPod, host: string, port: number): Promise<void> => {
    while (!over) {
      const started = performance.now();
      try {
        const text = await echoed(from, host, port);
        if (text === "hello") answered++;
        else failures.push(`${from.name} → ${host}: ${JSON.stringify(text)}`);
      } catch (e) {
        failures.push(
          `${from.name} → ${host} after ${Math.round(performance.now() - started)} ms: ${e instanceof Error ? e.message : String(e)}`,
        );
      }
    }
  };
  const lanes = [lane(client, "10.96.0.1", 80), lane(client, server.v6, 8080), lane(plain, server.v4, 8080), lane(client, server.v4, 8080)];
  try {
    await change();
  } finally {
    over = true;
    await Promise.all(lanes);
  }
  return { answered, failures };
};

const said = async (socket: Socket, text: string): Promise<string> => {
  socket.write(text);
  const [data] = (await once(socket, "data", { signal: AbortSignal.timeout(5_000) })) as [Buffer];
  return String(data);
};

describe("upgrade without loss", { timeout: 100_000 }, () => {
  const servers: { close(): void }[] = [];
  const running: TestNode[] = [];
  const start = async (name: string, threads: number, { pods = [client, server], node: on = "node" } = {}): Promise<TestNode> => {
    const env = { NODE_NAME: on, ZTUNNEL_WORKER_THREADS: String(threads), CONNECTION_TERMINATION_DEADLINE: "3s" };
    const node = await nodes.start(name, pods, env);
    running.push(node);
    return node;
  };
  const stop = async (node: TestNode): Promise<void> => {
    running.splice(running.indexOf(node), 1);
    await node.stop();
  };

  before(async () => {
    for (const p of [client, server, late]) net.capture(p);
    await controller.push({
      services: [aService("s", "10.96.0.1")],
      workloads: [workload(client), workload(server, { services: { [KEY]: [aPort(80, 8080)] } }), workload(late)],
    });
    for (const p of [server, late]) servers.push(await serveIn(p, 8080, (socket) => socket.pipe(socket)));
  });
  after(async () => {
    for (const s of servers) s.close();
    for (const n of [...running]) await stop(n);
    net[Symbol.dispose]();
    rmSync(dir, { recursive: true });
  });

  test("through three ztunnels of 2, 3 and 1 threads: no new connection fails, those that are open live on until the deadline", async () => {
    let now = await start("a", 2);
    const report = await underLoad(async () => {
      for (const [name, threads] of [
        ["b", 3],
        ["c", 1],
      ] as const) {
        const kept = await dialFrom(client, "10.96.0.1", 80);
        assert.equal(await said(kept, "before"), "before");
        const old = now;
        now = await start(name, threads);
        await nodes.logged(new RegExp(`${name}\\t.*taking over from an older ztunnel`));
        const cut = cutOf(kept);
        const stopped = stop(old);
        await nodes.logged(/shutting down/);
        assert.equal(await said(kept, "while it drains"), "while it drains");
        await stopped;
        assert.equal(await cut, "ECONNRESET");
        nodes.forget();
      }
    });
    assert.deepEqual(report.failures, []);
    assert.ok(report.answered > 100, `${report.answered} connections`);
  });

  test("a successor that ends before it is needed changes nothing, also for pods that came meanwhile", async () => {
    const report = await underLoad(async () => {
      const young = await start("d", 2, { pods: [client, server, late] });
      assert.equal(await echoed(client, late.v4, 8080), "hello");
      await stop(young);
      // The agent tells the one that is left of the pod that only the other one had.
      const [old] = running;
      assert.deepEqual(await old?.agent.tell(announce(late), [late.netns.fd]), { error: "" });
      assert.equal(await echoed(client, late.v4, 8080), "hello");
    });
    assert.deepEqual(report.failures, []);
  });

  test("beside one that knows no hand-over, as Istio's: what waits in its listeners moves to ours when it closes them", async () => {
    const report = await underLoad(async () => {
      // Another shared directory: they do not see each other, and both listen with SO_REUSEPORT.
      await start("e", 2, { node: "apart" });
      const [old] = running;
      assert.ok(old !== undefined);
      await stop(old);
    });
    assert.deepEqual(report.failures, []);
  });

  test("when the last one has ended nothing listens, and nothing of the hand-over is left behind", async () => {
    for (const n of [...running]) await stop(n);
    await assert.rejects(dialFrom(client, server.v4, 8080), /ECONNREFUSED/);
    const left = readdirSync(dir, { recursive: true }).filter((f) => String(f).includes("takeover"));
    assert.deepEqual(left, []);
  });
});
