// Endpoints that fail, that are full, and that are next door: whom a connection goes to, in real namespaces.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { EMPTY_MATCH, type Policy } from "@ambit/shared/authz/types.ts";
import { workloadCert } from "@ambit/shared/ca/workload-cert.ts";
import { serveTunnels } from "@ambit/shared/hbone/accept.ts";
import type { TunnelRequest } from "@ambit/shared/hbone/types.ts";
import { ANONYMOUS_TAKEN, clientBehind, isAnonymous } from "@ambit/shared/hbone/uncaptured.ts";
import { spiffeId } from "@ambit/shared/identity/spiffe.ts";
import { inNetns } from "@ambit/shared/linux/netns.ts";
import { listenSocket } from "@ambit/shared/linux/socket.ts";
import { unwrap } from "@ambit/shared/runtime/result.ts";
import { realWorld } from "@ambit/shared/runtime/run.ts";
import { aPort, aService, aWorkload, ip, waypointByHost, waypointByIp } from "@ambit/shared/state/fixtures.ts";
import type { Workload } from "@ambit/shared/state/types.ts";
import { createTestCa, createTestController, issue } from "./mesh.ts";
import { createTestNet, cutOf, dialFrom, readToEnd, refusal, serveIn, type TestPod } from "./net.ts";
import { ask, createTestNodes, type TestNode } from "./node.ts";

const PODS = ["client", "near", "other", "far", "away", "plain", "blocked", "waypoint"] as const;
const net = createTestNet(PODS);
const pods = Object.fromEntries(PODS.map((name) => [name, net.pod(name)])) as Record<(typeof PODS)[number], TestPod>;
const { client, near, other, far, away, plain, blocked, waypoint } = pods;
const dir = mkdtempSync(join(tmpdir(), "ambit-e-"));
const ca = createTestCa();
const controller = createTestController(ca);
const nodes = createTestNodes(dir, controller);

const workload = (p: TestPod, over: Partial<Workload> = {}): Workload =>
  aWorkload(p.name, p.v4, { addresses: [ip(p.v4), ip(p.v6)], serviceAccount: p.name, ...over });
const keyOf = (service: string): string => `ns/${service}.ns.svc.cluster.local`;
const serving = (...services: string[]) => ({ services: Object.fromEntries(services.map((s) => [keyOf(s), [aPort(80, 8080)]])) });

const echoed = async (from: TestPod, host: string, port: number, text = "hello"): Promise<string> => {
  const socket = await dialFrom(from, host, port);
  socket.end(text);
  return readToEnd(socket);
};

/** Octets that a pod's interface has carried, both ways. */
const carried = (p: TestPod): number => {
  const text = inNetns(p.netns.fd, () => readFileSync("/proc/thread-self/net/dev", "utf8"));
  const fields =
    text
      .split("\n")
      .find((l) => l.trim().startsWith("eth0:"))
      ?.split(":")[1]
      ?.trim()
      .split(/\s+/) ?? [];
  return Number(fields[0]) + Number(fields[8]);
};

const metric = async (node: TestNode, name: string): Promise<number> => {
  const text = await (await fetch(`http://127.0.0.1:${node.app.ports.stats}/metrics`)).text();
  return text
    .split("\n")
    .filter((l) => l.startsWith(`${name} `) || l.startsWith(`${name}{`))
    .reduce((sum, l) => sum + Number(l.slice(l.lastIndexOf(" "))), 0);
};

const DENY_CLIENT: Policy = {
  namespace: "ns",
  name: "deny-client",
  scope: "NAMESPACE",
  action: "DENY",
  dryRun: false,
  rules: [{ clauses: [{ matches: [{ ...EMPTY_MATCH, principals: [{ kind: "exact", value: "cluster.local/ns/ns/sa/client" }] }] }] }],
};

