// Does a socket without Node's streams carry octets as TCP does, hold no more than it was given, and give every lease back?

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createConnection, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { type End, type EndEvents, type Lease, NO_LEASE } from "./end.ts";
import { splice } from "./splice.ts";
import { tcpEnd } from "./tcp.ts";

type Cleaner = { after(f: () => void): void };
const MIB = 1 << 20;
const NO_METER = { add: () => undefined };

/** Both sockets of a connection over loopback. */
const connected = async (t: Cleaner): Promise<[Socket, Socket]> => {
  const server = createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const near = createConnection({ port, host: "127.0.0.1", allowHalfOpen: true });
  const [far] = (await once(server, "connection")) as [Socket];
  if (near.connecting) await once(near, "connect");
  server.close();
  for (const s of [near, far]) s.on("error", () => undefined);
  t.after(() => {
    near.destroy();
    far.destroy();
  });
  return [near, far];
};
const taken = (socket: Socket): End => {
  const end = tcpEnd(socket);
  assert.ok(end !== undefined, "the socket was not taken over");
  return end;
};
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const ignore = (over: Partial<EndEvents> = {}): EndEvents => ({
  data: () => undefined,
  flush: () => undefined,
  end: () => undefined,
  taken: () => undefined,
  finished: () => undefined,
  closed: () => undefined,
  ...over,
});

/** Memory that is overwritten as soon as nobody holds it, as a ring's is. */
const ring = () => {
  const counts = { retained: 0, released: 0 };
  let scarce = false;
  const buffers: { bytes: Buffer; holders: number }[] = [];
  const lend = (from: Buffer): { chunk: Buffer; lease: Lease; done(): void } => {
    const buffer = { bytes: Buffer.from(from), holders: 1 };
    buffers.push(buffer);
    const drop = (): void => {
      buffer.holders -= 1;
      if (buffer.holders === 0) buffer.bytes.fill(0xee);
    };
    const lease: Lease = {
      retain: () => {
        if (scarce) return false;
        counts.retained += 1;
        buffer.holders += 1;
        return true;
      },
      release: () => {
        counts.released += 1;
        drop();
      },
    };
    return { chunk: buffer.bytes, lease, done: drop };
  };
  return {
    counts,
    lend,
    setScarce: (now: boolean): void => {
      scarce = now;
    },
  };
};

const hashAll = async (socket: Socket, pace?: (n: number) => Promise<void>): Promise<string> => {
  const hash = createHash("sha256");
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    hash.update(chunk as Buffer);
    await pace?.((chunk as Buffer).length);
  }
  return hash.digest("hex");
};
const sha = (b: Buffer): string => createHash("sha256").update(b).digest("hex");

for (const scarce of [false, true])
  test(`leased octets arrive whole at a slow reader, and every lease comes back (${scarce ? "refused" : "granted"})`, {
    timeout: 30_000,
  }, async (t) => {
    const [near, far] = await connected(t);
    const end = taken(near);
    const memory = ring();
    let room = Promise.withResolvers<void>();
    let kept = 0;
    const finished = Promise.withResolvers<void>();
    end.start(
      ignore({
        taken: (n) => {
          kept -= n;
          if (kept === 0) room.resolve();
        },
        finished: () => finished.resolve(),
      }),
    );
    let read = 0;
    const heard = hashAll(far, async (n) => {
      read += n;
      if (read % 3 === 0) await turn();
    });
    const all = randomBytes(24 * MIB);
    for (let at = 0, i = 0; at < all.length; i++) {
      memory.setScarce(scarce || i % 5 === 4);
      room = Promise.withResolvers<void>();
      const n = [1, 70_000, 256 * 1024, 13][i % 4] ?? 1;
      const lent = memory.lend(all.subarray(at, at + n));
      // In two pieces of one lease, as two frames of one read.
      const cut = lent.chunk.length >> 1;
      if (cut > 0) end.push(lent.chunk.subarray(0, cut), lent.lease);
      end.push(lent.chunk.subarray(cut), lent.lease);
      const more = end.flush(); // first: it may tell of octets taken meanwhile
      kept += more;
      lent.done();
      at += lent.chunk.length;
      if (kept > 0) await room.promise;
    }
    end.end();
    await finished.promise;
    assert.equal(await heard, sha(all));
    assert.equal(memory.counts.retained, memory.counts.released);
    if (!scarce) assert.ok(memory.counts.retained > 0);
  });

test("a cut in the middle of a write gives its lease back and resets the peer", { timeout: 10_000 }, async (t) => {
  const [near, far] = await connected(t);
  far.pause();
  const end = taken(near);
  end.start(ignore());
  const memory = ring();
  for (let kept = 0; kept === 0; ) {
    const lent = memory.lend(Buffer.alloc(256 * 1024));
    end.push(lent.chunk, lent.lease);
    kept = end.flush();
    lent.done();
  }
  assert.equal(memory.counts.retained, memory.counts.released + 1);
  const failed = once(far, "error");
  end.cut();
  far.resume();
  assert.equal(((await failed)[0] as NodeJS.ErrnoException).code, "ECONNRESET");
  while (memory.counts.retained !== memory.counts.released) await turn();
});

