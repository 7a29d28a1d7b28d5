// Do service addresses lead to ready endpoints, in the plan and in real namespaces?

import assert from "node:assert/strict";
import dgram from "node:dgram";
import { once } from "node:events";
import net from "node:net";
import { after, before, describe, test } from "node:test";
import type { Service } from "@ambit/shared/kube/objects/core.ts";
import type { EndpointSlice } from "@ambit/shared/kube/objects/discovery.ts";
import { openNetns } from "@ambit/shared/linux/netns.ts";
import { listenSocket, socketIn } from "@ambit/shared/linux/socket.ts";
import packet from "dns-packet";
import { answer } from "../dns/answer.ts";
import { buildZone, reverseName } from "../dns/records.ts";
import { startDnsServer } from "../dns/server.ts";
import { netnsPath, nodeNetns, podNetns } from "../instance.ts";
import { createPodNetwork, ensureFabric, ensureNode, removeNetwork } from "../network/run.ts";
import { runTool } from "../tools/run.ts";
import { serviceRules, virtualPorts } from "./plan.ts";

const service = (name: string, spec: Service["spec"]): Service => ({ metadata: { name, namespace: "shop" }, spec });
const slice = (
  of: string,
  addressType: string,
  endpoints: EndpointSlice["endpoints"],
  ports: EndpointSlice["ports"] = [{ name: "http", port: 8080, protocol: "TCP" }],
): EndpointSlice => ({
  metadata: { name: `${of}-${addressType}`, namespace: "shop", labels: { "kubernetes.io/service-name": of } },
  addressType,
  endpoints,
  ports,
});
const HTTP = [{ name: "http", port: 80, protocol: "TCP", targetPort: 8080 }];
const WEB = service("web", { clusterIP: "10.96.1.1", clusterIPs: ["10.96.1.1", "fd00:96::11"], ports: HTTP });
const WEB4 = slice("web", "IPv4", [
  { addresses: ["10.244.1.3"], conditions: { ready: true } },
  { addresses: ["10.244.1.2"], conditions: { ready: true } },
  { addresses: ["10.244.2.9"], conditions: { ready: false } },
]);
const WEB6 = slice("web", "IPv6", [{ addresses: ["fd00:244:1::2"] }]);
const EMPTY = service("empty", { clusterIP: "10.96.1.2", ports: HTTP });
const HEADLESS = service("db", { clusterIP: "None", ports: [{ name: "pg", port: 5432 }] });
const DB = slice(
  "db",
  "IPv4",
  [
    { addresses: ["10.244.1.7"], hostname: "db-0" },
    { addresses: ["10.244.1.8"] },
    { addresses: ["10.244.1.9"], conditions: { ready: false } },
  ],
  [{ name: "pg", port: 5432, protocol: "TCP" }],
);
const OUT = service("out", { type: "ExternalName", externalName: "web.shop.svc.cluster.local" });

test("virtual ports: ready endpoints of the port's name, the family's slices, no headless ones, not the excepted", () => {
  assert.deepEqual(virtualPorts([WEB, EMPTY, HEADLESS, OUT], [WEB4, WEB6, DB], new Set(["10.96.1.2"])), [
    {
      family: "ipv4",
      ip: "10.96.1.1",
      protocol: "tcp",
      port: 80,
      targets: [
        { ip: "10.244.1.2", port: 8080 },
        { ip: "10.244.1.3", port: 8080 },
      ],
    },
    { family: "ipv6", ip: "fd00:96::11", protocol: "tcp", port: 80, targets: [{ ip: "fd00:244:1::2", port: 8080 }] },
  ]);
});

