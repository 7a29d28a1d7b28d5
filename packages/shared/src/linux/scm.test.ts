// Do messages and open files pass between processes?

import assert from "node:assert/strict";
import { closeSync, fstatSync, mkdtempSync, openSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { accept, connectSeqpacket, listenSeqpacket, receiveMessage, sendMessage } from "./scm.ts";
import { createSeqpacketConnection, createSeqpacketServer } from "./seqpacket.ts";
import { closeFd } from "./socket.ts";

const dir = mkdtempSync(join(tmpdir(), "ambit-scm-"));
const openFds = (): number => readdirSync("/proc/self/fd").length;
const threads = (): number => readdirSync("/proc/self/task").length;
const bytes = (text: string): Uint8Array => Buffer.from(text);

/** The value a callback is called with, by a deadline. */
const called = <T>(): { promise: Promise<T>; resolve: (value: T) => void } => {
  const { promise, resolve } = Promise.withResolvers<T>();
  const deadline = new Promise<never>((_, reject) => {
    AbortSignal.timeout(5_000).addEventListener("abort", () => reject(new Error("no call within 5 s")));
  });
  return { promise: Promise.race([promise, deadline]), resolve };
};

const pair = (name: string): { a: number; b: number; close: () => void } => {
  const listener = listenSeqpacket(join(dir, name));
  const a = connectSeqpacket(join(dir, name));
  const b = accept(listener);
  assert.ok(b !== undefined);
  assert.equal(accept(listener), undefined);
  closeFd(listener);
  return {
    a,
    b,
    close: () => {
      closeFd(a);
      closeFd(b);
    },
  };
};

describe("messages and fds over SEQPACKET", () => {
  after(() => rmSync(dir, { recursive: true }));

  test("message boundaries and fds survive; the received fd is the same file and its own", () => {
    const { a, b, close } = pair("boundaries");
    writeFileSync(join(dir, "file"), "x");
    const file = openSync(join(dir, "file"), "r");
    assert.equal(receiveMessage(b), undefined);
    assert.ok(sendMessage(a, bytes("one")));
    assert.ok(sendMessage(a, bytes("two"), [file, file]));
    const one = receiveMessage(b);
    assert.ok(one !== undefined && one !== "end");
    assert.deepEqual([one.bytes.toString(), one.fds], ["one", []]);
    const two = receiveMessage(b);
    assert.ok(two !== undefined && two !== "end");
    assert.equal(two.bytes.toString(), "two");
    assert.equal(two.fds.length, 2);
    for (const fd of two.fds) {
      assert.notEqual(fd, file);
      assert.equal(fstatSync(fd).ino, fstatSync(file).ino);
      closeSync(fd);
    }
    closeSync(file);
    close();
  });

  test("too long a message, too many fds and an empty message are errors, and no fd leaks", () => {
    const { a, b, close } = pair("errors");
    const file = openSync(join(dir, "file"), "r");
    const before = openFds();
    assert.ok(sendMessage(a, Buffer.alloc(1025), [file]));
    assert.throws(() => receiveMessage(b), { code: "EMSGSIZE", message: /longer than 1024/ });
    assert.ok(sendMessage(a, Buffer.alloc(1024)));
    assert.ok(receiveMessage(b) !== undefined);
    assert.throws(() => sendMessage(a, bytes("x"), Array(17).fill(file)), { code: "EMSGSIZE" });
    assert.throws(() => sendMessage(a, bytes("")), { code: "EMSGSIZE" });
    assert.equal(openFds(), before);
    closeSync(file);
    close();
  });

  test("nobody listening, a path too long, and a stale socket file", () => {
    assert.throws(() => connectSeqpacket(join(dir, "nobody")), { code: "ENOENT", syscall: "connect" });
    assert.throws(() => listenSeqpacket(join(dir, "x".repeat(120))), { code: "ENAMETOOLONG" });
    closeFd(listenSeqpacket(join(dir, "stale")));
    assert.throws(() => connectSeqpacket(join(dir, "stale")), { code: "ECONNREFUSED" });
    closeFd(listenSeqpacket(join(dir, "stale")));
    writeFileSync(join(dir, "plain"), "");
    assert.throws(() => listenSeqpacket(join(dir, "plain")), { code: "EADDRINUSE" });
  });

  test("the event loop serves a connection: in order, both ways, closed once, nothing left", async () => {
    const fdsBefore = openFds();
    const threadsBefore = threads();
    const path = join(dir, "loop");
    const serverClosed = called<Error | undefined>();
    const server = createSeqpacketServer(path, (fd) => {
      const peer = createSeqpacketConnection(fd, {
        onMessage: (m) => {
          for (const received of m.fds) closeFd(received);
          void peer.send(bytes(`${m.bytes} ${m.fds.length}`));
        },
        onClose: serverClosed.resolve,
      });
    });
    const answers: string[] = [];
    const all = called<void>();
    const closes: (Error | undefined)[] = [];
    const client = createSeqpacketConnection(connectSeqpacket(path), {
      onMessage: (m) => {
        answers.push(m.bytes.toString());
        if (answers.length === 500) all.resolve();
      },
      onClose: (reason) => closes.push(reason),
    });
    const file = openSync(join(dir, "file"), "r");
    await Promise.all(Array.from({ length: 500 }, (_, i) => client.send(bytes(`m${i}`), i % 2 === 0 ? [file] : [])));
    closeSync(file);
    await all.promise;
    assert.deepEqual(
      answers,
      Array.from({ length: 500 }, (_, i) => `m${i} ${i % 2 === 0 ? 1 : 0}`),
    );
    client.close();
    client.close();
    assert.equal(await serverClosed.promise, undefined);
    assert.deepEqual(closes, [undefined]);
    await assert.rejects(client.send(bytes("late")), { code: "EPIPE" });
    server.close();
    assert.equal(openFds(), fdsBefore);
    assert.ok(threads() <= threadsBefore);
  });

  test("a peer that dies ends the connection with a reason or none, never silence", async () => {
    const { a, b } = pair("dies");
    const closed = called<Error | undefined>();
    const connection = createSeqpacketConnection(a, { onMessage: () => {}, onClose: closed.resolve });
    closeFd(b);
    await closed.promise;
    await assert.rejects(connection.send(bytes("x")));
  });

  test("a protocol violation (too long) closes with the error", async () => {
    const { a, b } = pair("violation");
    const closed = called<Error | undefined>();
    createSeqpacketConnection(a, { onMessage: () => {}, onClose: closed.resolve });
    sendMessage(b, Buffer.alloc(2000));
    assert.match(String(await closed.promise), /longer than 1024/);
    closeFd(b);
  });
});
