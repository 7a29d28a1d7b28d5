// Does a pod that has been told to end send its callers to the others, and serve those who have nowhere else to go?

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { spiffeId } from "@ambit/shared/identity/spiffe.ts";
import { aPort, aService, aWorkload, ip } from "@ambit/shared/state/fixtures.ts";
import type { Workload } from "@ambit/shared/state/types.ts";
import { createTestCa, createTestController } from "./mesh.ts";
import { createTestNet, cutOf, dialFrom, readToEnd, serveIn, type TestPod } from "./net.ts";
import { connectAs, createTestNodes, type TestNode } from "./node.ts";

const net = createTestNet(["client", "first", "second", "plain"]);
const [client, first, second, plain] = ["client", "first", "second", "plain"].map(net.pod) as [TestPod, TestPod, TestPod, TestPod];
const dir = mkdtempSync(join(tmpdir(), "ambit-dying-"));
const ca = createTestCa();
const controller = createTestController(ca);
const nodes = createTestNodes(dir, controller);
const KEY = "ns/s.ns.svc.cluster.local";
const workload = (p: TestPod, over: Partial<Workload> = {}): Workload =>
  aWorkload(p.name, p.v4, { addresses: [ip(p.v4), ip(p.v6)], serviceAccount: p.name, ...over });

describe("a pod that is told to end", { timeout: 60_000 }, () => {
  let source: TestNode;
  let destination: TestNode;
  const servers: { close(): void }[] = [];
  before(async () => {
    for (const p of [client, first, second]) net.capture(p);
    const serves = { services: { [KEY]: [aPort(80, 8080)] } };
    await controller.push({
      services: [aService("s", "10.96.0.1")],
      workloads: [workload(client), workload(first, serves), workload(second, serves)],
    });
    source = await nodes.start("source", [client]);
    destination = await nodes.start("destination", [first, second]);
    for (const p of [first, second])
      servers.push(
        await serveIn(p, 8080, (s) => {
          s.write(`${p.name}\n`);
          s.pipe(s);
        }),
      );
  });
  after(async () => {
    for (const s of servers) s.close();
    await source?.stop();
    await destination?.stop();
    net[Symbol.dispose]();
    rmSync(dir, { recursive: true });
  });
  /** Which pod answered. */
  const answered = async (host: string, port: number): Promise<string> => {
    const socket = await dialFrom(client, host, port);
    socket.end();
    return (await readToEnd(socket)).trim();
  };
  const several = async (): Promise<Set<string>> => new Set(await Promise.all(Array.from({ length: 30 }, () => answered("10.96.0.1", 80))));

  test("new connections of a service go to its other endpoint; open ones go on; its own address, and others' ztunnels, are served", async () => {
    assert.deepEqual(await several(), new Set(["first", "second"]));
    const open = await dialFrom(client, first.v4, 8080);
    await once(open, "data");
    assert.deepEqual(await destination.agent.tell({ kind: "terminating", uid: "uid-first" }), { error: "" });
    assert.deepEqual(await several(), new Set(["second"]));
    open.end("still here");
    assert.equal(await readToEnd(open), "still here");
    assert.equal(await answered(first.v4, 8080), "first");
    const who = { identity: spiffeId("cluster.local", "ns", "plain"), from: plain };
    assert.equal(await connectAs(ca, who, first, `${first.v4}:8080`), "200");
  });

  test("the last endpoint of a service serves although it ends: there is nobody else", async () => {
    await controller.push({ workloads: [workload(second, { services: {} })] });
    assert.equal(await answered("10.96.0.1", 80), "first");
  });

  test("shutdown of the application before anybody knows: the refused connection is taken to the other endpoint", async () => {
    await controller.push({ workloads: [workload(second, { services: { [KEY]: [aPort(80, 8080)] } })] });
    servers[0]?.close();
    for (let i = 0; i < 10; i++) assert.equal(await answered("10.96.0.1", 80), "second");
  });

  test("a connection of a pod that goes is cut at once, it does not hang", async () => {
    const stuck = await dialFrom(client, second.v4, 8080);
    await once(stuck, "data");
    const cut = cutOf(stuck);
    assert.deepEqual(await destination.agent.tell({ kind: "del", uid: "uid-second" }), { error: "" });
    assert.equal(await cut, "ECONNRESET");
  });
});
