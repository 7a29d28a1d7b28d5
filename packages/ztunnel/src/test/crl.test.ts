// Two ztunnels, real namespaces, real TLS: a workload whose certificate is taken back is refused by the other side, and cut off while it is connected.

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { aWorkload, ip } from "@ambit/shared/state/fixtures.ts";
import { createCrl } from "@ambit/shared/tls/crl-issue.ts";
import { createTestCa, createTestController } from "./mesh.ts";
import { createTestNet, cutOf, dialFrom, readToEnd, refusal, serveIn } from "./net.ts";
import { ask, createTestNodes, type TestNode } from "./node.ts";

const net = createTestNet(["client", "server", "neighbour"]);
const [client, server, neighbour] = [net.pod("client"), net.pod("server"), net.pod("neighbour")];
const dir = mkdtempSync(join(tmpdir(), "ambit-crl-"));
const ca = createTestCa();
const controller = createTestController(ca);
const nodes = createTestNodes(dir, controller);

/** Each node has a file of its own, so that it is known who refuses. */
const fileOf = (node: string): string => join(dir, `${node}.crl`, "ca-crl.pem");
const put = (node: string, text: string): void => {
  writeFileSync(`${fileOf(node)}.new`, text);
  renameSync(`${fileOf(node)}.new`, fileOf(node));
};
let issued = 0;
const listing = (...serials: string[]): string =>
  createCrl(ca, {
    revoked: serials.map((serial) => ({ serial, at: Date.now() })),
    number: ++issued,
    thisUpdate: Date.now() - 1_000,
    nextUpdate: Date.now() + 3_600_000,
  });
const serialOf = async (node: TestNode, account: string): Promise<string> => {
  const dump = JSON.parse((await ask(node, "/config_dump")).body) as {
    certificates: { identity: string; certChain: { serialNumber: string }[] }[];
  };
  const decimal = dump.certificates.find((c) => c.identity.endsWith(`/sa/${account}`))?.certChain[0]?.serialNumber;
  return BigInt(decimal ?? assert.fail(`no certificate of ${account}`)).toString(16);
};
const metric = async (node: TestNode, line: RegExp): Promise<number> => {
  const text = await (await fetch(`http://127.0.0.1:${node.app.ports.stats}/metrics`)).text();
  return Number(
    text
      .split("\n")
      .find((l) => line.test(l))
      ?.split(" ")
      .at(-1) ?? 0,
  );
};

describe("crl", { timeout: 60_000 }, () => {
  let one: TestNode;
  let two: TestNode;
  let echo: Server;
  let nextDoor: Server;

  before(async () => {
    for (const p of [client, server, neighbour]) net.capture(p);
    for (const node of ["one", "two"]) {
      mkdirSync(join(dir, `${node}.crl`));
      put(node, "");
    }
    await controller.push({
      workloads: [client, server, neighbour].map((p) =>
        aWorkload(p.name, p.v4, { addresses: [ip(p.v4), ip(p.v6)], serviceAccount: p.name }),
      ),
    });
    one = await nodes.start("one", [client, neighbour], { CRL_PATH: fileOf("one") });
    two = await nodes.start("two", [server], { CRL_PATH: fileOf("two") });
    echo = await serveIn(server, 8080, (socket) => void socket.pipe(socket));
    nextDoor = await serveIn(neighbour, 8080, (socket) => void socket.pipe(socket));
  });

  after(async () => {
    echo?.close();
    nextDoor?.close();
    await one?.stop();
    await two?.stop();
    net[Symbol.dispose]();
    rmSync(dir, { recursive: true });
  });

  const echoed = async (to = server): Promise<string> => {
    const socket = await dialFrom(client, to.v4, 8080);
    socket.end("hello");
    return readToEnd(socket);
  };
  const established = async () => {
    const socket = await dialFrom(client, server.v4, 8080);
    socket.write("x");
    await once(socket, "data");
    return socket;
  };
  /** The file's content is in force on the node. */
  const load = async (node: string, text: string): Promise<void> => {
    nodes.forget();
    put(node, text);
    await nodes.logged(new RegExp(`${node}\\t.*revocation lists loaded`));
  };
  const both = [
    { crl: "outbound", refuser: "one", says: "two", account: "server", reporter: "source" },
    { crl: "inbound", refuser: "two", says: "one", account: "client", reporter: "destination" },
  ] as const;

  for (const { crl, refuser, account, reporter } of both) {
    test(`crl_${crl}_terminates_existing_connection_on_revocation`, async () => {
      const socket = await established();
      await load(refuser, listing("0123"));
      socket.write("y");
      await once(socket, "data");
      const cut = cutOf(socket);
      await load(refuser, listing(await serialOf(account === "server" ? two : one, account)));
      assert.match(await cut, /ECONNRESET|EPIPE/);
      const direction = crl === "outbound" ? "outbound" : "inbound";
      const line = await nodes.logged(new RegExp(`${refuser}\\t.*connection complete.*direction="${direction}".*has been revoked`));
      assert.match(line, /error\taccess/i);
      const node = refuser === "one" ? one : two;
      assert.ok((await metric(node, new RegExp(`^istio_crl_policy_rejections_total\\{reporter="${reporter}"\\}`))) >= 1);
      assert.ok(
        (await metric(node, new RegExp(`^istio_tcp_connections_failed_total\\{.*reporter="${reporter}".*response_flags="CERT_REVOKED"`))) >=
          1,
      );
    });

    test(`crl_${crl}_rejects_revoked_cert`, async () => {
      nodes.forget();
      assert.match(await refusal(client, server.v4, 8080), /ECONNRESET|EPIPE/);
      await nodes.logged(new RegExp(`${refuser}\\t.*has been revoked`));
      // A broken file changes nothing; a good one without the entry lets the peer back in.
      nodes.forget();
      put(refuser, "rubbish");
      await nodes.logged(new RegExp(`${refuser}\\t.*revocation lists refused.*last good`));
      assert.match(await refusal(client, server.v4, 8080), /ECONNRESET|EPIPE/);
      await load(refuser, listing());
      assert.equal(await echoed(), "hello");
    });
  }

  test("a neighbour on the same node is held to the lists as well, though it is reached without a tunnel", async () => {
    assert.equal(await echoed(neighbour), "hello");
    for (const account of ["neighbour", "client"]) {
      await load("one", listing(await serialOf(one, account)));
      assert.match(await refusal(client, neighbour.v4, 8080), /ECONNRESET|EPIPE/, `${account} is revoked`);
      await load("one", listing());
      assert.equal(await echoed(neighbour), "hello");
    }
  });
});
