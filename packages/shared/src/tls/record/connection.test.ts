// Does a record connection carry octets whole, keep the rules of TLS 1.3, and fail closed when its peer does not?

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { ALERT, type AlertName, alertContent, PeerAlert, TlsFault } from "./alerts.ts";
import { connectionOver, contexts, deps, listen, peerOver, sockets } from "./fixture.ts";
import { HEADER, MAX_IDLE_RECORDS } from "./limits.ts";
import { KEY_UPDATE_MESSAGE } from "./messages.ts";

const TIMEOUT = { timeout: 10_000 };
type Test = { after(f: () => void): void };

/** A connection of ours (the server's end) and a peer that sends what it likes. */
const withPeer = async (t: Test) => {
  const [near, far] = await sockets(t);
  const connection = connectionOver(near, "server");
  t.after(() => connection.destroy());
  return { connection, ours: listen(connection), peer: peerOver(far, "client") };
};
const nothing = (): void => undefined;

test("20 MB each way at once, in order and whole, in parts of every size", { timeout: 20_000 }, async (t) => {
  const ends = (await sockets(t)).map((socket, i) => connectionOver(socket, i === 0 ? "client" : "server"));
  const all = randomBytes(20 << 20);
  const expected = createHash("sha256").update(all).digest("hex");
  const sums = await Promise.all(
    ends.map(async (end) => {
      const hash = createHash("sha256");
      const told = listen(end, (chunk) => void hash.update(chunk));
      let at = 0;
      let size = 1;
      let busy = false;
      const more = (): void => {
        // `done` may be called before write() returns.
        while (!busy && at < all.length) {
          busy = true;
          const parts = [9, size, 1, 3 * size].map((n) => {
            const part = all.subarray(at, at + n);
            at += part.length;
            return part;
          });
          size = size > 200_000 ? 1 : 2 * size + 1;
          end.write(parts, () => {
            busy = false;
            setImmediate(more);
          });
        }
        if (at >= all.length && !busy) end.end();
      };
      more();
      await told.ended;
      await told.closed;
      assert.deepEqual(told.told, ["end", "close"]);
      return hash.digest("hex");
    }),
  );
  assert.deepEqual(sums, [expected, expected]);
});

test("octets that came with the handshake are the first", TIMEOUT, async (t) => {
  const [near, far] = await sockets(t);
  const peer = peerOver(far, "client");
  const first = peer.data("first ");
  const second = peer.data("second");
  const connection = connectionOver(near, "server", { early: Buffer.concat([first, second.subarray(0, 7)]) });
  const ours = listen(connection);
  far.write(second.subarray(7));
  assert.equal((await ours.octets(12)).toString(), "first second");
  connection.destroy();
});

