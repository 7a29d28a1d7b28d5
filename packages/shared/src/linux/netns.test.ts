// Are sockets made inside a namespace and used outside it?

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import net from "node:net";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { LinuxError } from "./client.ts";
import { inNetns, netnsIdentity, openNetns, ownNetns, sameNetns } from "./netns.ts";
import { closeFd, listenSocket, socketIn } from "./socket.ts";
import { getMark, originalDestination, setKeepalive, setUserTimeout } from "./sockopt.ts";

const NAME = `t-linux-${process.pid}`;
const run = (command: string, ...args: string[]): string => execFileSync(command, args, { encoding: "utf8" });
const openFds = (): number => readdirSync("/proc/self/fd").length;

/** One accepted connection of a server, by a deadline. */
const accepted = async (server: net.Server): Promise<net.Socket> => {
  const [socket] = await once(server, "connection", { signal: AbortSignal.timeout(5_000) });
  assert.ok(socket instanceof net.Socket);
  return socket;
};

const fdOf = (socket: net.Socket): number => {
  const handle: unknown = Reflect.get(socket, "_handle");
  const fd: unknown = typeof handle === "object" && handle !== null ? Reflect.get(handle, "fd") : undefined;
  assert.equal(typeof fd, "number");
  return Number(fd);
};

const listensIn = (netns: number | undefined, port: number): boolean => {
  const table =
    netns === undefined ? readFileSync("/proc/thread-self/net/tcp", "utf8") : run("ip", "netns", "exec", NAME, "cat", "/proc/net/tcp");
  return table.includes(`:${port.toString(16).toUpperCase().padStart(4, "0")} 00000000:0000 0A`);
};

