// Does the agent speak ZDS as ztunnel expects, over real sockets, with one ztunnel, two, and broken ones? (ambient-l4 section 1.3)

import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { netnsIdentity, ownNetns, sameNetns } from "@ambit/shared/linux/netns.ts";
import { connectSeqpacket } from "@ambit/shared/linux/scm.ts";
import { createSeqpacketConnection } from "@ambit/shared/linux/seqpacket.ts";
import { closeFd } from "@ambit/shared/linux/socket.ts";
import { createLogger } from "@ambit/shared/telemetry/log.ts";
import type { ZdsRequest } from "@ambit/shared/wire/types.ts";
import { decodeZdsRequest, encodeZdsAck, encodeZdsHello } from "@ambit/shared/wire/zds.ts";
import { createZdsServer, type SnapshotEntry } from "./server.ts";

const INFO = { name: "p", namespace: "ns", serviceAccount: "sa" };
/** As Istio's ztunnel says it. */
const HELLO = encodeZdsHello({ version: "V1", understands: [] });
const OUR_HELLO = encodeZdsHello({ version: "V1", understands: ["terminating"] });
const OK = encodeZdsAck({ error: "" });

/** Facts that are waited for with a deadline. */
const facts = () => {
  const waiters = new Set<() => void>();
  return {
    changed: (): void => {
      for (const look of [...waiters]) look();
    },
    until: (holds: () => boolean, says: string): Promise<void> =>
      new Promise((resolve, reject) => {
        const late = AbortSignal.timeout(5_000);
        const onLate = (): void => reject(new Error(`not within 5 s: ${says}`));
        late.addEventListener("abort", onLate, { once: true });
        const look = (): void => {
          if (!holds()) return;
          waiters.delete(look);
          late.removeEventListener("abort", onLate);
          resolve();
        };
        waiters.add(look);
        look();
      }),
  };
};

const start = (t: TestContext, snapshot: readonly SnapshotEntry[] = []) => {
  const dir = mkdtempSync(join(tmpdir(), "ambit-z2-"));
  const path = join(dir, "zds.sock");
  const { changed, until } = facts();
  const counts: number[] = [];
  const said: string[] = [];
  const sleeps = new Map<() => void, number>();
  const server = createZdsServer({
    path,
    snapshot: () => snapshot,
    onChange: (n) => {
      counts.push(n);
      changed();
    },
    world: {
      now: () => 0,
      random: () => 0,
      sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
          const wake = (): void => {
            sleeps.delete(wake);
            resolve();
          };
          sleeps.set(wake, ms);
          changed();
          signal?.addEventListener("abort", () => {
            sleeps.delete(wake);
            reject(signal.reason);
          });
        }),
    },
    log: createLogger({ format: "text", level: "info", out: { write: (line) => void said.push(line) } }).scope("zds"),
  });

  type Received = { readonly request: ZdsRequest; readonly netns: boolean };
  /** A ztunnel: its messages in order. `answer` makes it answer each at once; undefined: it stays silent until told. */
  const ztunnel = (answer: ((request: ZdsRequest) => Uint8Array | undefined) | "silent" = () => OK, hello: Uint8Array = HELLO) => {
    const received: Received[] = [];
    let open = true;
    const connection = createSeqpacketConnection(connectSeqpacket(path), {
      onMessage: ({ bytes, fds }) => {
        const request = decodeZdsRequest(bytes);
        assert.ok(request.ok);
        const [fd] = fds;
        using own = ownNetns();
        received.push({ request: request.value, netns: fd !== undefined && sameNetns(netnsIdentity(fd), own.identity) });
        for (const each of fds) closeFd(each);
        const bytesBack = answer === "silent" ? undefined : answer(request.value);
        if (bytesBack !== undefined) void connection.send(bytesBack);
        changed();
      },
      onClose: () => {
        open = false;
        changed();
      },
    });
    t.after(() => connection.close());
    const say = (bytes: Uint8Array): Promise<void> => connection.send(bytes);
    if (hello.length > 0) void say(hello);
    return {
      received,
      seen: () => received.map(({ request: r, netns }) => `${r.kind}${"uid" in r ? ` ${r.uid}` : ""}${netns ? " +netns" : ""}`),
      isOpen: () => open,
      say,
      close: () => connection.close(),
    };
  };
  t.after(() => {
    server.close();
    rmSync(dir, { recursive: true });
  });
  return {
    server,
    ztunnel,
    until,
    counts,
    said,
    /** Ends the waits of the server's clock; their lengths. */
    passTime: (): number[] => {
      const lengths = [...sleeps.values()];
      for (const wake of [...sleeps.keys()]) wake();
      return lengths;
    },
    waits: () => sleeps.size,
  };
};

