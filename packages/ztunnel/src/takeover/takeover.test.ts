// Is a listening socket handed over with everything that waits in it, and nothing else ever taken?

import assert from "node:assert/strict";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { ownNetns } from "@ambit/shared/linux/netns.ts";
import { connectSeqpacket, listenSeqpacket } from "@ambit/shared/linux/scm.ts";
import { createSeqpacketConnection, createSeqpacketServer } from "@ambit/shared/linux/seqpacket.ts";
import { closeFd, dupFd, listenSocket, socketIn } from "@ambit/shared/linux/socket.ts";
import { socketFacts } from "@ambit/shared/linux/socket-facts.ts";
import { realWorld } from "@ambit/shared/runtime/run.ts";
import { createLogger } from "@ambit/shared/telemetry/log.ts";
import type { Listening } from "../inpod/listeners.ts";
import { createSuccession } from "./client.ts";
import { encodeAnswer } from "./messages.ts";
import { type Offered, offerListeners } from "./server.ts";

const root = mkdtempSync(join(tmpdir(), "ambit-takeover-"));
after(() => rmSync(root, { recursive: true }));
const lines: string[] = [];
const log = createLogger({ format: "text", level: "debug", out: { write: (l) => void lines.push(l) } }).scope("takeover");
const world = realWorld();
const newDir = (): string => mkdtempSync(join(root, "d"));
const openFds = (): number => readdirSync("/proc/self/fd").length;

const listener = (): Listening => {
  const fd = listenSocket({ family: "ipv4", bind: { ip: "127.0.0.1", port: 0 } });
  return { kind: "tcp", port: socketFacts(fd).port, at: "127.0.0.1", fd };
};
const here = (() => {
  using own = ownNetns();
  return own.identity;
})();
const offering = (dir: string, pods: Record<string, Offered>) => offerListeners({ dir, world, log, current: (uid) => pods[uid] });

const talk = async (port: number): Promise<Socket> => {
  const socket = connect({ host: "127.0.0.1", port });
  await once(socket, "connect");
  return socket;
};

test("what waits in the old one's queue is served by the new one after the old has closed", async () => {
  const before = openFds();
  const dir = newDir();
  const old = listener();
  const offer = offering(dir, { u: { netns: here, listening: [old] } });
  assert.equal(statSync(offer.path).mode & 0o777, 0o600);
  const waiting = await Promise.all(Array.from({ length: 20 }, () => talk(old.port)));
  const succession = createSuccession({ dir, world, log });
  const [given, ...more] = await succession.ask("u", here);
  assert.deepEqual(more, []);
  assert.ok(given !== undefined && given.fd !== old.fd);
  assert.deepEqual([given.kind, given.port, given.at], ["tcp", old.port, "127.0.0.1"]);
  offer.close();
  closeFd(old.fd);
  const server = createServer((s) => s.end("served by the new one")).listen({ fd: given.fd });
  const answers = await Promise.all(
    waiting.map(async (s) => {
      let text = "";
      for await (const chunk of s.setEncoding("utf8")) text += chunk;
      return text;
    }),
  );
  assert.deepEqual(new Set(answers), new Set(["served by the new one"]));
  assert.equal(answers.length, 20);
  // The old one is gone: nobody else has any, and its socket file went with it.
  assert.deepEqual(await succession.ask("u", here), []);
  assert.deepEqual(readdirSync(dir), []);
  succession.close();
  server.close();
  await once(server, "close");
  assert.equal(openFds(), before);
});

test("more sockets than one packet carries all arrive; a pod that is not served has none; so has one in another namespace", async () => {
  const dir = newDir();
  const many = Array.from({ length: 40 }, listener);
  using _offer = offering(dir, { u: { netns: here, listening: many }, other: { netns: { ...here, ino: here.ino + 1n }, listening: many } });
  using succession = createSuccession({ dir, world, log });
  const given = await succession.ask("u", here);
  assert.deepEqual(given.map((g) => g.port).sort(), many.map((m) => m.port).sort());
  assert.deepEqual(await succession.ask("nobody", here), []);
  assert.deepEqual(await succession.ask("other", here), []);
  for (const { fd } of [...given, ...many]) closeFd(fd);
});

test("a socket that does not listen, or of no network, is closed and not served; UDP is taken", async () => {
  const before = openFds();
  const dir = newDir();
  const idle = socketIn({ family: "ipv4" });
  const udp = socketIn({ family: "ipv4", type: "udp", bind: { ip: "127.0.0.1", port: 0 } });
  const unix = listenSeqpacket(join(dir, "x"));
  const listening = [idle, udp, unix].map((fd): Listening => ({ kind: "tcp", port: 15001, at: "any", fd }));
  const offer = offering(dir, { u: { netns: here, listening } });
  const succession = createSuccession({ dir, world, log });
  const given = await succession.ask("u", here);
  assert.deepEqual(
    given.map((g) => [g.kind, g.port]),
    [["udp", socketFacts(udp).port]],
  );
  succession.close();
  offer.close();
  for (const fd of [idle, udp, unix, ...given.map((g) => g.fd)]) closeFd(fd);
  assert.equal(openFds(), before);
  assert.ok(lines.some((l) => /is not served.*it does not listen/.test(l)));
  assert.ok(lines.some((l) => /is not served.*a unix socket/.test(l)));
});