describe("network namespaces", () => {
  before(() => {
    run("ip", "netns", "add", NAME);
    run("ip", "-n", NAME, "link", "set", "lo", "up");
    run("ip", "-n", NAME, "address", "add", "192.0.2.1/32", "dev", "lo");
  });
  after(() => {
    run("ip", "netns", "del", NAME);
    assert.ok(!existsSync(`/run/netns/${NAME}`));
  });

  test("identity is the namespace's, not the path's", () => {
    using a = openNetns(`/run/netns/${NAME}`);
    using b = openNetns(`/run/netns/${NAME}`);
    using home = ownNetns();
    assert.ok(sameNetns(a.identity, b.identity));
    assert.ok(!sameNetns(a.identity, home.identity));
    assert.ok(sameNetns(home.identity, netnsIdentity(home.fd)));
  });

  test("a closed handle has no fd: its number may be another namespace's by now", () => {
    const handle = ownNetns();
    handle[Symbol.dispose]();
    handle[Symbol.dispose]();
    using next = ownNetns();
    assert.throws(() => handle.fd, /has been closed/);
    assert.ok(next.fd >= 0);
  });

  test("an fd that is no namespace is refused", () => {
    const fd = socketIn({ family: "ipv4" });
    assert.throws(() => netnsIdentity(fd), LinuxError);
    assert.throws(() => inNetns(fd, () => 1), { code: "EINVAL", syscall: "setns" });
    closeFd(fd);
    assert.throws(() => openNetns("/etc/hostname"), LinuxError);
    assert.throws(() => openNetns("/proc/self/ns/mnt"), /not a network namespace/);
  });

  test("a call that throws still comes home; a bracket in a bracket is refused", () => {
    using pod = openNetns(`/run/netns/${NAME}`);
    using home = ownNetns();
    assert.throws(
      () =>
        inNetns(pod.fd, () => {
          throw new Error("inside");
        }),
      /inside/,
    );
    assert.throws(() => inNetns(pod.fd, () => inNetns(home.fd, () => 1)), /reentrant/);
    using again = ownNetns();
    assert.ok(sameNetns(home.identity, again.identity));
    // @ts-expect-error a Promise must not cross the bracket
    assert.throws(() => inNetns(pod.fd, async () => 1), /Promise/);
  });

  test("a listener is in the pod's namespace and nowhere else; a dial from there reaches it with its mark", async () => {
    const before = openFds();
    using pod = openNetns(`/run/netns/${NAME}`);
    const fd = listenSocket({ netns: pod.fd, family: "ipv4", reusePort: true, mark: 1337, bind: { ip: "0.0.0.0", port: 15008 } });
    assert.equal(getMark(fd), 1337);
    const server = net.createServer().listen({ fd });
    assert.ok(listensIn(pod.fd, 15008));
    assert.ok(!listensIn(undefined, 15008));
    const dial = socketIn({
      netns: pod.fd,
      family: "ipv4",
      mark: 1337,
      freebind: true,
      bind: { ip: "198.51.100.9", port: 0 },
      transparent: true,
    });
    setKeepalive(dial, { idleSeconds: 180, intervalSeconds: 180, probes: 9 });
    setUserTimeout(dial, 60_000);
    closeFd(dial);
    const out = new net.Socket({ fd: socketIn({ netns: pod.fd, family: "ipv4" }) });
    out.connect({ host: "192.0.2.1", port: 15008 });
    const inbound = await accepted(server);
    assert.equal(inbound.localAddress, "192.0.2.1");
    assert.equal(originalDestination(fdOf(inbound)), undefined);
    out.destroy();
    inbound.destroy();
    server.close();
    await once(server, "close");
    await delay(0);
    pod[Symbol.dispose]();
    assert.ok(openFds() <= before + 1, "only the thread's home handle may stay open"); // opened by the first bracket
  });

  for (const c of [
    { family: "ipv4" as const, listen: "0.0.0.0", dial: "203.0.113.7" },
    { family: "ipv6" as const, listen: "::", dial: "2001:db8::7" },
    { family: "ipv6" as const, listen: "::", dial: "203.0.113.8" },
  ]) {
    test(`a redirected ${c.family} listener tells the original destination ${c.dial}`, async () => {
      using pod = openNetns(`/run/netns/${NAME}`);
      execFileSync("ip", ["-n", NAME, "-batch", "-"], {
        input: `address replace ${c.dial} dev lo ${c.dial.includes(":") ? "nodad" : ""}\n`,
      });
      const rules = `table inet t\ndelete table inet t\ntable inet t { chain o { type nat hook output priority -100; tcp dport 80 redirect to :15001; }; }`;
      execFileSync("ip", ["netns", "exec", NAME, "nft", "-f", "-"], { input: rules });
      const server = net
        .createServer()
        .listen({ fd: listenSocket({ netns: pod.fd, family: c.family, bind: { ip: c.listen, port: 15001 } }) });
      const out = new net.Socket({ fd: socketIn({ netns: pod.fd, family: c.dial.includes(":") ? "ipv6" : "ipv4" }) });
      out.connect({ host: c.dial, port: 80 });
      const inbound = await accepted(server);
      assert.deepEqual(originalDestination(fdOf(inbound)), { ip: c.dial, port: 80 });
      out.destroy();
      inbound.destroy();
      server.close();
      await once(server, "close");
    });
  }

  test("bad addresses and taken ports are named", () => {
    using pod = openNetns(`/run/netns/${NAME}`);
    assert.throws(() => socketIn({ family: "ipv4", bind: { ip: "::1", port: 1 } }), /::1 is not an ipv4 address/);
    assert.throws(() => socketIn({ family: "ipv4", bind: { ip: "127.0.0.1", port: 70_000 } }), /70000 is not a port/);
    const fd = listenSocket({ netns: pod.fd, family: "ipv4", bind: { ip: "192.0.2.1", port: 9 } });
    const again = () => listenSocket({ netns: pod.fd, family: "ipv4", bind: { ip: "192.0.2.1", port: 9 } });
    assert.throws(again, { code: "EADDRINUSE", message: /192\.0\.2\.1 port 9/ });
    closeFd(fd);
  });
});
