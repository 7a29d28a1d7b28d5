// A captured pod's DNS in real namespaces: its own C library, and hostile clients, ask; other people's nameservers answer.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { socketIn } from "@ambit/shared/linux/socket.ts";
import { aPort, aService, aWorkload, ip } from "@ambit/shared/state/fixtures.ts";
import packet from "dns-packet";
import { createFrames, frame } from "../dns/stream.ts";
import { createTestCa, createTestController } from "./mesh.ts";
import { addressRecord, type Nameserver, reply, startNameserver } from "./nameserver.ts";
import { createTestNet, dialFrom, readToEnd, refusal, serveIn, type TestPod } from "./net.ts";
import { announce, ask, createTestNodes, type TestNode } from "./node.ts";

const net = createTestNet(["client", "none", "resolver", "second"]);
const [client, none, resolver, second] = ["client", "none", "resolver", "second"].map(net.pod) as [TestPod, TestPod, TestPod, TestPod];
const dir = mkdtempSync(join(tmpdir(), "ambit-dns-"));
const controller = createTestController(createTestCa());
const nodes = createTestNodes(dir, controller);
const run = promisify(execFile);

const on = (...addresses: string[]) => addresses.map((a) => ({ network: "", ip: ip(a) }));
const workload = (p: TestPod) => aWorkload(p.name, p.v4, { addresses: [ip(p.v4), ip(p.v6)], serviceAccount: p.name });
const HEADLESS = "db.ns.svc.cluster.local";

/** What glibc's resolver, told by a resolv.conf of the namespace, finds: "address address", or its exit code. */
const getent = async (pod: TestPod, name: string, database = "ahostsv4"): Promise<string> => {
  try {
    const { stdout } = await run("ip", ["netns", "exec", pod.ns, "getent", database, name], { timeout: 15_000 });
    return [...new Set(stdout.split("\n").flatMap((l) => l.split(/\s+/)[0] || []))].sort().join(" ");
  } catch (e) {
    return `exit ${(e as { code?: number }).code}`;
  }
};

const asks = (name: string, over: Partial<packet.Packet> = {}): Buffer =>
  packet.encode({ type: "query", id: 4711, flags: packet.RECURSION_DESIRED, questions: [{ type: "A", name }], ...over });

/** The answer to a datagram from inside the pod; "nothing" when the sender is told that nobody listens. */
const udp = async (pod: TestPod, query: Buffer, to = resolver.v4): Promise<packet.DecodedPacket> => {
  const family = to.includes(":") ? "ipv6" : "ipv4";
  const socket = createSocket(family === "ipv6" ? "udp6" : "udp4");
  socket.bind({ fd: socketIn({ netns: pod.netns.fd, family, type: "udp" }) });
  try {
    socket.connect(53, to);
    await once(socket, "connect");
    socket.send(query);
    const [bytes] = await once(socket, "message", { signal: AbortSignal.timeout(6_000) });
    return packet.decode(bytes);
  } finally {
    socket.close();
  }
};

/** Answers to queries sent at once on one connection, by id. */
const tcp = async (pod: TestPod, queries: readonly Buffer[], to = resolver.v4): Promise<Map<number, packet.DecodedPacket>> => {
  const socket = await dialFrom(pod, to, 53);
  socket.on("error", () => {});
  socket.write(Buffer.concat(queries.map(frame)));
  const frames = createFrames(65_535);
  const out = new Map<number, packet.DecodedPacket>();
  for await (const chunk of socket) {
    const messages = frames.push(chunk);
    for (const m of messages === "too-long" ? [] : messages) out.set(m.readUInt16BE(0), packet.decode(m));
    if (out.size === queries.length) break;
  }
  socket.destroy();
  return out;
};
/** dns-packet's types leave it out. */
const rcode = (m: packet.DecodedPacket): unknown => Reflect.get(m, "rcode");
const addresses = (m: packet.DecodedPacket): unknown[] => (m.answers ?? []).map((a) => ("data" in a ? a.data : a.type));

