// Do pods and nodes reach each other, and does removal leave nothing?

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { after, before, describe, test } from "node:test";
import { openNetns } from "@ambit/shared/linux/netns.ts";
import { listenSocket, socketIn } from "@ambit/shared/linux/socket.ts";
import { netnsPath, podNetns } from "../instance.ts";
import { freePodNumber, podAddresses } from "./addresses.ts";
import { fabricPlan, nodePlan, podPlan } from "./plan.ts";
import { createPodNetwork, ensureFabric, ensureNode, instanceNetns, removeNetwork, removePodNetwork } from "./run.ts";

const ID = `n${process.pid.toString(16).padStart(6, "0")}`.slice(0, 7);
const pods = [
  { uid: "11111111-aaaa-0000-0000-000000000001", node: 1, number: 2 },
  { uid: "22222222-aaaa-0000-0000-000000000002", node: 1, number: 3 },
  { uid: "33333333-aaaa-0000-0000-000000000003", node: 2, number: 2 },
] as const;

test("plans name only the instance's namespaces", () => {
  const steps = [...fabricPlan("abc123"), ...nodePlan("abc123", 2, 3), ...podPlan("abc123", pods[0])];
  for (const step of steps) {
    if (step.netns === undefined) assert.match(step.ip.join("\n"), /^netns add ambit-abc123-[a-z0-9-]+$/);
    else assert.ok(step.netns.startsWith("ambit-abc123-"));
  }
});

test("a pod's addresses are host-sized and its default ways lead through the node's bridge", () => {
  assert.deepEqual(podPlan("abc123", pods[0]).at(-1)?.ip, [
    "link set eth0 up",
    "address add 10.244.1.2/32 dev eth0",
    "address add fd00:244:1::2/128 dev eth0 nodad",
    "route add default via 10.244.1.1 dev eth0 onlink",
    "route add default via fd00:244:1::1 dev eth0 onlink",
  ]);
});

test("node 2 of 3 knows the way to nodes 1 and 3", () => {
  const routes = nodePlan("abc123", 2, 3)
    .flatMap((s) => (s.netns?.endsWith("-node2") === true ? s.ip : []))
    .filter((l) => l.includes("10.244.") && l.startsWith("route"));
  assert.deepEqual(routes, ["route add 10.244.1.0/24 via 172.30.0.11", "route add 10.244.3.0/24 via 172.30.0.13"]);
});

test("pod numbers: the lowest free, then none", () => {
  assert.equal(freePodNumber(new Set()), 2);
  assert.equal(freePodNumber(new Set([2, 3, 5])), 4);
  assert.equal(freePodNumber(new Set(Array.from({ length: 253 }, (_, i) => i + 2))), undefined);
});

describe("a real network", () => {
  before(async () => {
    await ensureFabric(ID);
    await ensureFabric(ID);
    await Promise.all([ensureNode(ID, 1, 2), ensureNode(ID, 2, 2)]);
    for (const pod of pods) await createPodNetwork(ID, pod);
  });
  after(async () => {
    await removeNetwork(ID);
    await removeNetwork(ID);
    assert.deepEqual(instanceNetns(ID), []);
  });

  for (const [from, to] of [
    [pods[0], pods[1]],
    [pods[0], pods[2]],
    [pods[2], pods[0]],
  ] as const) {
    for (const family of ["ipv4", "ipv6"] as const) {
      test(`pod ${from.node}.${from.number} reaches pod ${to.node}.${to.number} over ${family}, from its own address`, async () => {
        using source = openNetns(netnsPath(podNetns(ID, from.uid)));
        using target = openNetns(netnsPath(podNetns(ID, to.uid)));
        const address = podAddresses(to.node, to.number)[family];
        const server = net.createServer().listen({ fd: listenSocket({ netns: target.fd, family, bind: { ip: address, port: 80 } }) });
        const dial = new net.Socket({ fd: socketIn({ netns: source.fd, family }) }).connect({ host: address, port: 80 });
        const [accepted] = await once(server, "connection", { signal: AbortSignal.timeout(5_000) });
        assert.equal(accepted.remoteAddress, podAddresses(from.node, from.number)[family]);
        accepted.destroy();
        dial.destroy();
        server.close();
        await once(server, "close");
      });
    }
  }

  test("an address outside is unreachable at once, not silent", async () => {
    using source = openNetns(netnsPath(podNetns(ID, pods[0].uid)));
    const dial = new net.Socket({ fd: socketIn({ netns: source.fd, family: "ipv4" }) }).connect({ host: "203.0.113.1", port: 80 });
    const error = await new Promise((resolve) => {
      dial.on("error", resolve).setTimeout(5_000, () => dial.destroy(new Error("no answer")));
    });
    assert.match(String(error), /EHOSTUNREACH|ENETUNREACH/);
  });

  test("a removed pod's link goes at once, and its number can be used again", async () => {
    using held = openNetns(netnsPath(podNetns(ID, pods[1].uid)));
    assert.ok(held.fd > 0);
    await removePodNetwork(ID, pods[1]);
    await createPodNetwork(ID, { uid: "44444444-aaaa-0000-0000-000000000004", node: 1, number: 3 });
    const links = execFileSync("ip", ["-n", `ambit-${ID}-node1`, "-o", "link"], { encoding: "utf8" });
    assert.ok(!links.includes("v22222222aa"));
  });
});
