// The redirect rules: loaded by the real nft in a real namespace, they bend what they must and nothing else.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server, Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { inNetns, type Netns, openNetns } from "@ambit/shared/linux/netns.ts";
import { listenSocket, socketIn } from "@ambit/shared/linux/socket.ts";
import { originalDestination } from "@ambit/shared/linux/sockopt.ts";
import { applyRouting, applyRules } from "./apply.ts";
import { hostRules, podRules, probeElements, removeHostRules, removePodRules } from "./rules.ts";

const ip = (...args: string[]): string => execFileSync("ip", args, { encoding: "utf8" });

/** A namespace with lo and a link that owns 10.77.0.2 and fd77::2. */
const aNamespace = (t: TestContext): { name: string; netns: Netns } => {
  const name = `t-cni-${process.pid}-${Math.floor(performance.now() * 1000).toString(36)}`;
  ip("netns", "add", name);
  t.after(() => ip("netns", "del", name));
  for (const line of [
    "link set lo up",
    "link add eth0 type veth peer name eth1",
    "link set eth0 up",
    "link set eth1 up",
    "addr add 10.77.0.2/24 dev eth0",
    "-6 addr add fd77::2/64 dev eth0 nodad",
  ])
    execFileSync("ip", ["-n", name, ...line.split(" ")]);
  const netns = openNetns(`/run/netns/${name}`);
  t.after(() => netns[Symbol.dispose]());
  return { name, netns };
};

const listenIn = async (t: TestContext, netns: Netns, port: number): Promise<{ server: Server; seen: string[] }> => {
  const seen: string[] = [];
  const server = createServer((socket) => {
    const handle = (socket as unknown as { _handle: { fd: number } })._handle;
    const to = originalDestination(handle.fd);
    seen.push(`${to?.ip}:${to?.port}`);
    socket.end(`${port}`);
  });
  const fd = listenSocket({ netns: netns.fd, family: "ipv6", bind: { ip: "::", port }, v6only: false });
  server.listen({ fd });
  await once(server, "listening");
  t.after(() => server.close());
  return { server, seen };
};

/** Dials from inside the namespace; answers what the listener that got it said, or the error's code. */
const dial = async (netns: Netns, to: { host: string; port: number }, mark?: number): Promise<string> => {
  const family = to.host.includes(":") ? "ipv6" : "ipv4";
  const fd = socketIn({ netns: netns.fd, family, ...(mark === undefined ? {} : { mark }) });
  const socket = new Socket({ fd, readable: true, writable: true });
  socket.connect(to);
  let text = "";
  socket.on("data", (d) => {
    text += d;
  });
  const [e] = await Promise.race([once(socket, "close").then(() => [undefined]), once(socket, "error")]);
  return e instanceof Error ? ((e as NodeJS.ErrnoException).code ?? e.message) : text;
};

test("outbound goes to 15001 with its destination kept; ztunnel's own mark passes; loopback is left alone", async (t) => {
  const { netns } = aNamespace(t);
  await applyRouting({ netns: netns.fd }, "add", ["ipv4", "ipv6"]);
  await applyRules({ netns: netns.fd }, podRules({ bypassInbound: false }));
  const outbound = await listenIn(t, netns, 15001);
  await listenIn(t, netns, 8080);
  assert.equal(await dial(netns, { host: "10.77.0.9", port: 80 }), "15001");
  assert.equal(await dial(netns, { host: "fd77::9", port: 443 }), "15001");
  assert.deepEqual(outbound.seen, ["10.77.0.9:80", "fd77::9:443"]);
  assert.equal(await dial(netns, { host: "127.0.0.1", port: 8080 }), "8080");
  assert.equal(await dial(netns, { host: "10.77.0.2", port: 8080 }), "8080", "a call to oneself over lo");
  assert.equal(await dial(netns, { host: "10.77.0.2", port: 8080 }, 0x539), "8080");
});

test("writing twice changes nothing; removing leaves nothing; removing twice is fine", async (t) => {
  const { name, netns } = aNamespace(t);
  const ruleset = (): string => execFileSync("ip", ["netns", "exec", name, "nft", "list", "ruleset"], { encoding: "utf8" });
  const where = { netns: netns.fd };
  await applyRules(where, podRules({ bypassInbound: false }));
  const once1 = ruleset();
  await applyRules(where, podRules({ bypassInbound: false }));
  assert.equal(ruleset(), once1);
  await applyRules(where, podRules({ bypassInbound: true }));
  assert.doesNotMatch(ruleset(), /15006/);
  for (const _ of [1, 2]) {
    await applyRouting(where, "add", ["ipv4", "ipv6"]);
    assert.match(ip("-n", name, "rule"), /32764:.*fwmark 0x111\/0xfff/);
  }
  for (const _ of [1, 2]) {
    await applyRules(where, removePodRules());
    await applyRouting(where, "del", ["ipv4", "ipv6"]);
    assert.equal(ruleset(), "");
    assert.doesNotMatch(ip("-n", name, "rule"), /fwmark/);
  }
});

test("a connection that was open before the rules goes on in clear", async (t) => {
  const { netns } = aNamespace(t);
  const server = createServer((socket) => socket.pipe(socket));
  server.listen({ fd: listenSocket({ netns: netns.fd, family: "ipv4", bind: { ip: "10.77.0.2", port: 9000 } }) });
  t.after(() => server.close());
  const client = inNetns(netns.fd, () => socketIn({ family: "ipv4" }));
  const socket = new Socket({ fd: client, readable: true, writable: true });
  socket.connect({ host: "10.77.0.2", port: 9000 });
  await once(socket, "connect");
  await applyRules({ netns: netns.fd }, podRules({ bypassInbound: false }));
  socket.write("still here");
  const [data] = await once(socket, "data");
  assert.equal(String(data), "still here");
  socket.destroy();
});

test("probe rules load, take elements that come and go, and are removed", async (t) => {
  const { name, netns } = aNamespace(t);
  const where = { netns: netns.fd };
  const elements = (): string =>
    execFileSync("ip", ["netns", "exec", name, "nft", "list", "set", "inet", "istio-ambient-nat", "istio-inpod-probes-v4"], {
      encoding: "utf8",
    });
  await applyRules(where, hostRules({ v4: ["10.0.0.1"], v6: [] }, 0));
  await applyRules(where, probeElements("add", { v4: ["10.0.0.2"], v6: ["fd00::2"] }));
  assert.match(elements(), /10\.0\.0\.1, 10\.0\.0\.2/);
  await applyRules(where, probeElements("destroy", { v4: ["10.0.0.1", "10.0.0.9"], v6: [] }));
  assert.doesNotMatch(elements(), /10\.0\.0\.1\b/);
  await applyRules(where, removeHostRules());
  await assert.rejects(applyRules(where, "add rule inet nowhere x accept\n"), /nft -f - failed \(exit 1\)/);
});