describe("DNS in namespaces", { timeout: 90_000 }, () => {
  let node: TestNode;
  let outside: Nameserver;
  let other: Nameserver;
  const zone = (q: packet.DecodedPacket): readonly Buffer[] => {
    const [question] = q.questions ?? [];
    if (question?.name.toLowerCase() === "www.bing.com" && question.type === "A")
      return [reply(q, { answers: [addressRecord(question.name, "204.79.197.200")] })];
    return [reply(q, { flags: 3 })];
  };
  before(async () => {
    const resolvConf = join(dir, "resolv.conf");
    writeFileSync(resolvConf, `search istio-system.svc.cluster.local svc.cluster.local cluster.local\nnameserver ${resolver.v4}\n`);
    for (const pod of [client, none]) {
      mkdirSync(`/etc/netns/${pod.ns}`, { recursive: true });
      const search = "search ns.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5 timeout:2 attempts:1";
      writeFileSync(`/etc/netns/${pod.ns}/resolv.conf`, `${search}\nnameserver ${resolver.v4}\n`);
    }
    outside = await startNameserver({ ip: resolver.v4, port: 53, netns: resolver.netns.fd }, zone);
    other = await startNameserver({ ip: second.v4, port: 53, netns: second.netns.fd }, (q) => [
      reply(q, { answers: [addressRecord(q.questions?.[0]?.name ?? "", "10.255.0.1")] }),
    ]);
    net.capture(client);
    net.capture(none);
    controller.push({
      workloads: [
        workload(client),
        workload(none),
        aWorkload("db-0", "10.91.0.201", { services: { [`ns/${HEADLESS}`]: [] } }),
        aWorkload("api", second.v6, { tunnelProtocol: "NONE", services: { "ns/api.example": [aPort(443, 443)] } }),
        aWorkload("db-1", "10.91.0.202", { services: { [`ns/${HEADLESS}`]: [] } }),
      ],
      services: [
        aService("web", "", { addresses: on("10.96.0.7", "fd00:96::7") }),
        aService("db", ""),
        aService("api", "", { hostname: "api.example", addresses: on("240.240.0.2"), ports: [aPort(443, 443)] }),
        aService("google", "", { hostname: "www.google.com", addresses: on("240.240.0.1") }),
      ],
    });
    node = await nodes.start("n1", [client], { RESOLV_CONF: resolvConf, OUTBOUND_TRAFFIC_POLICY: "REGISTRY_ONLY" });
    const dns = { policy: "None" as const, searches: ["corp.example"], nameservers: [ip(second.v4)] };
    const told = announce(none);
    assert.deepEqual(await node.agent.tell({ ...told, workload: { ...told.workload, dns } }, [none.netns.fd]), { error: "" });
  });
  after(async () => {
    await node.stop();
    await outside.close();
    await other.close();
    for (const pod of [client, none]) rmSync(`/etc/netns/${pod.ns}`, { recursive: true, force: true });
    rmSync(dir, { recursive: true, force: true });
    net[Symbol.dispose]();
  });

  test("the C library finds services, pods of headless services, hosts of ServiceEntries and outside names", async () => {
    assert.equal(await getent(client, "web"), "10.96.0.7");
    assert.equal(await getent(client, "web.ns"), "10.96.0.7");
    assert.equal(await getent(client, "web", "ahosts"), "10.96.0.7 fd00:96::7");
    assert.equal(await getent(client, "db"), "10.91.0.201 10.91.0.202");
    assert.equal(await getent(client, "db-1.db"), "10.91.0.202");
    assert.equal(await getent(client, "www.google.com"), "240.240.0.1");
    assert.ok(!outside.asked.some((a) => /google|web|db/.test(a)), "nobody else was asked for these");
    assert.equal(await getent(client, "www.bing.com"), "204.79.197.200");
    assert.equal(await getent(client, "nowhere.example"), "exit 2");
  });

  test("our answers: authority, the asked name, no data where there is none; over UDP and TCP, IPv4 and IPv6, whoever is asked", async () => {
    const direct = await udp(client, asks("Web.ns.svc.cluster.local"));
    assert.deepEqual([direct.id, direct.flag_aa, direct.flag_ra, rcode(direct)], [4711, true, true, "NOERROR"]);
    assert.deepEqual(addresses(direct), ["10.96.0.7"]);
    assert.deepEqual(addresses(await udp(client, asks("web"), second.v4)), ["10.96.0.7"], "another nameserver");
    assert.deepEqual(addresses(await udp(client, asks("web"), "10.91.0.99")), ["10.96.0.7"], "a nameserver that does not exist");
    assert.deepEqual(addresses(await udp(client, asks("web"), resolver.v6)), ["10.96.0.7"]);
    const empty = await udp(client, asks("www.google.com", { questions: [{ type: "AAAA", name: "www.google.com" }] }));
    assert.deepEqual([rcode(empty), empty.flag_aa, empty.answers], ["NOERROR", true, []]);
    const alias = await udp(client, asks("www.google.com.ns.svc.cluster.local"));
    assert.deepEqual(addresses(alias), ["www.google.com", "240.240.0.1"]);
    for (const to of [resolver.v4, resolver.v6]) {
      const both = await tcp(client, [asks("web", { id: 1 }), asks("www.bing.com", { id: 2 }), asks("web.ns", { id: 3 })], to);
      assert.deepEqual(
        [...both].sort(([a], [b]) => a - b).map(([, m]) => addresses(m)[0]),
        ["10.96.0.7", "204.79.197.200", "10.96.0.7"],
      );
    }
    assert.match(await nodes.logged(/dns query\t.*domain="?www\.bing\.com\."?.*result="?forwarded/), /debug\tdns\t/);
  });

  test("what is not ours goes through unharmed: SRV, EDNS options, additionals, NXDOMAIN with its SOA", async () => {
    let seen: Buffer | undefined;
    let said: Buffer | undefined;
    const cookie = { code: 10, data: Buffer.from("0011223344556677", "hex") };
    const opt = {
      type: "OPT",
      name: ".",
      udpPayloadSize: 1232,
      extendedRcode: 0,
      ednsVersion: 0,
      flags: 0,
      flag_do: false,
      options: [cookie],
    };
    const soa = { mname: "ns.example", rname: "host.example", serial: 9, refresh: 1, retry: 1, expire: 1, minimum: 5 };
    outside.answers = (q, bytes) => {
      seen = bytes;
      said = reply(q, {
        flags: 3,
        authorities: [{ type: "SOA", name: "cluster.local", ttl: 5, data: soa }],
        additionals: [addressRecord("x.example", "10.0.0.9"), opt as unknown as packet.OptAnswer],
      });
      return [said];
    };
    const query = asks("x", {
      questions: [{ type: "SRV", name: "_headless._tcp.db.ns.svc.cluster.local" }],
      additionals: [opt as unknown as packet.OptAnswer],
    });
    const answer = await udp(client, query);
    outside.answers = zone;
    assert.deepEqual(seen?.subarray(2), query.subarray(2));
    assert.deepEqual(answer, { ...packet.decode(said ?? Buffer.alloc(0)), id: 4711 });
  });

  test("a pod with nameservers and search domains of its own: its outside names are asked there, its domains are taken off", async () => {
    outside.asked.splice(0);
    assert.deepEqual(addresses(await udp(none, asks("secret.corp.example"))), ["10.255.0.1"]);
    assert.deepEqual(addresses(await udp(none, asks("www.google.com.corp.example"))), ["www.google.com", "240.240.0.1"]);
    assert.deepEqual(addresses(await udp(none, asks("www.google.com.ns.svc.cluster.local"))), ["10.255.0.1"], "not its search domain");
    assert.deepEqual(outside.asked, []);
  });

  test("broken and hostile queries: refused or dropped, and the server goes on", async () => {
    const flags = async (bytes: Buffer): Promise<string> => String(rcode(await udp(client, bytes)));
    const update = asks("web");
    update.writeUInt8(0x28, 2);
    assert.equal(await flags(update), "NOTIMP");
    const twice = asks("web");
    twice.writeUInt8(2, 5);
    assert.equal(await flags(twice), "FORMERR");
    const socket = createSocket("udp4");
    socket.bind({ fd: socketIn({ netns: client.netns.fd, family: "ipv4", type: "udp" }) });
    const heard: Buffer[] = [];
    socket.on("message", (m) => heard.push(m));
    for (const bytes of [Buffer.alloc(1), Buffer.alloc(11), reply(packet.decode(asks("web"))), asks("web")])
      socket.send(bytes, 53, resolver.v4);
    while (heard.length === 0) await once(socket, "message", { signal: AbortSignal.timeout(5_000) });
    assert.deepEqual(
      heard.map((m) => addresses(packet.decode(m))),
      [["10.96.0.7"]],
      "only the query is answered",
    );
    socket.close();
    const garbage = await dialFrom(client, resolver.v4, 53, false);
    garbage.on("error", () => {}).resume();
    garbage.write(Buffer.concat([Buffer.from([0, 3]), Buffer.from("abc")]));
    await once(garbage, "close", { signal: AbortSignal.timeout(5_000) });
    assert.deepEqual(addresses(await udp(client, asks("web"))), ["10.96.0.7"]);
  });

  test("REGISTRY_ONLY: what is listed is reached by the name that we resolve; all else is refused, said in the log and explained", async () => {
    const echo = await serveIn(second, 443, (socket) => socket.end("hello"));
    const host = await getent(client, "api.example");
    assert.equal(host, "240.240.0.2");
    assert.equal(await readToEnd(await dialFrom(client, host, 443)), "hello");
    assert.equal(await refusal(client, second.v4, 443), "ECONNRESET", "the same server by its address, which nobody listed");
    const why = /10\.91\.0\.4:443 is no destination of the mesh, and OUTBOUND_TRAFFIC_POLICY=REGISTRY_ONLY refuses/;
    assert.match(await nodes.logged(/connection failed.*REGISTRY_ONLY/), why);
    const explained = await ask(node, `/explain/outbound?namespace=ns&pod=client&to=${second.v4}:443`);
    assert.equal(JSON.parse(explained.body).why, "DENY");
    assert.match(JSON.parse(explained.body).text, why);
    echo.close();
  });

  test("dns_metrics", async () => {
    outside.answers = (q) => [reply(q, { flags: 2 })];
    assert.equal(rcode(await udp(client, asks("failing.example"))), "SERVFAIL");
    outside.answers = zone;
    const text = await (await fetch(`http://127.0.0.1:${node.app.ports.stats}/metrics`)).text();
    const labels = 'request_query_type="a",request_protocol="udp",source_canonical_service="client",source_canonical_revision="latest"';
    assert.match(text, new RegExp(`istio_dns_requests_total\\{${labels}\\} \\d+`));
    assert.match(text, new RegExp(`istio_dns_upstream_requests_total\\{${labels}\\} \\d+`));
    assert.match(text, /istio_dns_upstream_failures_total\{/);
    for (const le of ["0.0005", "0.001", "0.01", "0.1", "1", "5"])
      assert.ok(text.includes(`istio_dns_upstream_request_duration_seconds_bucket{${labels},le="${le}"}`), le);
    assert.match(text, /request_query_type="srv",request_protocol="udp"/);
    assert.match(text, /request_query_type="a",request_protocol="tcp"/);
  });

  test("a flood of names that nobody answers: what is too many is refused at once, our own names are answered all the while", async () => {
    outside.answers = () => [];
    const socket = createSocket({ type: "udp4", recvBufferSize: 4_000_000 });
    socket.bind({ fd: socketIn({ netns: client.netns.fd, family: "ipv4", type: "udp" }) });
    const refused = Promise.withResolvers<void>();
    socket.on("message", (m) => {
      if (rcode(packet.decode(m)) === "SERVFAIL") refused.resolve();
    });
    const began = performance.now();
    for (let i = 0; i < 400; i++) socket.send(asks(`n${i}.example`, { id: i }), 53, resolver.v4);
    await refused.promise;
    assert.ok(performance.now() - began < 4_000, "refused for being too many, not for want of an answer");
    socket.close();
    for (let i = 0; i < 20; i++) assert.deepEqual(addresses(await udp(client, asks("db-0.db"))), ["10.91.0.201"]);
    assert.equal(await getent(client, "www.google.com"), "240.240.0.1");
    outside.answers = zone;
  });

  test("a pod that is not known yet gets SERVFAIL, not somebody else's view", async () => {
    controller.push({ removed: [workload(none).uid] });
    assert.equal(rcode(await udp(none, asks("web"))), "SERVFAIL");
  });

  test("the pod leaves the mesh: its resolver is told at once that nobody listens", async () => {
    await node.agent.tell({ kind: "del", uid: "uid-none" });
    await assert.rejects(udp(none, asks("web")), /ECONNREFUSED/);
  });
});
