// Two ztunnels, real namespaces, real redirection: pods talk, and what must not pass does not.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { EMPTY_MATCH, type Policy } from "@ambit/shared/authz/types.ts";
import { type SpiffeId, spiffeId } from "@ambit/shared/identity/spiffe.ts";
import { aPort, aService, aWorkload, ip } from "@ambit/shared/state/fixtures.ts";
import type { Workload } from "@ambit/shared/state/types.ts";
import { createTestCa, createTestController } from "./mesh.ts";
import { createTestNet, cutOf, dialFrom, readToEnd, refusal, serveIn, type TestPod } from "./net.ts";
import { announce, ask, connectAs as connectWith, createTestNodes, type TestNode } from "./node.ts";

const net = createTestNet(["client", "server", "second", "plain", "late"]);
const [client, server, second, plain, late] = ["client", "server", "second", "plain", "late"].map(net.pod) as [
  TestPod,
  TestPod,
  TestPod,
  TestPod,
  TestPod,
];
const dir = mkdtempSync(join(tmpdir(), "ambit-z-"));
const ca = createTestCa();
const controller = createTestController(ca);

const KEY = "ns/s.ns.svc.cluster.local";
const pod = (p: TestPod, over: Partial<Workload> = {}): Workload =>
  aWorkload(p.name, p.v4, { addresses: [ip(p.v4), ip(p.v6)], serviceAccount: p.name, ...over });
const SERVICE = aService("s", "10.96.0.1", {
  addresses: [
    { network: "", ip: ip("10.96.0.1") },
    { network: "", ip: ip("fd00:96::1") },
  ],
});
const STRICT: Policy = {
  namespace: "ns",
  name: "strict",
  scope: "NAMESPACE",
  action: "DENY",
  dryRun: false,
  rules: [{ clauses: [{ matches: [{ ...EMPTY_MATCH, notPrincipals: [{ kind: "presence" }] }] }] }],
};
const denyClient: Policy = {
  ...STRICT,
  name: "deny-client",
  rules: [{ clauses: [{ matches: [{ ...EMPTY_MATCH, principals: [{ kind: "exact", value: "cluster.local/ns/ns/sa/client" }] }] }] }],
};

const nodes = createTestNodes(dir, controller);
const { logged } = nodes;
const connectAs = (identity: SpiffeId, from: TestPod, to: TestPod, authority: string): Promise<string> =>
  connectWith(ca, { identity, from }, to, authority);

/** What becomes of a byte sent to one of our own ports: it must never be echoed. */
const malicious = async (from: TestPod, host: string, port: number): Promise<string> => {
  try {
    const socket = await dialFrom(from, host, port);
    socket.end("x");
    return `ended with ${JSON.stringify(await readToEnd(socket))}`;
  } catch (e) {
    return `${from.name} → ${host}:${port}: ${e instanceof Error ? e.message : String(e)}`;
  }
};
const REFUSED = /ECONNRESET|ECONNREFUSED|EPIPE|^ended with ""$/;

/** Connections that the node's ztunnel has taken and not ended. */
const socketsOpen = async (node: TestNode): Promise<number> => {
  const body = await (await fetch(`http://127.0.0.1:${node.app.ports.stats}/metrics`)).text();
  return [...body.matchAll(/^istio_tcp_sockets_open\{[^}]*\} (\d+)$/gm)].reduce((sum, m) => sum + Number(m[1]), 0);
};

