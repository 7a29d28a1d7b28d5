// Captured or not, near or far, both families, every shape of protocol: does traffic arrive, as it should?
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { test } from "node:test";
import { dial, fate, hashOf, http, nodePlace, pourHashed, readAll, readUntil } from "../../world/net.ts";
import { until } from "../../world/until.ts";
import type { Context } from "../context.ts";
import { PORTS } from "../fixture.ts";

type Over = "hbone" | "tcp";
type Scenario = { name: string; from: string; to: string; over: Over; sourceKept: boolean };

/** Scenarios are data: who dials whom, and how it must travel. */
const SCENARIOS: readonly Scenario[] = [
  {
    name: "captured → captured on one node (local_captured_inpod)",
    from: "mesh/client1",
    to: "mesh/server1",
    over: "hbone",
    sourceKept: true,
  },
  {
    name: "captured → captured across nodes (cross_node_captured_inpod)",
    from: "mesh/client1",
    to: "mesh/server2",
    over: "hbone",
    sourceKept: true,
  },
  { name: "captured → uncaptured (server_uncaptured_inpod)", from: "mesh/client1", to: "plain/server", over: "tcp", sourceKept: true },
  {
    name: "uncaptured → captured, permissive (client_uncaptured_inpod)",
    from: "plain/client",
    to: "mesh/server2",
    over: "tcp",
    sourceKept: true,
  },
  { name: "uncaptured → uncaptured", from: "plain/client", to: "plain/server", over: "tcp", sourceKept: true },
];

const waysTo = async (ctx: Context, key: string, family: 4 | 6): Promise<{ how: string; host: string }[]> => {
  const [namespace = "", app = ""] = key.split("/");
  return [
    { how: `pod IPv${family}`, host: await ctx.ip(key, family) },
    { how: `service VIP IPv${family}`, host: await ctx.vip(namespace, app, family) },
  ];
};

export const traffic = (ctx: () => Context): void => {
  for (const s of SCENARIOS)
    for (const family of [4, 6] as const)
      test(`${s.name}, IPv${family}, by pod and by service`, async () => {
        const c = ctx();
        for (const way of await waysTo(c, s.to, family)) {
          const answer = await c.ask(s.from, { host: way.host, port: PORTS.http });
          assert.equal(answer.status, 200, way.how);
          const echo = JSON.parse(answer.body) as { pod: string; from: string };
          assert.ok(echo.pod.startsWith(s.to.split("/")[1] ?? "?"), `${way.how}: ${echo.pod}`);
          if (s.sourceKept) assert.equal(echo.from, await c.ip(s.from, family), `${way.how}: the app sees the caller's address`);
        }
        const source = await c.ip(s.from, family);
        const node = (await c.pod(s.from)).spec?.nodeName ?? "";
        if (!s.from.startsWith("mesh/")) return;
        const lines = await until("the access log line", async () => {
          const found = await c.ztunnelLog(node, "connection complete", source, `dst.workload`, (await c.pod(s.to)).metadata.name);
          return found.length > 0 ? found : undefined;
        });
        const last = lines.at(-1) ?? "";
        assert.equal(last.includes("dst.hbone_addr"), s.over === "hbone", last);
        if (s.over === "hbone") assert.match(last, /src\.identity="?spiffe:\/\/cluster\.local\/ns\/mesh\/sa\/client/);
      });

  test("a service spreads over its endpoints on both nodes", async () => {
    const c = ctx();
    const host = await c.vip("mesh", "server");
    const seen = new Set<string>();
    await until("an answer from both", async () => {
      seen.add((JSON.parse((await c.ask("mesh/client1", { host, port: PORTS.http })).body) as { node: string }).node);
      return seen.size === 2 ? true : undefined;
    });
  });

  test("a port the service does not have is closed, not passed through", async () => {
    const c = ctx();
    const end = await fate(await c.place("mesh/client1"), { host: await c.vip("mesh", "server"), port: 4444 }, "x");
    assert.match(end, /reset|closed|refused/);
  });

  test("a hostNetwork pod is left alone, and reaches captured pods in clear", async () => {
    const c = ctx();
    const host = await c.pod("mesh/host");
    assert.equal(host.metadata.annotations?.["ambient.istio.io/redirection"], undefined);
    const answer = await http(nodePlace(c.cluster, 1), { host: await c.ip("mesh/server2"), port: PORTS.http });
    assert.equal(answer.status, 200);
  });

  test("server-first: the greeting arrives before a word is said", async () => {
    const c = ctx();
    const socket = await dial(await c.place("mesh/client1"), { host: await c.vip("mesh", "server2"), port: PORTS.greet });
    assert.match(await readUntil(socket, "\r\n"), /^220 server2/);
    socket.write("HELO");
    assert.match(await readUntil(socket, "HELO"), /250/);
    socket.destroy();
  });

  test("half-close: the answer comes after our end", async () => {
    const c = ctx();
    for (const to of ["mesh/server1", "mesh/server2"]) {
      const socket = await dial(await c.place("mesh/client1"), { host: await c.ip(to), port: PORTS.hash });
      socket.end("hello");
      const answer = String(await readAll(socket)).trim();
      assert.equal(answer, createHash("sha256").update("hello").digest("hex"));
    }
  });

  test("200 MB up, hashes equal", { timeout: 180_000 }, async () => {
    const c = ctx();
    const socket = await dial(await c.place("mesh/client1"), { host: await c.ip("mesh/server2"), port: PORTS.hash });
    const answer = readAll(socket);
    const sent = await pourHashed(socket, 200_000_000);
    assert.equal(String(await answer).trim(), sent);
  });

  test("200 MB down, hashes equal", { timeout: 180_000 }, async () => {
    const c = ctx();
    const direct = await dial(await c.place("plain/client"), { host: await c.ip("plain/server"), port: PORTS.send });
    direct.write("200000000\n");
    const reference = hashOf(direct);
    const socket = await dial(await c.place("mesh/client1"), { host: await c.ip("mesh/server2"), port: PORTS.send });
    socket.write("200000000\n");
    assert.deepEqual(await hashOf(socket), await reference);
  });

  test("500 connections at once, each with its own bytes", { timeout: 120_000 }, async () => {
    const c = ctx();
    const place = await c.place("mesh/client1");
    const host = await c.vip("mesh", "server");
    const echoes = await Promise.all(
      Array.from({ length: 500 }, async (_, i) => {
        const socket = await dial(place, { host, port: PORTS.echo }, { deadlineMs: 60_000 });
        socket.write(`number ${i}.`);
        const text = await readUntil(socket, `number ${i}.`, 60_000);
        socket.destroy();
        return text.endsWith(`number ${i}.`);
      }),
    );
    assert.equal(echoes.filter(Boolean).length, 500);
  });

  test("a peer that never reads holds back the sender, not the memory of ztunnel", { timeout: 60_000 }, async () => {
    const c = ctx();
    const socket = await dial(await c.place("mesh/client1"), { host: await c.ip("mesh/server2"), port: PORTS.deaf });
    let taken = 0;
    const block = Buffer.alloc(65_536);
    // Everything that can be held is held well below this; then write() says to wait and drain never comes.
    while (taken < 256_000_000) {
      taken += block.length;
      if (socket.write(block)) continue;
      const drained = await Promise.race([
        once(socket, "drain").then(() => true),
        new Promise<boolean>((r) => setTimeout(() => r(false), 1_500)),
      ]);
      if (!drained) break;
    }
    assert.ok(taken < 128_000_000, `${taken} bytes were taken in by a path whose end reads nothing`);
    socket.destroy();
  });
};
