// Does a ztunnel that fetches the mesh on demand serve as one that holds all of it? (XDS_ON_DEMAND, ambient-l4 section 3.3)

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { aPort, aService, aWorkload, ip } from "@ambit/shared/state/fixtures.ts";
import type { Workload } from "@ambit/shared/state/types.ts";
import { createTestCa, createTestController } from "./mesh.ts";
import { createTestNet, dialFrom, readToEnd, serveIn, type TestPod } from "./net.ts";
import { ask, createTestNodes, type TestNode } from "./node.ts";

const net = createTestNet(["client", "server", "plain"]);
const [client, server, plain] = ["client", "server", "plain"].map(net.pod) as [TestPod, TestPod, TestPod];
const dir = mkdtempSync(join(tmpdir(), "ambit-od-"));
const controller = createTestController(createTestCa());
const nodes = createTestNodes(dir, controller);
const KEY = "ns/s.ns.svc.cluster.local";
const workload = (p: TestPod, over: Partial<Workload> = {}): Workload =>
  aWorkload(p.name, p.v4, {
    uid: `Kubernetes//Pod/ns/${p.name}`,
    addresses: [ip(p.v4), ip(p.v6)],
    serviceAccount: p.name,
    ...over,
  });
const echoed = async (from: TestPod, host: string, port: number): Promise<string> => {
  const socket = await dialFrom(from, host, port);
  socket.end("hello");
  return readToEnd(socket);
};

describe("on demand", { timeout: 60_000 }, () => {
  let node: TestNode;
  const servers: { close(): void }[] = [];
  before(async () => {
    for (const p of [client, server]) net.capture(p);
    await controller.push({
      services: [aService("s", "10.96.0.1"), aService("unused", "10.96.0.7")],
      workloads: [workload(client), workload(server, { services: { [KEY]: [aPort(80, 8080)] } })],
    });
    node = await nodes.start("one", [client, server], { XDS_ON_DEMAND: "true", AMBIT_LOCAL_SHORTCUT: "false" });
    for (const p of [server, plain]) servers.push(await serveIn(p, 8080, (s) => s.pipe(s)));
  });
  after(async () => {
    for (const s of servers) s.close();
    await node?.stop();
    net[Symbol.dispose]();
    rmSync(dir, { recursive: true });
  });
  const held = async (): Promise<string[]> => {
    const dump = JSON.parse((await ask(node, "/config_dump")).body) as { workloads: { name: string }[]; services: { name: string }[] };
    return [...dump.workloads, ...dump.services].map((x) => x.name).sort();
  };

  test("nothing is held before it is asked for; caches_are_warm_before_unblocked: the first connection knows its service and endpoints", async () => {
    assert.deepEqual(await held(), []);
    assert.equal(await echoed(client, "10.96.0.1", 80), "hello");
    assert.match(await nodes.logged(/connection complete.*direction="outbound"/), /dst\.hbone_addr=.*:8080 dst\.service="s\.ns\.svc/);
    assert.deepEqual(await held(), ["client", "s", "server"]);
  });

  test("by pod address in a tunnel, and what the mesh does not know in clear", async () => {
    nodes.forget();
    assert.equal(await echoed(client, server.v6, 8080), "hello");
    await nodes.logged(/connection complete.*dst\.hbone_addr=.*direction="outbound"/);
    assert.equal(await echoed(client, plain.v4, 8080), "hello");
  });

  test("what changes is told; what is removed is asked for again when it is wanted again", async () => {
    await controller.push({ services: [aService("s", "10.96.0.1", { ports: [{ ...aPort(81, 8080) }] })] });
    assert.equal(await echoed(client, "10.96.0.1", 81), "hello");
    await controller.push({ removed: [KEY] });
    await controller.push({ services: [aService("s", "10.96.0.1")] });
    assert.equal(await echoed(client, "10.96.0.1", 80), "hello");
  });
});