describe("names", () => {
  const zone = buildZone([WEB, EMPTY, HEADLESS, OUT], [WEB4, WEB6, DB], "cluster.local");
  const ask = (name: string, type: string) => {
    const a = answer(zone, { name, type });
    return [a.rcode, ...a.answers.map((r) => (typeof r.data === "string" ? r.data : `${r.data.target}:${r.data.port}`))];
  };
  const cases: readonly (readonly [string, string, readonly unknown[]])[] = [
    ["web.shop.svc.cluster.local", "A", [0, "10.96.1.1"]],
    ["WEB.Shop.svc.Cluster.local.", "A", [0, "10.96.1.1"]],
    ["web.shop.svc.cluster.local", "AAAA", [0, "fd00:96::11"]],
    ["empty.shop.svc.cluster.local", "AAAA", [0]],
    ["web.shop.svc.cluster.local", "MX", [0]],
    ["_http._tcp.web.shop.svc.cluster.local", "SRV", [0, "web.shop.svc.cluster.local:80"]],
    ["db.shop.svc.cluster.local", "A", [0, "10.244.1.7", "10.244.1.8"]],
    ["db-0.db.shop.svc.cluster.local", "A", [0, "10.244.1.7"]],
    ["10-244-1-8.db.shop.svc.cluster.local", "A", [0, "10.244.1.8"]],
    ["_pg._tcp.db.shop.svc.cluster.local", "SRV", [0, "db-0.db.shop.svc.cluster.local:5432", "10-244-1-8.db.shop.svc.cluster.local:5432"]],
    ["10-1-2-3.shop.pod.cluster.local", "A", [0, "10.1.2.3"]],
    ["fd00-244-1--2.shop.pod.cluster.local", "AAAA", [0, "fd00:244:1::2"]],
    ["999-1-2-3.shop.pod.cluster.local", "A", [3]],
    ["out.shop.svc.cluster.local", "A", [0, "web.shop.svc.cluster.local", "10.96.1.1"]],
    ["1.1.96.10.in-addr.arpa", "PTR", [0, "web.shop.svc.cluster.local"]],
    ["7.1.244.10.in-addr.arpa", "PTR", [0, "db-0.db.shop.svc.cluster.local"]],
    ["9.9.9.9.in-addr.arpa", "PTR", [3]],
    ["shop.svc.cluster.local", "A", [0]],
    ["none.shop.svc.cluster.local", "A", [3]],
    ["example.com", "A", [5]],
    ["web.shop.svc.cluster.local.lan", "A", [5]],
  ];
  for (const [name, type, want] of cases) test(`${name} ${type}`, () => assert.deepEqual(ask(name, type), want));
  test("a name that does not exist comes with the zone's SOA", () => {
    assert.deepEqual(
      answer(zone, { name: "x.cluster.local", type: "A" }).authorities.map((s) => [s.type, s.name]),
      [["SOA", "cluster.local"]],
    );
    assert.deepEqual(answer(zone, { name: "example.com", type: "A" }).authorities, []);
  });
  test("reverse names", () => {
    assert.equal(reverseName("10.96.0.10"), "10.0.96.10.in-addr.arpa");
    assert.equal(reverseName("fd00:96::a"), `a.${"0.".repeat(23)}6.9.0.0.0.0.d.f.ip6.arpa`);
  });
});