test("hello, the snapshot in lock-step with each namespace's fd, then live changes", async (t) => {
  using own = ownNetns();
  const { server, ztunnel, until, counts } = start(t, [
    { uid: "a", info: INFO, netns: own.fd, ending: false },
    { uid: "kept", info: INFO, netns: undefined, ending: false },
  ]);
  const z = ztunnel();
  await until(() => counts.length === 1, "the snapshot is taken");
  assert.deepEqual(z.seen(), ["add a +netns", "keep kept", "snapshot-sent"]);
  assert.deepEqual(z.received[0]?.request, { kind: "add", uid: "a", workload: INFO });
  await server.add("b", INFO, own.fd);
  await server.del("a");
  assert.deepEqual(z.seen().slice(3), ["add b +netns", "del a"]);
  assert.deepEqual([server.connected(), counts], [1, [1]]);
});

test("nothing is sent before the hello, and no message before the answer to the one before", async (t) => {
  using own = ownNetns();
  const { server, ztunnel, until, waits } = start(t, [{ uid: "a", info: INFO, netns: own.fd, ending: false }]);
  const z = ztunnel("silent", new Uint8Array());
  await until(() => waits() === 1, "the hello is waited for");
  assert.deepEqual(z.seen(), []);
  await z.say(HELLO);
  await until(() => z.received.length === 1, "the first of the snapshot");
  const added = server.add("b", INFO, own.fd);
  const removed = server.del("c");
  assert.deepEqual(z.seen(), ["add a +netns"], "the others wait");
  for (const n of [2, 3, 4]) {
    await z.say(OK);
    await until(() => z.received.length === n, `message ${n}`);
  }
  assert.deepEqual(z.seen().toSorted(), ["add a +netns", "add b +netns", "del c", "snapshot-sent"]);
  await z.say(OK);
  await Promise.all([added, removed]);
});

test("with two ztunnels what is added goes to the newest, what is removed to both; the older takes over when the newest dies", async (t) => {
  using own = ownNetns();
  const { server, ztunnel, until, counts } = start(t);
  const old = ztunnel();
  await until(() => counts.length === 1, "the old one");
  const fresh = ztunnel();
  await until(() => counts.length === 2, "the new one");
  assert.equal(server.connected(), 2);
  await server.add("a", INFO, own.fd);
  await server.del("b");
  assert.deepEqual(old.seen(), ["snapshot-sent", "del b"]);
  assert.deepEqual(fresh.seen(), ["snapshot-sent", "add a +netns", "del b"]);
  fresh.close();
  await until(() => server.connected() === 1, "the new one is gone");
  await server.add("c", INFO, own.fd);
  assert.deepEqual(old.seen().slice(2), ["add c +netns"]);
  assert.deepEqual(counts, [1, 2, 1]);
});

test("that a pod ends is told to those who understand it, and again to one that comes later; Istio's never hears of it", async (t) => {
  using own = ownNetns();
  const { server, ztunnel, until, counts } = start(t, [
    { uid: "a", info: INFO, netns: own.fd, ending: true },
    { uid: "b", info: INFO, netns: own.fd, ending: false },
  ]);
  const istios = ztunnel();
  await until(() => counts.length === 1, "Istio's ztunnel");
  await server.terminating("a"); // nobody understands it: nothing is said, and that is no failure
  const ours = ztunnel(undefined, OUR_HELLO);
  await until(() => counts.length === 2, "our ztunnel");
  await server.terminating("b");
  assert.deepEqual(istios.seen(), ["add a +netns", "add b +netns", "snapshot-sent"]);
  assert.deepEqual(ours.seen(), ["add a +netns", "add b +netns", "snapshot-sent", "terminating a", "terminating b"]);
});