type Attack = { name: string; send(peer: ReturnType<typeof peerOver>): Buffer; alert: AlertName; before?: string };
const flip = (record: Buffer, at: number): Buffer => {
  const bad = Buffer.from(record);
  bad[at] = (bad[at] ?? 0) ^ 1;
  return bad;
};
const attacks: Attack[] = [
  { name: "a flipped bit in the ciphertext", send: (p) => flip(p.data("evil"), HEADER), alert: "bad_record_mac" },
  { name: "a flipped bit in the tag", send: (p) => flip(p.data("evil"), HEADER + 5 + 15), alert: "bad_record_mac" },
  { name: "a flipped bit in the version", send: (p) => flip(p.data("evil"), 2), alert: "bad_record_mac" },
  {
    name: "a replayed record",
    send: (p) => [p.data("good")].flatMap((r) => [r, r]).reduce((a, b) => Buffer.concat([a, b])),
    alert: "bad_record_mac",
    before: "good",
  },
  {
    name: "two records in the wrong order",
    send: (p) => {
      const [first, second] = [p.data("evil"), p.data("evil")];
      return Buffer.concat([second, first]);
    },
    alert: "bad_record_mac",
  },
  {
    name: "a record left out",
    send: (p) => {
      const good = p.data("good");
      p.data("lost");
      return Buffer.concat([good, p.data("evil")]);
    },
    alert: "bad_record_mac",
    before: "good",
  },
  {
    name: "a good record, then a bad one at once",
    send: (p) => Buffer.concat([p.data("good"), flip(p.data("evil"), 9)]),
    alert: "bad_record_mac",
    before: "good",
  },
  { name: "a record longer than may be", send: () => Buffer.from([23, 3, 3, 0x41, 0x01, 0]), alert: "record_overflow" },
  { name: "a record with too much inside", send: (p) => p.sealed(23, Buffer.alloc(16_385)), alert: "record_overflow" },
  { name: "too much padding", send: (p) => p.sealed(23, Buffer.alloc(16_380), 100), alert: "record_overflow" },
  { name: "octets that are not encrypted", send: () => Buffer.from([22, 3, 3, 0, 4, 0, 0, 0, 0]), alert: "unexpected_message" },
  { name: "an alert that is not encrypted", send: () => Buffer.from([21, 3, 3, 0, 2, 1, 0]), alert: "unexpected_message" },
  { name: "a ChangeCipherSpec inside", send: (p) => p.sealed(20, Buffer.from([1])), alert: "unexpected_message" },
  { name: "an unknown type inside", send: (p) => p.sealed(99, Buffer.from("x")), alert: "unexpected_message" },
  { name: "nothing but padding", send: (p) => p.sealed(0, Buffer.alloc(30)), alert: "unexpected_message" },
  { name: "a ClientHello (renegotiation)", send: (p) => p.sealed(22, Buffer.from([1, 0, 0, 1, 0])), alert: "unexpected_message" },
  { name: "a ticket from a client", send: (p) => p.sealed(22, Buffer.from([4, 0, 0, 1, 0])), alert: "unexpected_message" },
  { name: "an alert of three octets", send: (p) => p.sealed(21, Buffer.from([1, 0, 0])), alert: "decode_error" },
  {
    name: "octets in the midst of a handshake message",
    send: (p) => Buffer.concat([p.sealed(22, KEY_UPDATE_MESSAGE.plain.subarray(0, 3)), p.data("evil")]),
    alert: "unexpected_message",
  },
  {
    name: "too many empty records",
    send: (p) => Buffer.concat(Array.from({ length: MAX_IDLE_RECORDS + 1 }, () => p.sealed(23, Buffer.alloc(0)))),
    alert: "unexpected_message",
  },
];
for (const a of attacks)
  test(`${a.name}: ${a.alert}, and nothing of it is released`, TIMEOUT, async (t) => {
    const unharmed = await withPeer(t);
    const { ours, peer } = await withPeer(t);
    const closed = once(peer.socket, "close");
    peer.socket.write(a.send(peer));
    const error = await ours.failed;
    assert.ok(error instanceof TlsFault && error.alert === a.alert, error.message);
    await ours.closed;
    assert.deepEqual(ours.told, ["error", "close"]);
    assert.equal(Buffer.concat(ours.received).toString(), a.before ?? "");
    const alert = await peer.next((r) => r.type === 21);
    assert.deepEqual(alert?.content, alertContent(a.alert));
    peer.socket.end();
    await closed;
    unharmed.peer.socket.write(unharmed.peer.data("fine"));
    assert.equal((await unharmed.ours.octets(4)).toString(), "fine");
  });

test("padding is taken off; empty records up to the bound are nothing, and octets start the count anew", TIMEOUT, async (t) => {
  const { ours, peer } = await withPeer(t);
  const empty = (): Buffer => peer.sealed(23, Buffer.alloc(0));
  for (let i = 0; i < 3; i++) {
    peer.socket.write(Buffer.concat(Array.from({ length: MAX_IDLE_RECORDS }, empty)));
    peer.socket.write(peer.sealed(23, Buffer.from("padded"), 200));
  }
  assert.equal((await ours.octets(18)).toString(), "paddedpaddedpadded");
});

test("FIN without close_notify is no end, in the midst of a record or not", TIMEOUT, async (t) => {
  for (const cut of [0, 7]) {
    const { ours, peer } = await withPeer(t);
    peer.socket.write(peer.data("whole"));
    const last = peer.data("not whole");
    peer.socket.end(last.subarray(0, cut));
    const error = await ours.failed;
    assert.equal((error as { code?: string }).code, "ECONNRESET");
    await ours.closed;
    assert.deepEqual(ours.told, ["error", "close"]);
    assert.equal(Buffer.concat(ours.received).toString(), "whole");
  }
});