describe("in real namespaces", () => {
  const ID = `s${process.pid.toString(16)}`;
  const pods = [
    { uid: "aaaaaaaa-0000-0000-0000-00000000000a", node: 1, number: 2 },
    { uid: "bbbbbbbb-0000-0000-0000-00000000000b", node: 1, number: 3 },
  ] as const;
  const apply = (services: readonly Service[], slices: readonly EndpointSlice[]): Promise<string> =>
    runTool("nsenter", [`--net=${netnsPath(nodeNetns(ID, 1))}`, "nft", "-f", "-"], serviceRules(virtualPorts(services, slices, new Set())));
  const serve = (uid: string, family: "ipv4" | "ipv6"): net.Server => {
    using ns = openNetns(netnsPath(podNetns(ID, uid)));
    const server = net.createServer((s) => s.end(`${uid[0]} ${s.remoteAddress}`));
    return server.listen({
      fd: listenSocket({ netns: ns.fd, family, v6only: true, bind: { ip: family === "ipv4" ? "0.0.0.0" : "::", port: 8080 } }),
    });
  };
  const dial = async (from: string, host: string, port: number): Promise<string> => {
    using ns = openNetns(netnsPath(from));
    const socket = new net.Socket({ fd: socketIn({ netns: ns.fd, family: host.includes(":") ? "ipv6" : "ipv4" }) }).setTimeout(3_000);
    socket.on("timeout", () => socket.destroy(new Error("timed out")));
    socket.connect({ host, port });
    let text = "";
    try {
      for await (const bytes of socket) text += String(bytes);
    } catch (e) {
      return e instanceof Error && "code" in e ? String(e.code) : String(e);
    }
    return text;
  };
  const servers: net.Server[] = [];
  before(async () => {
    await ensureFabric(ID);
    await ensureNode(ID, 1, 1);
    for (const pod of pods) await createPodNetwork(ID, pod);
    for (const pod of pods) for (const family of ["ipv4", "ipv6"] as const) servers.push(serve(pod.uid, family));
  });
  after(async () => {
    for (const s of servers) s.close();
    await removeNetwork(ID);
  });
  const [a, b] = pods;

  test("a Service address reaches all its endpoints, from pods and from the node, in both families", async () => {
    const v6 = slice("web", "IPv6", [{ addresses: ["fd00:244:1::2"] }, { addresses: ["fd00:244:1::3"] }]);
    await apply([WEB, EMPTY], [WEB4, v6]);
    for (const host of ["10.96.1.1", "fd00:96::11"]) {
      const seen = new Set<string>();
      for (let i = 0; i < 40; i++) seen.add((await dial(podNetns(ID, a.uid), host, 80)).slice(0, 1));
      assert.deepEqual([...seen].sort(), ["a", "b"], host);
      assert.match(await dial(nodeNetns(ID, 1), host, 80), /^[ab] /);
    }
  });
  test("the caller's address is kept, except towards itself", async () => {
    await apply([WEB], [slice("web", "IPv4", [{ addresses: ["10.244.1.2"] }])]);
    assert.equal(await dial(podNetns(ID, b.uid), "10.96.1.1", 80), "a 10.244.1.3");
    assert.equal(await dial(podNetns(ID, a.uid), "10.96.1.1", 80), "a 10.244.1.1");
  });
  test("without endpoints, refused at once, from pods and from the node", async () => {
    await apply([EMPTY], []);
    assert.equal(await dial(podNetns(ID, a.uid), "10.96.1.2", 80), "ECONNREFUSED");
    assert.equal(await dial(nodeNetns(ID, 1), "10.96.1.2", 80), "ECONNREFUSED");
  });
  test("no services at all is a valid table too", async () => {
    await apply([], []);
  });

  test("DNS answers pods over UDP and TCP; what does not fit comes by TCP", async () => {
    using node = openNetns(netnsPath(nodeNetns(ID, 1)));
    using pod = openNetns(netnsPath(podNetns(ID, a.uid)));
    const many = slice(
      "db",
      "IPv4",
      Array.from({ length: 60 }, (_, i) => ({ addresses: [`10.244.3.${i + 2}`] })),
    );
    const zone = buildZone([WEB, HEADLESS], [many], "cluster.local");
    const server = startDnsServer({ addresses: ["10.96.0.10", "fd00:96::a"], port: 53, netns: node.fd, zone: () => zone });
    const query = (name: string): Buffer =>
      packet.encode({ type: "query", id: 7, flags: packet.RECURSION_DESIRED, questions: [{ name, type: "A" }] });
    for (const [family, type, host] of [
      ["ipv4", "udp4", "10.96.0.10"],
      ["ipv6", "udp6", "fd00:96::a"],
    ] as const) {
      const socket = dgram.createSocket(type);
      socket.bind({ fd: socketIn({ netns: pod.fd, family, type: "udp" }) });
      const ask = async (name: string): Promise<packet.DecodedPacket> => {
        socket.send(query(name), 53, host);
        const [bytes]: Buffer[] = await once(socket, "message", { signal: AbortSignal.timeout(3_000) });
        assert.ok(bytes !== undefined);
        return packet.decode(bytes);
      };
      const web = await ask("web.shop.svc.cluster.local");
      assert.equal(web.id, 7);
      assert.deepEqual(
        web.answers?.map((r) => ("data" in r ? r.data : "")),
        ["10.96.1.1"],
      );
      const db = await ask("db.shop.svc.cluster.local");
      assert.equal(db.flag_tc, true);
      socket.send(Buffer.from("garbage"), 53, host); // no answer, no harm
      assert.equal(Reflect.get(await ask("example.com"), "rcode"), "REFUSED");
      socket.close();
    }
    const tcp = new net.Socket({ fd: socketIn({ netns: pod.fd, family: "ipv4" }) }).connect({ host: "10.96.0.10", port: 53 });
    const q = query("db.shop.svc.cluster.local");
    tcp.write(Buffer.concat([Buffer.of(0, q.length), q]));
    let bytes = Buffer.alloc(0);
    while (bytes.length < 2 || bytes.length < 2 + bytes.readUInt16BE(0)) {
      const [more]: Buffer[] = await once(tcp, "data", { signal: AbortSignal.timeout(3_000) });
      assert.ok(more !== undefined);
      bytes = Buffer.concat([bytes, more]);
    }
    assert.equal(packet.decode(bytes.subarray(2)).answers?.length, 60);
    tcp.destroy();
    await server.close();
  });
});