describe("endpoints", { timeout: 90_000 }, () => {
  let one: TestNode;
  let two: TestNode;
  const closing: { close(): void }[] = [];
  const held: Socket[] = [];

  before(async () => {
    for (const p of [client, near, other, far, away, blocked]) net.capture(p);
    await controller.push({
      workloads: [
        workload(client),
        workload(blocked),
        workload(near),
        workload(other),
        workload(far, { node: "node2" }),
        workload(away, { node: "node2" }),
      ],
    });
    // One data thread: what it has seen of endpoints is all that there is to see.
    one = await nodes.start("one", [client, near, other, blocked], { ZTUNNEL_WORKER_THREADS: "1", UNSTABLE_ENABLE_SOCKS5: "true" });
    two = await nodes.start("two", [far, away], { ZTUNNEL_WORKER_THREADS: "1", AMBIT_LOCAL_SHORTCUT: "false" });
    const echo = (who: TestPod) => (socket: Socket) => {
      socket.write(`${who.name}:`);
      socket.pipe(socket);
    };
    for (const p of [near, other, far, away, plain]) closing.push(await serveIn(p, 8080, echo(p)));
  });

  after(async () => {
    for (const s of [...held, ...closing]) "destroy" in s ? s.destroy() : s.close();
    await one?.stop();
    await two?.stop();
    net[Symbol.dispose]();
    rmSync(dir, { recursive: true });
  });

  const explain = async (to: string) => JSON.parse((await ask(one, `/explain/outbound?namespace=ns&pod=client&to=${to}`)).body);

  test("an endpoint whose application refuses is passed over, left alone for a while, and told of", async () => {
    // "near" maps to a port that nobody serves.
    await controller.push({
      services: [aService("broken", "10.96.9.1")],
      workloads: [
        workload(near, { services: { [keyOf("broken")]: [aPort(80, 9999)] } }),
        workload(far, { node: "node2", ...serving("broken") }),
      ],
    });
    const before = await metric(one, "ambit_endpoint_ejections_total");
    for (let i = 0; i < 20; i++) assert.equal(await echoed(client, "10.96.9.1", 80), "far:hello");
    assert.equal(await metric(one, "ambit_endpoint_ejections_total"), before + 1);
    const plan = await explain("10.96.9.1:80");
    assert.deepEqual(plan.candidates.map((c: { name: string; excluded?: string }) => [c.name, c.excluded]).sort(), [
      ["far", undefined],
      ["near", "ejected"],
    ]);
  });

  test("an endpoint whose address nobody has is given up in time for another one", async () => {
    const ghost = aWorkload("ghost", "10.91.0.200", serving("haunted"));
    await controller.push({ services: [aService("haunted", "10.96.9.2")], workloads: [ghost, workload(other, serving("haunted"))] });
    const answers = await Promise.all(Array.from({ length: 10 }, () => echoed(client, "10.96.9.2", 80)));
    assert.deepEqual(new Set(answers), new Set(["other:hello"]));
    await controller.push({ removed: [ghost.uid] });
  });

  test("what an endpoint has taken is never sent to another one", async () => {
    let taken = 0;
    const server = await serveIn(near, 7070, (socket) => {
      taken += 1;
      socket.once("data", () => socket.resetAndDestroy());
    });
    await controller.push({
      services: [aService("resets", "10.96.9.3", { ports: [aPort(80, 7070)] })],
      workloads: [
        workload(near, { services: { [keyOf("resets")]: [] } }),
        workload(other, { services: { [keyOf("resets")]: [aPort(80, 9998)] } }),
      ],
    });
    for (let i = 1; i <= 3; i++) {
      const socket = await dialFrom(client, "10.96.9.3", 80);
      const cut = cutOf(socket);
      socket.write("once");
      assert.equal(await cut, "ECONNRESET");
      assert.equal(taken, i);
    }
    server.close();
  });

  test("when every endpoint fails the client is told, and each was tried", async () => {
    await controller.push({
      services: [aService("down", "10.96.9.4")],
      workloads: [near, other, far].map((p) => workload(p, { services: { [keyOf("down")]: [aPort(80, 9997)] } })),
    });
    nodes.forget();
    assert.equal(await refusal(client, "10.96.9.4", 80), "ECONNRESET");
    for (const p of [near, other, far]) await nodes.logged(new RegExp(`dst\\.addr=${p.v4}:9997.*direction="inbound".*error=`));
  });

  test("a decision is not got around: 401 of one endpoint is the answer", async () => {
    await controller.push({
      services: [aService("strict", "10.96.9.5")],
      workloads: [workload(near, serving("strict")), workload(other, serving("strict"))],
      policies: [DENY_CLIENT],
    });
    nodes.forget();
    assert.equal(await refusal(client, "10.96.9.5", 80), "ECONNRESET");
    await nodes.logged(/one\t.*direction="outbound".*the peer answered 401/);
    await controller.push({ removedPolicies: ["ns/deny-client"] });
  });

  test("the endpoint with fewer open connections is taken, by its capacity", async () => {
    const open = async (vip: string, times: number): Promise<Record<string, number>> => {
      const names: Record<string, number> = {};
      for (let i = 0; i < times; i++) {
        const socket = await dialFrom(client, vip, 80);
        held.push(socket);
        const [greeting] = (await once(socket, "data")) as [Buffer];
        const name = String(greeting).replace(":", "");
        names[name] = (names[name] ?? 0) + 1;
      }
      return names;
    };
    await controller.push({
      services: [aService("even", "10.96.9.6"), aService("uneven", "10.96.9.7")],
      workloads: [
        workload(other, serving("even")),
        workload(far, { node: "node2", ...serving("even", "uneven") }),
        workload(near, { ...serving("uneven"), capacity: 3 }),
      ],
    });
    assert.deepEqual(await open("10.96.9.6", 12), { other: 6, far: 6 });
    // "far" has six already: all of these go to "near" until it has three times as many.
    assert.deepEqual(await open("10.96.9.7", 18), { near: 18 });
    for (const s of held.splice(0)) s.destroy();
  });

  test("next door: the octets never leave the process; identity, policy and both records are as through a tunnel", async () => {
    assert.equal(await echoed(client, near.v4, 8080), "near:hello");
    const before = carried(near);
    nodes.forget();
    const text = "x".repeat(1 << 20);
    assert.equal(await echoed(client, near.v4, 8080, text), `near:${text}`);
    assert.ok(carried(near) - before < 20_000, `${carried(near) - before} octets on the wire`);
    for (const direction of ["outbound", "inbound"]) {
      const [sent, received] = direction === "outbound" ? [1 << 20, (1 << 20) + 5] : [(1 << 20) + 5, 1 << 20];
      const line = await nodes.logged(new RegExp(`one\\t.*complete.*direction="${direction}" bytes_sent=${sent} bytes_recv=${received}`));
      assert.match(line, /src\.identity="spiffe:\/\/cluster\.local\/ns\/ns\/sa\/client"/);
      assert.match(line, /dst\.identity="spiffe:\/\/cluster\.local\/ns\/ns\/sa\/near"/);
    }
    await controller.push({ policies: [DENY_CLIENT] });
    assert.equal(await refusal(client, near.v4, 8080), "ECONNRESET");
    await nodes.logged(/one\t.*direction="outbound".*the peer answered 401/);
    await controller.push({ removedPolicies: ["ns/deny-client"] });
  });

  test("next door: a policy that starts to deny closes the live connection", async () => {
    const socket = await dialFrom(client, near.v4, 8080);
    await once(socket, "data");
    const cut = cutOf(socket);
    await controller.push({ policies: [DENY_CLIENT] });
    assert.equal(await cut, "ECONNRESET");
    await controller.push({ removedPolicies: ["ns/deny-client"] });
    assert.equal(await echoed(client, near.v4, 8080), "near:hello");
  });

  test("next door: where the network forbids the tunnel's port, it is not got around", async () => {
    const rules = `table inet forbidden {\nchain out {\ntype filter hook output priority 0\nip daddr ${near.v4} tcp dport 15008 reject with tcp reset\n}\n}\n`;
    execFileSync("ip", ["netns", "exec", `t-z-${process.pid}-blocked`, "nft", "-f", "-"], { input: rules });
    assert.equal(await refusal(blocked, near.v4, 8080), "ECONNRESET");
    assert.equal(await echoed(blocked, other.v4, 8080), "other:hello");
  });

  test("next door, switched off: through the tunnel as to any other node", async () => {
    const before = carried(away);
    const text = "x".repeat(1 << 20);
    assert.equal(await echoed(far, away.v4, 8080, text), `away:${text}`);
    assert.ok(carried(away) - before > 2 << 20);
  });

  test("a plaintext client is sent through the service's waypoint as nobody, or nowhere", async () => {
    const asked: TunnelRequest[] = [];
    let honest = true;
    let received = 0;
    const id = spiffeId("cluster.local", "ns", "waypoint");
    const at = { netns: waypoint.netns.fd, family: "ipv6", v6only: false, reuseAddr: true, bind: { ip: "::", port: 15008 } } as const;
    const tunnels = await serveTunnels({
      listen: { fd: listenSocket(at) },
      certs: () => unwrap(workloadCert(id, issue(ca, id))),
      trustDomain: "cluster.local",
      onRequest: (request) => {
        asked.push(request);
        const stream = request.accept(honest ? ANONYMOUS_TAKEN : {});
        stream.on("error", () => {});
        stream.on("data", (chunk: Buffer) => {
          received += chunk.length;
          stream.write(`waypoint:${chunk}`);
        });
        stream.on("end", () => stream.end());
      },
      world: realWorld(),
      log: () => undefined,
    });
    closing.push(tunnels);
    await controller.push({
      services: [
        aService("guarded", "10.96.9.9", {
          waypoint: waypointByIp(waypoint.v4),
          waypointRules: { required: true, missing: "", uncaptured: "hairpin" },
        }),
      ],
      workloads: [workload(waypoint), workload(other, serving("guarded"))],
    });
    assert.equal(await echoed(plain, other.v4, 8080), "waypoint:hello");
    const [request] = asked;
    assert.deepEqual([request?.authority, request?.peer.serviceAccount], ["10.96.9.9:80", "other"]);
    assert.ok(request !== undefined && isAnonymous(request.headers));
    assert.equal(clientBehind(request.headers)?.ip, plain.v4);

    honest = false;
    received = 0;
    assert.equal(await refusal(plain, other.v4, 8080), "ECONNRESET");
    assert.equal(received, 0, "who would take the client for the pod is sent nothing");
    await nodes.logged(/one\t.*direction="inbound".*would take a plaintext client for this pod/);
    await controller.push({ workloads: [workload(other)] });
  });

  test("SOCKS 5: by address, by a service's name, half-closed; what cannot be had is said", async () => {
    await controller.push({
      services: [aService("socks", "10.96.9.10")],
      workloads: [workload(other, serving("socks")), workload(far, { node: "node2", ...serving("socks") })],
    });
    const ask = async (request: Buffer, text: string): Promise<string> => {
      const socket = await dialFrom(client, "127.0.0.1", 15080);
      socket.write(Buffer.from([5, 1, 0]));
      // Sent before the answers, as a client in a hurry may.
      socket.write(request);
      socket.end(text);
      return (await readToEnd(socket)).replace("\u0005\u0000", "");
    };
    const byName = (name: string, port: number): Buffer =>
      Buffer.concat([Buffer.from([5, 1, 0, 3, name.length]), Buffer.from(name), Buffer.from([port >> 8, port & 255])]);
    const byIp = (address: string, port: number): Buffer =>
      Buffer.from([5, 1, 0, 1, ...address.split(".").map(Number), port >> 8, port & 255]);
    const opened = "\u0005\u0000\u0000\u0001\u0000\u0000\u0000\u0000\u0000\u0000";
    assert.equal(await ask(byIp(near.v4, 8080), "hello"), `${opened}near:hello`);
    assert.equal(await ask(byIp(far.v4, 8080), "hello"), `${opened}far:hello`);
    const named = await ask(byName("socks.ns.svc.cluster.local", 80), "hello");
    assert.ok([`${opened}other:hello`, `${opened}far:hello`].includes(named), JSON.stringify(named));
    const refusedWith = async (request: Buffer): Promise<number> => (await ask(request, "")).charCodeAt(1);
    assert.equal(await refusedWith(byIp("127.0.0.1", 15080)), 2, "its own port: not allowed");
    assert.equal(await refusedWith(byIp(near.v4, 15080)), 1, "the destination's own port");
    assert.equal(await refusedWith(byName("socks.ns.svc.cluster.local", 81)), 4, "no such port: unreachable");
    assert.equal(await refusedWith(Buffer.from([5, 2, 0, 1, 0, 0, 0, 0, 0, 0])), 7, "BIND");
    await assert.rejects(dialFrom(far, "127.0.0.1", 15080), /ECONNREFUSED/, "only where it is asked for");
  });

  test("a service that must have its waypoint is not reached while that is missing", async () => {
    const hidden = aService("hidden", "10.96.9.8", {
      waypoint: waypointByHost("ns", "gone.ns.svc.cluster.local"),
      waypointRules: { required: true, missing: "waypoint ns/gone does not exist", uncaptured: "refuse" },
    });
    await controller.push({ services: [hidden], workloads: [workload(near, serving("hidden"))] });
    nodes.forget();
    assert.equal(await refusal(client, "10.96.9.8", 80), "ECONNRESET");
    await nodes.logged(
      /one\t.*service ns\/hidden\.ns\.svc\.cluster\.local is reached through its waypoint only: waypoint ns\/gone does not exist/,
    );
    const plan = await explain("10.96.9.8:80");
    assert.deepEqual([plan.kind, plan.code], ["reject", "WAYPOINT_UNAVAILABLE"]);
    assert.equal(await refusal(plain, near.v4, 8080), "ECONNRESET");
    await nodes.logged(/one\t.*direction="inbound".*takes no plaintext past its waypoint/);
    await controller.push({ services: [{ ...hidden, waypointRules: { required: true, missing: "", uncaptured: "allow" } }] });
    assert.equal(await echoed(plain, near.v4, 8080), "near:hello");
  });
});