test("close_notify ends the peer's half only, and what follows it is nothing", TIMEOUT, async (t) => {
  const { connection, ours, peer } = await withPeer(t);
  peer.socket.write(
    Buffer.concat([peer.data("last"), peer.sealed(21, alertContent("close_notify")), peer.data("more"), Buffer.from("GET /")]),
  );
  await ours.ended;
  assert.equal(Buffer.concat(ours.received).toString(), "last");
  connection.write([Buffer.from("still "), Buffer.from("here")], nothing);
  const said = await peer.next((r) => r.type === 23);
  assert.equal(said?.content.toString(), "still here");
  connection.end();
  connection.write([Buffer.from("too late")], nothing);
  assert.deepEqual((await peer.next((r) => r.type === 21))?.content, alertContent("close_notify"));
  peer.socket.end();
  await ours.closed;
  assert.deepEqual(ours.told, ["end", "close"]);
});

test("the peer's alert is the error; user_canceled is not", TIMEOUT, async (t) => {
  const { ours, peer } = await withPeer(t);
  peer.socket.write(
    Buffer.concat([peer.sealed(21, alertContent("user_canceled")), peer.data("x"), peer.sealed(21, Buffer.from([2, ALERT.access_denied]))]),
  );
  const error = await ours.failed;
  assert.ok(error instanceof PeerAlert && error.alert === "access_denied");
  await ours.closed;
  assert.deepEqual(
    peer.records.filter((r) => r.type === 21),
    [],
    "an alert is not answered",
  );
});

test(
  "key updates, both forms: the peer's new key is used, and one that asks is answered before anything else is sent",
  TIMEOUT,
  async (t) => {
    const { connection, ours, peer } = await withPeer(t);
    const update = (how: keyof typeof KEY_UPDATE_MESSAGE): Buffer => {
      const record = peer.sealed(22, KEY_UPDATE_MESSAGE[how]);
      peer.send.rekey();
      return record;
    };
    peer.socket.write(Buffer.concat([peer.data("a"), update("plain"), peer.data("b"), update("plain"), peer.data("c")]));
    assert.equal((await ours.octets(3)).toString(), "abc");
    assert.equal(peer.records.length, 0);
    peer.socket.write(Buffer.concat([update("requesting"), peer.data("d")]));
    assert.equal((await ours.octets(4)).toString(), "abcd");
    connection.write([Buffer.from("under the next key")], nothing);
    await peer.next((r) => r.type === 23);
    assert.deepEqual(
      peer.records.map((r) => [r.type, r.type === 22 ? r.content : r.content.toString()]),
      [
        [22, KEY_UPDATE_MESSAGE.plain],
        [23, "under the next key"],
      ],
    );
    connection.updateKeys();
    connection.write([Buffer.from("and the next")], nothing);
    await peer.next((r) => r.content.toString() === "and the next");
    assert.deepEqual(peer.records[2], { type: 22, content: KEY_UPDATE_MESSAGE.requesting });
  },
);

test("a flood of key updates ends the connection", TIMEOUT, async (t) => {
  const { ours, peer } = await withPeer(t);
  for (let i = 0; i <= MAX_IDLE_RECORDS; i++) {
    peer.socket.write(peer.sealed(22, KEY_UPDATE_MESSAGE.requesting));
    peer.send.rekey();
  }
  const error = await ours.failed;
  assert.ok(error instanceof TlsFault && error.alert === "unexpected_message");
});

test("a worn key is changed before it has done more than it may", TIMEOUT, async (t) => {
  const [near, far] = await sockets(t);
  const connection = connectionOver(near, "server", { wornAfter: 3 });
  t.after(() => connection.destroy());
  listen(connection);
  const peer = peerOver(far, "client");
  for (let i = 0; i < 10; i++) connection.write([Buffer.from(String(i))], nothing);
  await peer.next((r) => r.content.toString() === "9");
  assert.deepEqual(
    peer.records.map((r) => (r.type === 22 ? "update" : r.content.toString())),
    ["0", "1", "2", "update", "3", "4", "5", "update", "6", "7", "8", "update", "9"],
  );
});