test("what was read before it was taken over comes first, also an end", { timeout: 10_000 }, async (t) => {
  const [near, far] = await connected(t);
  far.end("early");
  while (near.readableLength < 5) await turn();
  await turn();
  let got = "";
  const over = Promise.withResolvers<void>();
  taken(near).start(
    ignore({
      data: (c) => {
        got += String(c);
      },
      end: () => over.resolve(),
    }),
  );
  await over.promise;
  assert.equal(got, "early");
});

test("resuming what is being read and pausing what is paused are nothing; a paused socket's peer is held back", {
  timeout: 10_000,
}, async (t) => {
  const [near, far] = await connected(t);
  const end = taken(near);
  let got = 0;
  end.start(
    ignore({
      data: (c) => {
        got += c.length;
      },
    }),
  );
  end.resume();
  end.resume();
  far.write("x");
  while (got === 0) await turn();
  end.pause();
  end.pause();
  while (far.write(Buffer.alloc(MIB))) await turn();
  assert.equal(got, 1);
  end.resume();
  await once(far, "drain");
  assert.ok(got > 1);
  end.cut();
  end.cut();
});

test("those who listen for the socket's close hear it when the connection has ended, not before", { timeout: 10_000 }, async (t) => {
  const [near, far] = await connected(t);
  let closed = false;
  near.once("close", () => {
    closed = true;
  });
  const end = taken(near);
  end.start(ignore({ end: () => end.end() }));
  for (let i = 0; i < 5; i++) await turn();
  assert.equal(closed, false);
  far.end();
  while (!closed) await turn();
});

test("what cannot be taken over is not: it connects, it is destroyed, it still writes", async (t) => {
  const connecting = createConnection({ port: 1, host: "127.0.0.1" });
  connecting.on("error", () => undefined);
  assert.equal(tcpEnd(connecting), undefined);
  connecting.destroy();
  const [near, far] = await connected(t);
  far.destroy();
  assert.equal(tcpEnd(far), undefined);
  while (near.write(Buffer.alloc(MIB)));
  assert.equal(tcpEnd(near), undefined);
});

test("100 MB each way at once through two relays, with pauses, are the same octets", { timeout: 60_000 }, async (t) => {
  const [client, first] = await connected(t);
  const [second, third] = await connected(t);
  const [fourth, server] = await connected(t);
  void splice(first, second, { forward: NO_METER, backward: NO_METER });
  // Not a plain socket's way: the other half of the pair goes through Node's streams.
  third.pipe(fourth).pipe(third);
  const [up, down] = [randomBytes(100 * MIB), randomBytes(100 * MIB)];
  let n = 0;
  const pace = async (): Promise<void> => {
    n += 1;
    if (n % 100 === 0) await turn();
  };
  const heard = Promise.all([hashAll(server, pace), hashAll(client, pace)]);
  client.end(up);
  server.end(down);
  assert.deepEqual(await heard, [sha(up), sha(down)]);
});

test("a thousand connections are opened, used and closed without one left behind", { timeout: 30_000 }, async (t) => {
  let left = 0;
  const back = createServer({ allowHalfOpen: true }, (s) => void s.pipe(s)).listen(0, "127.0.0.1");
  await once(back, "listening");
  const front = createServer({ allowHalfOpen: true }, (s) => {
    left += 1;
    const to = createConnection({ port: (back.address() as { port: number }).port, host: "127.0.0.1", allowHalfOpen: true });
    to.once("connect", async () => {
      assert.deepEqual(await splice(s, to, { forward: NO_METER, backward: NO_METER }), { why: "closed" });
      left -= 1;
    });
  }).listen(0, "127.0.0.1");
  await once(front, "listening");
  t.after(() => {
    front.close();
    back.close();
  });
  const one = async (): Promise<void> => {
    const socket = createConnection({ port: (front.address() as { port: number }).port, host: "127.0.0.1", allowHalfOpen: true });
    socket.end("hello");
    let got = "";
    for await (const c of socket) got += String(c);
    assert.equal(got, "hello");
  };
  for (let i = 0; i < 50; i++) await Promise.all(Array.from({ length: 20 }, one));
  while (left > 0) await turn();
});

test("memory that is used again at once is copied, not kept", { timeout: 10_000 }, async (t) => {
  const [near, far] = await connected(t);
  const end = taken(near);
  end.start(ignore());
  const heard = hashAll(far);
  const hash = createHash("sha256");
  const shared = Buffer.alloc(64 * 1024);
  for (let i = 0; i < 200; i++) {
    shared.fill(i);
    hash.update(shared);
    end.push(shared, NO_LEASE);
    end.flush();
  }
  end.end();
  assert.equal(await heard, hash.digest("hex"));
});
