// The redirect rules: loaded by the real nft in a real namespace, they bend what they must and nothing else.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server, Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { inNetns, type Netns, openNetns } from "@ambit/shared/linux/netns.ts";
import { listenSocket, socketIn } from "@ambit/shared/linux/socket.ts";
import { originalDestination } from "@ambit/shared/linux/sockopt.ts";
import { applyRouting, applyRules } from "./apply.ts";
import { hostRules, podRules, probeElements, removeHostRules, removePodRules } from "./rules.ts";

const ALL = { bypassInbound: false, captureDns: true };

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
  await applyRules({ netns: netns.fd }, podRules(ALL));
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
  await applyRules(where, podRules(ALL));
  const once1 = ruleset();
  await applyRules(where, podRules(ALL));
  assert.equal(ruleset(), once1);
  await applyRules(where, podRules({ ...ALL, bypassInbound: true }));
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
  await applyRules({ netns: netns.fd }, podRules(ALL));
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

/** A UDP server that answers each datagram with `text`. */
const udpIn = async (t: TestContext, netns: Netns, at: { ip: string; port: number; mark?: number }, text: string): Promise<void> => {
  const family = at.ip.includes(":") ? "ipv6" : "ipv4";
  const fd = socketIn({ netns: netns.fd, family, type: "udp", bind: at, ...(at.mark === undefined ? {} : { mark: at.mark }) });
  const socket = createSocket(family === "ipv6" ? "udp6" : "udp4");
  socket.on("message", (_, from) => socket.send(text, from.port, from.address));
  socket.bind({ fd });
  t.after(() => new Promise<void>((resolve) => socket.close(() => resolve())));
};

/** What answers a datagram sent from inside the namespace, and from which address it seems to come. */
const sendUdp = async (
  netns: Netns,
  to: { host: string; port: number },
  options: { mark?: number; from?: number } = {},
): Promise<string> => {
  const family = to.host.includes(":") ? "ipv6" : "ipv4";
  const bind = options.from === undefined ? {} : { bind: { ip: family === "ipv6" ? "fd77::2" : "10.77.0.2", port: options.from } };
  const mark = options.mark === undefined ? {} : { mark: options.mark };
  const socket = createSocket(family === "ipv6" ? "udp6" : "udp4");
  socket.bind({ fd: socketIn({ netns: netns.fd, family, type: "udp", reuseAddr: true, ...bind, ...mark }) });
  try {
    socket.send("?", to.port, to.host);
    const [text, from] = await once(socket, "message", { signal: AbortSignal.timeout(5_000) });
    return `${text} from ${from.address} ${from.port}`;
  } finally {
    socket.close();
  }
};

test("DNS over UDP and TCP goes to 15053, whichever nameserver is asked; answers seem to come from that nameserver", async (t) => {
  const { netns } = aNamespace(t);
  await applyRouting({ netns: netns.fd }, "add", ["ipv4", "ipv6"]);
  await applyRules({ netns: netns.fd }, podRules(ALL));
  for (const ip of ["127.0.0.1", "::1"]) await udpIn(t, netns, { ip, port: 15053, mark: 0x539 }, "ztunnel");
  const tcp = await listenIn(t, netns, 15053);
  await listenIn(t, netns, 15001);
  for (const host of ["10.77.0.9", "10.77.0.10", "fd77::9"])
    assert.equal(await sendUdp(netns, { host, port: 53 }), `ztunnel from ${host} 53`);
  assert.equal(await dial(netns, { host: "10.77.0.9", port: 53 }), "15053");
  assert.equal(await dial(netns, { host: "fd77::9", port: 53 }), "15053");
  assert.deepEqual(tcp.seen, ["10.77.0.9:53", "fd77::9:53"]);
  assert.equal(await dial(netns, { host: "10.77.0.9", port: 54 }), "15001", "another port is no DNS");
});

test("a resolver on the pod's own loopback is left alone, and so are ztunnel's own queries, even from the port the pod used", async (t) => {
  const { name, netns } = aNamespace(t);
  const other = `${name}-o`;
  ip("netns", "add", other);
  t.after(() => ip("netns", "del", other));
  // The far end of the link is the nameserver's namespace.
  ip("-n", name, "link", "set", "eth1", "netns", other);
  for (const line of ["link set lo up", "link set eth1 up", "addr add 10.77.0.9/24 dev eth1"]) ip("-n", other, ...line.split(" "));
  const far = openNetns(`/run/netns/${other}`);
  t.after(() => far[Symbol.dispose]());
  await applyRouting({ netns: netns.fd }, "add", ["ipv4"]);
  await applyRules({ netns: netns.fd }, podRules(ALL));
  await udpIn(t, netns, { ip: "127.0.0.1", port: 15053, mark: 0x539 }, "ztunnel");
  await udpIn(t, netns, { ip: "127.0.0.1", port: 53 }, "local");
  await udpIn(t, far, { ip: "10.77.0.9", port: 53 }, "nameserver");
  assert.equal(await sendUdp(netns, { host: "127.0.0.1", port: 53 }), "local from 127.0.0.1 53");
  const to = { host: "10.77.0.9", port: 53 };
  assert.equal(await sendUdp(netns, to, { from: 40_000 }), "ztunnel from 10.77.0.9 53");
  assert.equal(await sendUdp(netns, to, { from: 40_000, mark: 0x539 }), "nameserver from 10.77.0.9 53");
  assert.equal(await sendUdp(netns, to, { from: 40_000 }), "ztunnel from 10.77.0.9 53");
});

test("without DNS capture queries are left alone", async (t) => {
  const { name, netns } = aNamespace(t);
  await applyRules({ netns: netns.fd }, podRules({ ...ALL, captureDns: false }));
  assert.doesNotMatch(execFileSync("ip", ["netns", "exec", name, "nft", "list", "ruleset"], { encoding: "utf8" }), /15053|zone/);
});