test("who does not read holds the writer back; everything comes when he does", TIMEOUT, async (t) => {
  const [near, far] = await sockets(t);
  const writer = connectionOver(near, "client");
  t.after(() => writer.destroy());
  listen(writer);
  const chunk = Buffer.alloc(1 << 20, 5);
  let written = 0;
  let held = false;
  while (!held && written < 64) {
    held = true;
    written += 1;
    writer.write([chunk], () => {
      held = false;
    });
  }
  assert.ok(held, "the kernel took everything");
  const reader = connectionOver(far, "server");
  t.after(() => reader.destroy());
  const all = Promise.withResolvers<void>();
  let came = 0;
  listen(reader, (c) => {
    came += c.length;
    if (came === written * chunk.length) all.resolve();
  });
  await all.promise;
});

test("a chunk that is kept stays as it is; when too many are kept the answer is no", TIMEOUT, async (t) => {
  const [near, far] = await sockets(t);
  const connection = connectionOver(near, "server");
  t.after(() => connection.destroy());
  const peer = peerOver(far, "client");
  const kept: { chunk: Buffer; release(): void }[] = [];
  let no = 0;
  let next = Promise.withResolvers<void>();
  connection.start({
    data: (chunk, lease) => {
      if (lease.retain()) kept.push({ chunk, release: () => lease.release() });
      else no += 1;
      next.resolve();
    },
    end: nothing,
    error: (e) => next.reject(e),
    close: nothing,
  });
  const before = deps.inbound.retained;
  for (let i = 0; i < 6; i++) {
    next = Promise.withResolvers<void>();
    peer.socket.write(peer.data(`number ${i}`));
    await next.promise;
  }
  assert.deepEqual(
    kept.map((k) => k.chunk.toString()),
    Array.from({ length: 4 - before }, (_, i) => `number ${i}`),
  );
  assert.equal(no, 6 - kept.length);
  for (const k of kept) k.release();
  assert.equal(deps.inbound.retained, before);
  assert.throws(() => kept[0]?.release(), /not retained/);
});

test("pause holds octets back, resume brings them; destroying inside data ends it there", TIMEOUT, async (t) => {
  const { connection, ours, peer } = await withPeer(t);
  connection.pause();
  peer.socket.write(peer.data("later"));
  const other = await withPeer(t);
  other.peer.socket.write(other.peer.data("x"));
  await other.ours.octets(1);
  assert.equal(ours.received.length, 0);
  connection.resume();
  assert.equal((await ours.octets(5)).toString(), "later");
  const [near, far] = await sockets(t);
  const doomed = connectionOver(near, "server");
  const told = listen(doomed, () => doomed.destroy());
  const peer2 = peerOver(far, "client");
  peer2.socket.write(Buffer.concat([peer2.data("one"), peer2.sealed(21, alertContent("close_notify"))]));
  await told.closed;
  assert.deepEqual(told.told, ["close"]);
  assert.equal(doomed.destroyed, true);
});

test("a connection that was never started ends too", TIMEOUT, async (t) => {
  const [near] = await sockets(t);
  const connection = connectionOver(near, "client");
  connection.destroy();
  await listen(connection).closed;
});

test("nothing is left: cipher contexts, memory that readers keep, descriptors", TIMEOUT, async (t) => {
  const fds = (): number => readdirSync("/proc/self/fd").length;
  const before = { contexts: contexts.open, fds: fds(), retained: deps.inbound.retained };
  const clean: (() => void)[] = [];
  for (let i = 0; i < 50; i++) {
    const { connection, ours, peer } = await withPeer({ after: (f) => void clean.push(f) });
    peer.socket.write(i % 2 === 0 ? peer.data("x") : Buffer.from("not TLS at all"));
    if (i % 2 === 0) await ours.octets(1);
    connection.destroy();
    await ours.closed;
    if (!peer.socket.closed) await once(peer.socket.destroy(), "close");
  }
  for (const f of clean) f();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual({ contexts: contexts.open, fds: fds(), retained: deps.inbound.retained }, before);
  t.after(nothing);
});