test("without a ztunnel nothing can be added, and what is removed is removed", async (t) => {
  using own = ownNetns();
  const { server } = start(t);
  await assert.rejects(server.add("a", INFO, own.fd), /no ztunnel is connected/);
  await server.del("a");
});

test("ztunnel's complaint is the caller's error, and the connection goes on", async (t) => {
  using own = ownNetns();
  const { server, ztunnel, until, counts, said } = start(t, [{ uid: "bad", info: INFO, netns: own.fd, ending: false }]);
  const z = ztunnel((r) => ("uid" in r && r.uid === "bad" ? encodeZdsAck({ error: "failure to start proxy: no" }) : OK));
  await until(() => counts.length === 1, "the snapshot is taken all the same");
  assert.ok(said.some((l) => l.includes("ztunnel did not take a pod of its snapshot")));
  await assert.rejects(server.add("bad", INFO, own.fd), /ztunnel answered: failure to start proxy: no/);
  await server.del("bad");
  assert.ok(said.some((l) => l.includes("ztunnel did not confirm")));
  await server.add("good", INFO, own.fd);
  assert.ok(z.isOpen());
});

const broken: readonly { readonly name: string; readonly says: RegExp; readonly hello?: Uint8Array; readonly answer?: Uint8Array }[] = [
  { name: "a hello that is none", hello: Buffer.from("ffff", "hex"), says: /bad hello/ },
  { name: "a hello of another version", hello: Buffer.from("0807", "hex"), says: /bad hello/ },
  { name: "an answer that is none", answer: Buffer.from("ffff", "hex"), says: /bad answer/ },
];
for (const c of broken)
  test(`a peer that breaks the protocol is dropped: ${c.name}`, async (t) => {
    const { server, ztunnel, until, said } = start(t);
    const z = ztunnel(() => c.answer, c.hello ?? HELLO);
    await until(() => !z.isOpen(), "it is dropped");
    await until(() => server.connected() === 0, "it does not count");
    assert.ok(
      said.some((l) => l.includes("ztunnel connection dropped") && c.says.test(l)),
      said.join(""),
    );
  });

test("a peer that talks out of turn is dropped, also after its snapshot", async (t) => {
  const { server, ztunnel, until, counts, said } = start(t);
  const z = ztunnel();
  await until(() => counts.length === 1, "the snapshot is taken");
  await z.say(OK);
  await z.say(OK);
  await until(() => !z.isOpen() && server.connected() === 0, "it is dropped");
  assert.ok(said.some((l) => l.includes("nothing asked for")));
});

test("a peer that does not answer within 5 s is dropped, and its caller hears of it", async (t) => {
  using own = ownNetns();
  const { server, ztunnel, until, counts, passTime, waits } = start(t);
  let silent = false;
  const z = ztunnel(() => (silent ? undefined : OK));
  await until(() => counts.length === 1, "the snapshot is taken");
  silent = true;
  const adding = server.add("a", INFO, own.fd);
  const failed = assert.rejects(adding, /closed/);
  await until(() => z.received.length === 2 && waits() === 1, "the message has arrived");
  assert.deepEqual(passTime(), [5_000]);
  await failed;
  await until(() => !z.isOpen(), "it is dropped");
  assert.equal(server.connected(), 0);
});

test("a peer that never says hello is dropped after 5 s and gets nothing", async (t) => {
  const { server, ztunnel, until, passTime, waits } = start(t);
  const z = ztunnel("silent", new Uint8Array());
  await until(() => waits() === 1, "the hello is waited for");
  assert.deepEqual(passTime(), [5_000]);
  await until(() => !z.isOpen(), "it is dropped");
  assert.deepEqual([z.seen(), server.connected()], [[], 0]);
});

test("what a peer sends along is closed, and the end of the server leaves no descriptor open", async (t) => {
  using own = ownNetns();
  const before = readdirSync("/proc/self/fd").length;
  const { server, ztunnel, until, counts } = start(t);
  const z = ztunnel();
  await until(() => counts.length === 1, "the snapshot is taken");
  await server.add("a", INFO, own.fd);
  server.close();
  await until(() => !z.isOpen(), "the peer is told");
  assert.equal(readdirSync("/proc/self/fd").length, before);
});
