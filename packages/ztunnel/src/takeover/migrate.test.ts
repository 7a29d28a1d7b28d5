// Does a connection that waits in a closed listener move to the other one of its port, where the kernel can?

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, Socket } from "node:net";
import { after, before, test } from "node:test";
import { inNetns, type Netns, openNetns } from "@ambit/shared/linux/netns.ts";
import { closeFd, listenSocket, socketIn } from "@ambit/shared/linux/socket.ts";
import { keepQueues } from "./migrate.ts";

const name = `t-L-${process.pid}`;
let netns: Netns;
before(() => {
  execFileSync("ip", ["netns", "add", name]);
  execFileSync("ip", ["-n", name, "link", "set", "lo", "up"]);
  netns = openNetns(`/run/netns/${name}`);
});
after(() => {
  netns[Symbol.dispose]();
  execFileSync("ip", ["netns", "del", name]);
});

test("what waits in the one that closes is served by the one that stays", { timeout: 20_000 }, async (t) => {
  const no = keepQueues(netns);
  if (no !== "") return t.skip(`this kernel cannot: ${no}`);
  assert.equal(
    inNetns(netns.fd, () => readFileSync("/proc/sys/net/ipv4/tcp_migrate_req", "utf8").trim()),
    "1",
  );
  const listen = (): number => listenSocket({ netns: netns.fd, family: "ipv4", reusePort: true, bind: { ip: "127.0.0.1", port: 7000 } });
  const [old, young] = [listen(), listen()];
  // The kernel's hash spreads them over both queues.
  const waiting = await Promise.all(
    Array.from({ length: 40 }, async () => {
      const options = { fd: socketIn({ netns: netns.fd, family: "ipv4" }), readable: true, writable: true, manualStart: true };
      const socket = new Socket(options);
      socket.connect({ host: "127.0.0.1", port: 7000 });
      await once(socket, "connect");
      return socket;
    }),
  );
  closeFd(old);
  const server = createServer((s) => s.end("served")).listen({ fd: young });
  for (const s of waiting) {
    let text = "";
    for await (const chunk of s.setEncoding("utf8")) text += chunk;
    assert.equal(text, "served");
  }
  server.close();
});