describe("ztunnel in namespaces", { timeout: 60_000 }, () => {
  let one: TestNode;
  let two: TestNode;
  const seen: string[] = [];
  const servers: { close(): void }[] = [];

  before(async () => {
    for (const p of [client, server, second, late]) net.capture(p);
    await controller.push({
      services: [SERVICE],
      workloads: [pod(client), pod(server, { services: { [KEY]: [aPort(80, 8080)] } }), pod(second, { node: "node2" })],
    });
    one = await nodes.start("one", [client, second]);
    two = await nodes.start("two", [server]);
    const echo = (socket: Socket): void => {
      seen.push(socket.remoteAddress ?? "");
      socket.pipe(socket);
    };
    for (const p of [server, plain]) servers.push(await serveIn(p, 8080, echo));
    servers.push(
      await serveIn(server, 2525, (socket) => {
        socket.write("220 hello\r\n");
        socket.on("data", () => {});
        socket.once("end", () => socket.end("221 bye\r\n"));
      }),
    );
  });

  after(async () => {
    for (const s of servers) s.close();
    await one?.stop();
    await two?.stop();
    net[Symbol.dispose]();
    rmSync(dir, { recursive: true });
  });

  const echoed = async (from: TestPod, host: string, port: number, text = "hello"): Promise<string> => {
    const socket = await dialFrom(from, host, port);
    socket.end(text);
    return readToEnd(socket);
  };

  test("captured → captured by pod address: mutual TLS, and the server sees the client's address", async () => {
    assert.equal(await echoed(client, server.v4, 8080), "hello");
    assert.match(seen.at(-1) ?? "", new RegExp(`(^|:)${client.v4}$`));
    const outbound = await logged(/one\t.*connection complete.*direction="outbound"/);
    assert.match(outbound, /src\.identity="spiffe:\/\/cluster\.local\/ns\/ns\/sa\/client"/);
    assert.match(outbound, /dst\.identity="spiffe:\/\/cluster\.local\/ns\/ns\/sa\/server"/);
    assert.match(outbound, new RegExp(`dst\\.addr=${server.v4}:15008 dst\\.hbone_addr=${server.v4}:8080`));
    assert.match(outbound, /bytes_sent=5 bytes_recv=5/);
    assert.match(await logged(/two\t.*connection complete.*direction="inbound"/), /src\.workload="client"/);
  });

  test("by VIP to the endpoint's port, and over IPv6 by both", async () => {
    assert.equal(await echoed(client, "10.96.0.1", 80), "hello");
    assert.equal(await echoed(client, "fd00:96::1", 80), "hello");
    assert.equal(await echoed(client, server.v6, 8080), "hello");
    assert.equal(seen.at(-1), client.v6);
  });

  test("a server may speak first, and each side ends on its own", async () => {
    const socket = await dialFrom(client, server.v4, 2525);
    const [greeting] = (await once(socket, "data")) as [Buffer];
    assert.equal(String(greeting), "220 hello\r\n");
    socket.end();
    assert.equal(await readToEnd(socket), "221 bye\r\n");
  });

  test("20 MB each way arrive whole", async () => {
    const data = randomBytes(20 << 20);
    const socket = await dialFrom(client, server.v4, 8080);
    socket.end(data);
    const hash = createHash("sha256");
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) hash.update(chunk as Buffer);
    assert.equal(hash.digest("hex"), createHash("sha256").update(data).digest("hex"));
  });

  test("a pod reaches itself through its service, and 300 connections at once are all served", async () => {
    assert.equal(await echoed(server, "10.96.0.1", 80), "hello");
    const texts = Array.from({ length: 300 }, (_, i) => `connection ${i}`);
    assert.deepEqual(await Promise.all(texts.map((text) => echoed(client, server.v4, 8080, text))), texts);
  });

  test("an endpoint that refuses the dial is passed over for another one of the service", async () => {
    const both = { services: { "ns/two.ns.svc.cluster.local": [aPort(80, 8080)] } };
    const down = { ...pod(plain, both), uid: "Kubernetes//Pod/ns/down", name: "down" };
    await controller.push({
      services: [aService("two", "10.96.0.2")],
      workloads: [down, pod(server, { services: { [KEY]: [aPort(80, 8080)], ...both.services } })],
    });
    for (let i = 0; i < 8; i++) assert.equal(await echoed(client, "10.96.0.2", 80), "hello");
    await controller.push({ removed: [down.uid] });
  });

  test("captured → uncaptured goes in clear, and a port that nobody serves is a failure, not an empty answer", async () => {
    assert.equal(await echoed(client, plain.v4, 8080), "hello");
    assert.equal(await refusal(client, plain.v4, 9), "ECONNRESET");
    assert.equal(await refusal(client, server.v4, 9), "ECONNRESET");
    await logged(/one\t.*error\taccess\tconnection complete.*the peer (answered 503|asks to take CONNECT .* elsewhere)/);
  });

  test("uncaptured → captured: allowed until STRICT, refused by it, and the source address is kept", async () => {
    assert.equal(await echoed(plain, server.v4, 8080), "hello");
    assert.match(seen.at(-1) ?? "", new RegExp(`(^|:)${plain.v4}$`));
    await controller.push({ policies: [STRICT] });
    assert.equal(await refusal(plain, server.v4, 8080), "ECONNRESET");
    assert.equal(await echoed(client, server.v4, 8080), "hello");
    await logged(/two\t.*explicitly denied by: ns\/strict/);
    await controller.push({ removedPolicies: ["ns/strict"] });
  });

  test("a policy that starts to deny closes the live connection, and refuses new ones with 401", async () => {
    const socket = await dialFrom(client, server.v4, 8080);
    socket.write("x");
    await once(socket, "data");
    const cut = cutOf(socket);
    await controller.push({ policies: [denyClient] });
    assert.equal(await cut, "ECONNRESET");
    await logged(/two\t.*connection closed due to policy change/);
    assert.equal(
      await connectAs(spiffeId("cluster.local", "ns", "client"), plain, server, `${server.v4}:8080`),
      `the peer answered 401 to CONNECT ${server.v4}:8080`,
    );
    assert.equal(await refusal(client, server.v4, 8080), "ECONNRESET");
    assert.equal(await echoed(second, server.v4, 8080), "hello");
    await controller.push({ removedPolicies: ["ns/deny-client"] });
    assert.equal(await echoed(client, server.v4, 8080), "hello");
  });

  test("hbone_ip_mismatch is 400, and so are our own ports", async () => {
    const peer = spiffeId("cluster.local", "ns", "plain");
    assert.equal(await connectAs(peer, plain, server, `${server.v4}:8080`), "200");
    for (const authority of [`${client.v4}:8080`, "127.0.0.1:8080", `${server.v4}:15001`, `${server.v4}:15006`, `${server.v4}:15008`])
      assert.equal(await connectAs(peer, plain, server, authority), `the peer answered 400 to CONNECT ${authority}`);
  });

  test("trust_domain_mismatch_rejected", async () => {
    assert.notEqual(await connectAs(spiffeId("other.example", "ns", "client"), plain, server, `${server.v4}:8080`), "200");
  });

  test("malicious_calls: nobody gets anywhere through our own ports", async () => {
    for (const port of [15001, 15006, 15008]) {
      for (const host of [server.v4, "10.96.0.1", "127.0.0.1", client.v4]) assert.match(await malicious(client, host, port), REFUSED);
      assert.match(await malicious(plain, server.v4, port), REFUSED);
    }
  });

  test("the admin server dumps and explains, and readiness is told", async () => {
    const ready = await fetch(`http://127.0.0.1:${one.app.ports.readiness}/healthz/ready`);
    assert.deepEqual([ready.status, await ready.text()], [200, "ready\n"]);
    const dump = JSON.parse((await ask(one, "/config_dump")).body);
    assert.deepEqual(Object.keys(dump.workloadState).sort(), ["uid-client", "uid-second"]);
    assert.equal(dump.certificates.length, 2);
    assert.equal(dump.certificates[0].state, "Available");
    const outbound = JSON.parse((await ask(one, "/explain/outbound?namespace=ns&pod=client&to=10.96.0.1:80")).body);
    assert.deepEqual([outbound.kind, outbound.service, outbound.authority], ["hbone", KEY, `${server.v4}:8080`]);
    const inbound = JSON.parse(
      (await ask(two, `/explain/inbound?namespace=ns&pod=server&to=${server.v4}:8080&source=none&sourceIp=1.2.3.4`)).body,
    );
    assert.deepEqual([inbound.kind, inbound.verdict.allowed], ["forward", true]);
    assert.equal((await ask(one, "/explain/outbound?namespace=ns&pod=server&to=10.96.0.1:80")).status, 404);
    const metrics = await (await fetch(`http://127.0.0.1:${one.app.ports.stats}/metrics`)).text();
    assert.match(
      metrics,
      /istio_tcp_connections_opened_total\{reporter="source",source_workload="client",.*connection_security_policy="mutual_tls"/,
    );
  });

  test("a pod that is deleted has its connections cut and its ports closed; others are not touched", async () => {
    const kept = await dialFrom(client, server.v4, 8080);
    const lost = await dialFrom(second, server.v4, 8080);
    for (const s of [kept, lost]) {
      s.write("x");
      await once(s, "data");
    }
    const cut = cutOf(lost);
    assert.deepEqual(await one.agent.tell({ kind: "del", uid: "uid-second" }), { error: "" });
    assert.equal(await cut, "ECONNRESET");
    await assert.rejects(dialFrom(second, server.v4, 8080), /ECONNREFUSED/);
    kept.end();
    assert.equal(await readToEnd(kept), "");
  });

  test("a connection that still waits to know whose it is ends with its pod, both ways", async () => {
    const deadline = AbortSignal.timeout(5_000);
    assert.deepEqual(await one.agent.tell(announce(late), [late.netns.fd]), { error: "" });
    const before = await socketsOpen(one);
    const waiting = [await dialFrom(late, server.v4, 8080), await dialFrom(plain, late.v4, 8080)].map(cutOf);
    // The kernel connects by itself: only what ztunnel has taken waits for anything.
    while ((await socketsOpen(one)) < before + 2) deadline.throwIfAborted();
    assert.deepEqual(await one.agent.tell({ kind: "del", uid: "uid-late" }), { error: "" });
    assert.deepEqual(await Promise.all(waiting), ["ECONNRESET", "ECONNRESET"]);
    for (const direction of ["outbound", "inbound"])
      await logged(
        new RegExp(
          `one\\t.*the pod is served no more.*direction="${direction}"|one\\t.*direction="${direction}".*the pod is served no more`,
        ),
      );
  });

  test("ZDS: a broken protocol is answered and hung up, the pods go on, and a new snapshot is taken", async () => {
    const answer = await two.agent.tell({ kind: "keep", uid: "uid-server" });
    assert.match(answer.error, /keep after the snapshot was sent/);
    await logged(/two\t.*the connection to the CNI agent ended/);
    const pending = await fetch(`http://127.0.0.1:${two.app.ports.readiness}/healthz/ready`);
    assert.deepEqual([pending.status, await pending.text()], [500, "not ready, pending: workload proxy manager\n"]);
    assert.equal(await echoed(client, server.v4, 8080), "hello");
  });

  test("shutting down: no new connections, live ones have time to end, then they are cut", async () => {
    const ending = await dialFrom(client, server.v4, 8080);
    const staying = await dialFrom(client, server.v4, 8080);
    for (const s of [ending, staying]) {
      s.write("x");
      await once(s, "data");
    }
    const cut = cutOf(staying);
    const stopped = one.stop();
    await logged(/one\t.*shutting down/);
    ending.end("last words");
    assert.equal(await readToEnd(ending), "last words");
    assert.equal(await cut, "ECONNRESET");
    await stopped;
    one = { ...one, stop: async () => {} };
  });
});
