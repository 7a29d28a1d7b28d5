// The server itself, on loopback, with a hand on its clock: pipelines, idle and dribbling connections, its end.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { listenSocket } from "@ambit/shared/linux/socket.ts";
import { serveDns } from "./serve.ts";
import { createFrames, frame } from "./stream.ts";

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
};

/** Answers each query with its own bytes: at once, or when it is released. Timers run out when they are told to. */
const rig = async (t: TestContext, hold = false) => {
  const timers = new Set<() => void>();
  const held: (() => void)[] = [];
  const idle: (() => void)[] = [];
  let waiting = 0;
  const port = await freePort();
  const sleep = (_ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      timers.add(resolve);
      signal?.addEventListener("abort", () => {
        timers.delete(resolve);
        reject(signal.reason);
      });
    });
  const handler = {
    handle: async (bytes: Buffer) => {
      waiting++;
      if (hold) await new Promise<void>((resolve) => void held.push(resolve));
      waiting--;
      if (waiting === 0) for (const resolve of idle.splice(0)) resolve();
      return Buffer.from(bytes);
    },
    idle: (): Promise<void> => (waiting === 0 ? Promise.resolve() : new Promise((resolve) => void idle.push(resolve))),
  };
  const fd = listenSocket({ family: "ipv4", reuseAddr: true, bind: { ip: "127.0.0.1", port } });
  const world = { now: () => 0, random: () => 0, sleep };
  const server = await serveDns({ udp: [], tcp: [fd] }, { handler, world, onError: (e) => assert.fail(e) });
  t.after(() => server.close());
  const client = async (): Promise<Socket> => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.on("error", () => {});
    t.after(() => socket.destroy());
    await once(socket, "connect");
    return socket;
  };
  const release = (): void => {
    for (const resolve of held.splice(0)) resolve();
  };
  const expire = (): void => {
    for (const resolve of [...timers]) resolve();
  };
  return { server, client, release, expire, held, timers };
};

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const eventually = async (what: () => boolean): Promise<void> => {
  const deadline = AbortSignal.timeout(5_000);
  while (!what()) {
    if (deadline.aborted) throw new Error(`not so within 5 s: ${what}`);
    await turn();
  }
};
const read = async (socket: Socket, count: number): Promise<string[]> => {
  const frames = createFrames(65_535);
  const out: string[] = [];
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    const messages = frames.push(chunk as Buffer);
    out.push(...(messages === "too-long" ? [] : messages).map(String));
    if (out.length >= count) break;
  }
  return out;
};

test("queries of one connection are answered as they come, no more than 32 of them at a time", async (t) => {
  const { client, release, held } = await rig(t, true);
  const socket = await client();
  socket.write(Buffer.concat(Array.from({ length: 100 }, (_, i) => frame(Buffer.from(`q${i}`)))));
  await eventually(() => held.length > 0);
  const answers = read(socket, 100);
  const most: number[] = [];
  const pump = setInterval(() => {
    most.push(held.length);
    release();
  }, 5);
  const got = await answers;
  clearInterval(pump);
  assert.ok(Math.max(...most) <= 32);
  assert.ok(most.includes(32));
  assert.deepEqual(got.toSorted(), Array.from({ length: 100 }, (_, i) => `q${i}`).toSorted());
});

test("an idle connection is closed, and so is one that dribbles; one that waits for its answer is not", async (t) => {
  const { client, release, expire, held, timers } = await rig(t, true);
  const [silent, dribbling, asking] = [await client(), await client(), await client()];
  await eventually(() => timers.size === 3);
  asking.write(frame(Buffer.from("question")));
  dribbling.write(Buffer.from([0]));
  await eventually(() => held.length === 1 && timers.size === 2);
  dribbling.write(Buffer.from([9, 1]));
  await turn();
  expire();
  const closed = [silent, dribbling].map((s) => once(s.resume(), "close", { signal: AbortSignal.timeout(5_000) }));
  await Promise.all(closed);
  release();
  assert.deepEqual(await read(asking, 1), ["question"]);
});

test("a client that has said all still gets its answers, and then the end", async (t) => {
  const { client, release, held } = await rig(t, true);
  const socket = await client();
  socket.end(Buffer.concat(["one", "two"].map((q) => frame(Buffer.from(q)))));
  await eventually(() => held.length === 2);
  release();
  assert.deepEqual(await read(socket, 3), ["one", "two"]);
});

test("draining: nobody new, what was asked is answered, then everything is closed", async (t) => {
  const { server, client, release, held } = await rig(t, true);
  const socket = await client();
  socket.write(frame(Buffer.from("last")));
  await eventually(() => held.length === 1);
  const drained = server.drain(60_000);
  const answer = read(socket, 1);
  release();
  await drained;
  assert.deepEqual(await answer, ["last"]);
  await assert.rejects(client(), /ECONNREFUSED/);
});

test("closing cuts what is under way", async (t) => {
  const { server, client, held } = await rig(t, true);
  const socket = await client();
  socket.write(frame(Buffer.from("never")));
  await eventually(() => held.length === 1);
  server.close();
  await once(socket.resume(), "close", { signal: AbortSignal.timeout(5_000) });
});