test("the newest is asked first, the older when it has none; a dead one's file is removed", async () => {
  const dir = newDir();
  const [one, two] = [listener(), listener()];
  const at = (ms: number) => ({ ...world, now: () => ms });
  using _old = offerListeners({ dir, world: at(1), log, current: () => ({ netns: here, listening: [one] }) });
  using _young = offerListeners({
    dir,
    world: at(2),
    log,
    current: (uid) => (uid === "both" ? { netns: here, listening: [two] } : undefined),
  });
  // Killed: its file stays, nobody listens.
  closeFd(listenSeqpacket(join(dir, "takeover-0000000000003-00000000.sock")));
  using succession = createSuccession({ dir, world, log });
  const both = await succession.ask("both", here);
  const only = await succession.ask("only", here);
  assert.deepEqual([both[0]?.port, only[0]?.port], [two.port, one.port]);
  assert.equal(readdirSync(dir).length, 2);
  for (const { fd } of [one, two, ...both, ...only]) closeFd(fd);
});

test("one that dies, says nonsense, is of another version or stays silent is asked no more, and the pod gets its own sockets", async () => {
  const dir = newDir();
  const answers: Record<string, (c: { send(b: Uint8Array, fds?: readonly number[]): Promise<void>; close(): void }) => void> = {
    "takeover-0000000000001-00000000.sock": (c) => c.close(),
    "takeover-0000000000002-00000000.sock": (c) => void c.send(Buffer.from("nonsense")),
    "takeover-0000000000003-00000000.sock": (c) => void c.send(encodeAnswer({ kind: "refused", why: "version 1 is not spoken here" })),
    "takeover-0000000000004-00000000.sock": () => undefined,
    "takeover-0000000000005-00000000.sock": (c) => void c.send(encodeAnswer({ kind: "sockets", uid: "another", left: 0 }), [one.fd]),
  };
  const one = listener();
  const servers = Object.entries(answers).map(([name, answer]) =>
    createSeqpacketServer(join(dir, name), (fd) => {
      const c = createSeqpacketConnection(fd, { onMessage: () => answer(c), onClose: () => undefined });
    }),
  );
  // The clock of the silent one's deadline is ours.
  using succession = createSuccession({ dir, log, world: { sleep: (ms, signal) => world.sleep(ms / 100, signal) } });
  const before = openFds();
  assert.deepEqual(await succession.ask("u", here), []);
  for (const reason of [
    "it has ended",
    "version 110 of the hand-over",
    "version 1 is not spoken here",
    "no answer within 2 s",
    "nothing asked for",
  ])
    assert.ok(
      lines.some((l) => l.includes("asked no more") && l.includes(reason)),
      reason,
    );
  assert.deepEqual(await succession.ask("u", here), []);
  for (const s of servers) s.close();
  closeFd(one.fd);
  assert.ok(openFds() < before);
});

test("questions that come together are answered each with its own", async () => {
  const dir = newDir();
  const pods = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`u${i}`, { netns: here, listening: [listener()] }]));
  using _offer = offering(dir, pods);
  using succession = createSuccession({ dir, world, log });
  const given = await Promise.all(Object.keys(pods).map((uid) => succession.ask(uid, here)));
  assert.deepEqual(
    given.map((g) => g[0]?.port),
    Object.values(pods).map((p) => p.listening[0]?.port),
  );
  for (const g of [...given.flat(), ...Object.values(pods).flatMap((p) => p.listening)]) closeFd(g.fd);
});

test("a successor that sends fds has them closed, and one of an unknown version is told", async () => {
  const dir = newDir();
  using offer = offering(dir, {});
  const before = openFds();
  const fd = connectSeqpacket(offer.path);
  const answer = Promise.withResolvers<Buffer>();
  const c = createSeqpacketConnection(fd, { onMessage: (m) => answer.resolve(m.bytes), onClose: () => undefined });
  const stray = dupFd(fd);
  await c.send(Buffer.from([9, 123, 125]), [stray]);
  closeFd(stray);
  assert.match(String(await answer.promise), /version 9 of the hand-over is not one we speak/);
  c.close();
  assert.ok(openFds() <= before + 1, "the offer's end of the connection at most");
});

test("a directory that cannot be read is said, and is no reason not to start", async () => {
  const dir = newDir();
  rmSync(dir, { recursive: true });
  using succession = createSuccession({ dir, world, log });
  assert.deepEqual(await succession.ask("u", here), []);
  assert.ok(lines.some((l) => l.includes("no older ztunnel is looked for")));
  chmodSync(root, 0o700);
});
