// What becomes of peers that break the rules or wear us out? Bytes in, GOAWAY's code (or RST_STREAM's) out; others are not touched.

import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { test } from "node:test";
import { realWorld } from "../../runtime/run.ts";
import type { World } from "../../runtime/world.ts";
import { type CodeName, codeName, FLAG, FRAME } from "./codes.ts";
import type { Field } from "./fields.ts";
import { type Cleaner, dial, dialSession, echo, listen, serve, session, type TestSession, type TestStream, text } from "./fixture.ts";
import {
  FRAME_HEADER,
  headersFrames,
  PREFACE,
  pingFrame,
  putHeader,
  resetFrame,
  settingsAck,
  settingsFrame,
  windowUpdateFrame,
} from "./frames.ts";
import { encodeBlock } from "./hpack/encode.ts";
import { StreamReset } from "./stream.ts";

const raw = (type: number, flags: number, id: number, payload: Buffer = Buffer.alloc(0)): Buffer => {
  const out = Buffer.alloc(FRAME_HEADER + payload.length);
  putHeader(out, 0, { type, flags, id, length: payload.length });
  payload.copy(out, FRAME_HEADER);
  return out;
};
const CONNECT: readonly Field[] = [
  [":method", "CONNECT"],
  [":authority", "10.0.0.9:80"],
];
const request = (id: number, fields: readonly Field[] = CONNECT, endStream = false): Buffer =>
  headersFrames(id, encodeBlock(fields, false), { endStream, maxFrame: 16_384 });
const data = (id: number, payload: Buffer, flags = 0): Buffer => raw(FRAME.DATA, flags, id, payload);
const repeat = (n: number, f: (i: number) => Buffer): Buffer => Buffer.concat(Array.from({ length: n }, (_, i) => f(i)));

/** Frames as they come, as "type flags id payload" records. */
const frames = (all: Buffer): { type: number; flags: number; id: number; payload: Buffer }[] => {
  const out = [];
  for (let at = 0; at + FRAME_HEADER <= all.length; ) {
    const length = all.readUIntBE(at, 3);
    const end = at + FRAME_HEADER + length;
    out.push({
      type: all[at + 3] ?? 0,
      flags: all[at + 4] ?? 0,
      id: all.readUInt32BE(at + 5),
      payload: all.subarray(at + FRAME_HEADER, end),
    });
    at = end;
  }
  return out;
};
const goaway = (all: Buffer): string | undefined => {
  const frame = frames(all).find((f) => f.type === FRAME.GOAWAY);
  return frame === undefined ? undefined : codeName(frame.payload.readUInt32BE(4));
};
const resets = (all: Buffer): string[] =>
  frames(all)
    .filter((f) => f.type === FRAME.RST_STREAM)
    .map((f) => `${f.id} ${codeName(f.payload.readUInt32BE(0))}`);

/** Everything the other side says until it closes. */
const hear = (socket: Socket): Promise<Buffer> => {
  const said: Buffer[] = [];
  socket.on("data", (c: Buffer) => said.push(c));
  socket.on("error", () => undefined);
  return new Promise((resolve) => socket.once("close", () => resolve(Buffer.concat(said))));
};

/** A server that takes tunnels and reads none of what comes, unless asked to. */
const victim = async (t: Cleaner, how: { reads?: boolean } = {}) => {
  const sessions: TestSession[] = [];
  const { port } = await serve(t, (s) => {
    sessions.push(s);
    s.on("request", (stream, head) => {
      stream.on("error", () => undefined);
      if (head.method !== "CONNECT") return stream.respond(400, {}, "end");
      // A real answer takes a dial.
      if (head.headers["x-late"] !== undefined) return void setImmediate(() => stream.respond(200, {}, "tunnel"));
      stream.respond(200, {}, "tunnel");
      if (head.headers["x-echo"] !== undefined) stream.pipe(stream);
      else if (how.reads === true) stream.resume();
    });
  });
  return { port, sessions };
};

/** Another connection to the same server, which must go on whatever happens. */
const bystander = async (t: Cleaner, port: number) => {
  const { client } = await dialSession(t, port);
  return async (): Promise<void> => {
    const stream = client.connect("10.0.0.9:80", { "x-echo": "1" }, () => undefined);
    stream.end("still here");
    assert.equal(await text(stream), "still here");
  };
};

const HELLO = Buffer.concat([PREFACE, settingsFrame(new Map()), settingsAck()]);
const after = (...more: Buffer[]): Buffer => Buffer.concat([HELLO, ...more]);
const bigField: Field = ["x-big", "b".repeat(4000)];
const indexed = (): Buffer => {
  const block = encodeBlock([bigField], false);
  block[0] = 0x40;
  return block;
};

const ENDED: Readonly<Record<string, readonly [CodeName, Buffer]>> = {
  "another protocol": ["PROTOCOL_ERROR", Buffer.from("GET / HTTP/1.1\r\nhost: a\r\n\r\n")],
  "garbage after the preface": ["PROTOCOL_ERROR", Buffer.concat([PREFACE, Buffer.from("garbage, more garbage, and so on")])],
  "no SETTINGS": ["PROTOCOL_ERROR", Buffer.concat([PREFACE, request(1)])],
  "a frame that is too large": ["FRAME_SIZE_ERROR", after(Buffer.from("ffffff000000000001", "hex"))],
  "an even stream": ["PROTOCOL_ERROR", after(request(2))],
  "a stream id lower than the last": ["PROTOCOL_ERROR", after(request(5), request(3))],
  "DATA on an idle stream": ["PROTOCOL_ERROR", after(data(1, Buffer.from("x")))],
  "RST_STREAM on an idle stream": ["PROTOCOL_ERROR", after(resetFrame(1, "CANCEL"))],
  "WINDOW_UPDATE on an idle stream": ["PROTOCOL_ERROR", after(windowUpdateFrame(1, 1))],
  "DATA on a stream that the peer reset": ["STREAM_CLOSED", after(request(1), resetFrame(1, "CANCEL"), data(1, Buffer.from("x")))],
  "DATA on a stream that ended": ["STREAM_CLOSED", after(request(1, [...GET()], true), data(1, Buffer.from("x")))],
  "HEADERS on a stream that ended": ["STREAM_CLOSED", after(request(1, [...GET()], true), request(1))],
  "a header block interrupted": ["PROTOCOL_ERROR", after(raw(FRAME.HEADERS, 0, 1, encodeBlock(CONNECT, false)), request(3))],
  "a header block that is no HPACK": [
    "COMPRESSION_ERROR",
    after(raw(FRAME.HEADERS, FLAG.END_HEADERS, 1, Buffer.from("ffffffffff", "hex"))),
  ],
  "a connection window that grows too large": ["FLOW_CONTROL_ERROR", after(windowUpdateFrame(0, 0x7fffffff))],
  "a connection window update by 0": ["PROTOCOL_ERROR", after(windowUpdateFrame(0, 0))],
  "an initial window that overflows a stream's": [
    "FLOW_CONTROL_ERROR",
    after(request(1), windowUpdateFrame(1, 0x7fffffff - 65_535), settingsFrame(new Map([[4, 65_536]]))),
  ],
  "more data than a stream's window": [
    "FLOW_CONTROL_ERROR",
    after(
      request(1),
      repeat(5, () => data(1, Buffer.alloc(1 << 20))),
    ),
  ],
  "more data than the windows, on many streams": [
    "FLOW_CONTROL_ERROR",
    after(
      repeat(10, (i) => request(1 + 2 * i)),
      repeat(40, (i) => data(1 + 2 * (i % 10), Buffer.alloc(1 << 20))),
    ),
  ],
  "rapid reset": [
    "ENHANCE_YOUR_CALM",
    after(repeat(20_000, (i) => Buffer.concat([request(1 + 2 * i, [...CONNECT, ["x-late", "1"]]), resetFrame(1 + 2 * i, "CANCEL")]))),
  ],
  "requests that make us reset": ["ENHANCE_YOUR_CALM", after(repeat(20_000, (i) => request(1 + 2 * i, [[":method", "CONNECT"]])))],
  "streams opened and ended by a window update of 0": [
    "ENHANCE_YOUR_CALM",
    after(repeat(20_000, (i) => Buffer.concat([request(1 + 2 * i), windowUpdateFrame(1 + 2 * i, 0)]))),
  ],
  "CONTINUATIONs without end": [
    "ENHANCE_YOUR_CALM",
    after(
      raw(FRAME.HEADERS, 0, 1),
      repeat(100_000, () => raw(FRAME.CONTINUATION, 0, 1)),
    ),
  ],
  "a header block of megabytes": [
    "ENHANCE_YOUR_CALM",
    after(
      raw(FRAME.HEADERS, 0, 1),
      repeat(200, () => raw(FRAME.CONTINUATION, 0, 1, Buffer.alloc(16_384))),
    ),
  ],
  "SETTINGS flood": ["ENHANCE_YOUR_CALM", after(repeat(50_000, () => settingsFrame(new Map([[4, 70_000]]))))],
  "PING flood": ["ENHANCE_YOUR_CALM", after(repeat(50_000, () => pingFrame(Buffer.alloc(8), "ask")))],
  "PING answers nobody asked for": ["ENHANCE_YOUR_CALM", after(repeat(50_000, () => pingFrame(Buffer.alloc(8), "ack")))],
  "empty DATA flood": [
    "ENHANCE_YOUR_CALM",
    after(
      request(1),
      repeat(50_000, () => data(1, Buffer.alloc(0))),
    ),
  ],
  "padding and no data": [
    "ENHANCE_YOUR_CALM",
    after(
      request(1),
      repeat(5000, () => data(1, Buffer.alloc(256, 255), FLAG.PADDED)),
    ),
  ],
  "WINDOW_UPDATE flood": [
    "ENHANCE_YOUR_CALM",
    after(
      request(1),
      repeat(50_000, () => windowUpdateFrame(1, 1)),
    ),
  ],
  "PRIORITY flood": ["ENHANCE_YOUR_CALM", after(repeat(50_000, () => raw(FRAME.PRIORITY, 0, 1, Buffer.alloc(5))))],
  "frames of unknown types": ["ENHANCE_YOUR_CALM", after(repeat(50_000, () => raw(0x50, 0, 1)))],
  "streams above the limit, again and again": ["ENHANCE_YOUR_CALM", after(repeat(20_000, (i) => request(1 + 2 * i)))],
  PUSH_PROMISE: ["PROTOCOL_ERROR", after(raw(FRAME.PUSH_PROMISE, FLAG.END_HEADERS, 1, Buffer.alloc(4)))],
};
function* GET(): Generator<Field> {
  yield [":method", "GET"];
  yield [":scheme", "https"];
  yield [":path", "/"];
}

for (const [title, [code, bytes]] of Object.entries(ENDED)) {
  test(`${title}: ${code}`, { timeout: 10_000 }, async (t) => {
    const { port, sessions } = await victim(t);
    const other = await bystander(t, port);
    const socket = await dial(t, port);
    const heard = hear(socket);
    const closed = once(sessions[1] ?? (await nextSession(sessions)), "close");
    socket.write(bytes);
    await other();
    assert.equal(goaway(await heard), code);
    const [error] = await closed;
    assert.match(String(error), new RegExp(code));
    assert.equal(sessions[1]?.streams, 0);
    await other();
  });
}
const nextSession = async (sessions: readonly TestSession[]): Promise<TestSession> => {
  while (sessions[1] === undefined) await new Promise((resolve) => setImmediate(resolve));
  return sessions[1];
};

const STREAM_ONLY: Readonly<Record<string, readonly [string[], Buffer]>> = {
  "a CONNECT without an authority": [["1 PROTOCOL_ERROR"], request(1, [[":method", "CONNECT"]])],
  "a header's name in upper case": [["1 PROTOCOL_ERROR"], request(1, [...CONNECT, ["X-Upper", "1"]])],
  "a header of HTTP/1.1's": [["1 PROTOCOL_ERROR"], request(1, [...CONNECT, ["connection", "close"]])],
  "a header's value with a line break": [["1 PROTOCOL_ERROR"], request(1, [...CONNECT, ["x", "a\r\nb"]])],
  "a stream's window update by 0": [["1 PROTOCOL_ERROR"], Buffer.concat([request(1), windowUpdateFrame(1, 0)])],
  "a stream's window that grows too large": [["1 FLOW_CONTROL_ERROR"], Buffer.concat([request(1), windowUpdateFrame(1, 0x7fffffff)])],
  "data after the end": [["1 STREAM_CLOSED"], Buffer.concat([request(1, CONNECT, true), data(1, Buffer.from("x"))])],
  "headers in the middle of data": [["1 PROTOCOL_ERROR"], Buffer.concat([request(1), request(1)])],
  "201 streams where 200 are allowed": [["401 REFUSED_STREAM"], repeat(201, (i) => request(1 + 2 * i))],
  "headers larger than we allow (HPACK bomb)": [
    ["3 NO_ERROR"],
    Buffer.concat([
      headersFrames(1, Buffer.concat([encodeBlock(CONNECT, false), indexed()]), { endStream: false, maxFrame: 16_384 }),
      headersFrames(3, Buffer.concat([encodeBlock(CONNECT, false), Buffer.alloc(10_000, 0xbe)]), { endStream: false, maxFrame: 16_384 }),
    ]),
  ],
};
for (const [title, [want, bytes]] of Object.entries(STREAM_ONLY)) {
  test(`${title}: only the stream, ${want}`, { timeout: 10_000 }, async (t) => {
    const { port } = await victim(t);
    const socket = await dial(t, port);
    const heard = hear(socket);
    const said: Buffer[] = [];
    socket.on("data", (c: Buffer) => said.push(c));
    socket.write(after(bytes, pingFrame(Buffer.from("the end."), "ask")));
    while (!Buffer.concat(said).includes("the end.")) await once(socket, "data");
    socket.end();
    const all = await heard;
    assert.deepEqual(resets(all).slice(0, 1), want);
    assert.equal(goaway(all), undefined);
  });
}

test("a peer that sends one octet at a time is served", { timeout: 20_000 }, async (t) => {
  const { port } = await victim(t, { reads: true });
  const socket = await dial(t, port);
  const heard = hear(socket);
  const said: Buffer[] = [];
  socket.on("data", (c: Buffer) => said.push(c));
  for (const b of after(request(1, [...CONNECT, ["x-echo", "1"]]), data(1, Buffer.from("slow"), FLAG.END_STREAM))) {
    socket.write(Buffer.from([b]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  // The tunnel ends from the other side too.
  const ended = (all: Buffer): boolean => frames(all).some((f) => f.type === FRAME.DATA && (f.flags & FLAG.END_STREAM) !== 0);
  while (!ended(Buffer.concat(said))) await once(socket, "data");
  socket.end();
  const all = frames(await heard);
  assert.equal(Buffer.concat(all.filter((f) => f.type === FRAME.DATA).map((f) => f.payload)).toString(), "slow");
  assert.equal(
    all.some((f) => f.type === FRAME.GOAWAY),
    false,
  );
});

test("tunnels that stood, and answers that deny, may be cut by the thousand", { timeout: 20_000 }, async (t) => {
  const { port } = await serve(t, (s) =>
    s.on("request", (stream, head) => {
      stream.on("error", () => undefined);
      // Denied: the answer comes with a reset.
      if (head.headers["x-denied"] !== undefined) stream.respond(401, {}, "end");
      else stream.respond(200, {}, "tunnel");
    }),
  );
  const { client } = await dialSession(t, port);
  const one = (headers: Record<string, string>): Promise<void> =>
    new Promise((resolve) => {
      const stream = client.connect("10.0.0.9:80", headers, () => setImmediate(() => stream.destroy()));
      stream.on("error", () => undefined);
      stream.once("close", () => resolve());
    });
  for (let i = 0; i < 100; i++) await Promise.all(Array.from({ length: 60 }, (_, n) => one(n % 2 === 0 ? { "x-denied": "1" } : {})));
  assert.equal(await client.ping(), true);
  assert.equal(client.destroyed, false);
});

test("data that was under way when we cut its stream is honest, in frames however small", { timeout: 10_000 }, async (t) => {
  const { port } = await serve(t, (s) =>
    s.on("request", (stream) => {
      stream.on("error", () => undefined);
      stream.respond(200, {}, "tunnel");
      stream.once("data", () => stream.destroy());
    }),
  );
  const socket = await dial(t, port);
  const heard = hear(socket);
  const said: Buffer[] = [];
  socket.on("data", (c: Buffer) => said.push(c));
  const streams = repeat(8, (i) => Buffer.concat([request(1 + 2 * i), repeat(3000, () => data(1 + 2 * i, Buffer.alloc(20)))]));
  socket.write(
    after(
      streams,
      repeat(8, (i) => data(1 + 2 * i, Buffer.alloc(0), FLAG.END_STREAM)),
      pingFrame(Buffer.from("the end."), "ask"),
    ),
  );
  while (!Buffer.concat(said).includes("the end.")) await once(socket, "data");
  socket.end();
  const all = await heard;
  assert.deepEqual(
    resets(all),
    ["1", "3", "5", "7", "9", "11", "13", "15"].map((id) => `${id} CANCEL`),
  );
  assert.equal(goaway(all), undefined);
});

test("a peer that asks and does not read is ended, with bounded memory", { timeout: 20_000 }, async (t) => {
  const { port, sessions } = await victim(t);
  const other = await bystander(t, port);
  const socket = await dial(t, port);
  socket.on("error", () => undefined);
  const mine = sessions[1] ?? (await nextSession(sessions));
  const closed = once(mine, "close");
  // Each refused request is answered; nobody reads the answers.
  socket.write(after(repeat(60_000, (i) => Buffer.concat([request(1 + 2 * i, [...GET()], true), pingFrame(Buffer.alloc(8), "ask")]))));
  await closed;
  await other();
});

test("half a frame and nothing more: the PING decides", { timeout: 10_000 }, async (t) => {
  const { port, sessions } = await victim(t);
  const socket = await dial(t, port);
  socket.on("error", () => undefined);
  socket.resume();
  socket.write(after(request(1), Buffer.from("0000ff0000", "hex")));
  const mine = sessions[0] as TestSession;
  let alive: boolean | undefined;
  const asked = mine.ping().then((a) => {
    alive = a;
  });
  await once(mine, "request");
  assert.equal(alive, undefined);
  mine.destroy(new Error("no answer"));
  await asked;
  assert.equal(alive, false);
});

test("a million octets in frames of one, which nobody reads, cost little more than they count", { timeout: 20_000 }, async (t) => {
  const { port, sessions } = await victim(t);
  const socket = await dial(t, port);
  socket.on("error", () => undefined);
  socket.resume();
  const one = data(1, Buffer.from("x"));
  const many = repeat(10_000, () => one);
  socket.write(after(request(1)));
  const mine = sessions[0] as TestSession;
  const [stream] = (await once(mine, "request")) as [TestStream];
  const memory = (): number => {
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const before = memory();
  for (let i = 0; i < 100; i++) socket.write(many);
  while (stream.held < 1_000_000) await new Promise((resolve) => setImmediate(resolve));
  const grown = memory() - before;
  t.diagnostic(`1 000 000 octets held; memory grew by ${grown}`);
  assert.ok(grown < 64 << 20, `${grown} octets of memory`);
});

test("a server that breaks the rules: the client's tunnels are cut, with ECONNRESET and the reason", { timeout: 10_000 }, async (t) => {
  const cases: readonly (readonly [CodeName, Buffer])[] = [
    ["PROTOCOL_ERROR", Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")],
    ["PROTOCOL_ERROR", Buffer.concat([settingsFrame(new Map([[2, 1]]))])],
    [
      "PROTOCOL_ERROR",
      Buffer.concat([
        settingsFrame(new Map()),
        headersFrames(2, encodeBlock([[":status", "200"]], false), { endStream: false, maxFrame: 16_384 }),
      ]),
    ],
    ["PROTOCOL_ERROR", Buffer.concat([settingsFrame(new Map()), raw(FRAME.PUSH_PROMISE, FLAG.END_HEADERS, 1, Buffer.alloc(4))])],
    ["FRAME_SIZE_ERROR", Buffer.concat([settingsFrame(new Map()), Buffer.from("ffffff000000000001", "hex")])],
  ];
  for (const [code, bytes] of cases) {
    const { port } = await listen(t, (socket) => {
      socket.resume();
      socket.write(bytes);
    });
    const client = session(await dial(t, port), "client");
    const stream = client.connect("10.0.0.9:80", {}, () => assert.fail("answered"));
    const cut = once(stream, "error");
    const closed = once(client, "close");
    const [e] = await cut;
    assert.ok(e instanceof StreamReset && e.code === "ECONNRESET" && !e.refused);
    assert.match(e.message, new RegExp(code));
    assert.match(String((await closed)[0]), new RegExp(code));
  }
});

test("a server's answers that cannot be: the stream is reset", { timeout: 10_000 }, async (t) => {
  const answers: readonly (readonly Field[])[] = [
    [],
    [[":status", "abc"]],
    [["x", "y"]],
    [
      [":status", "200"],
      [":path", "/"],
    ],
    [bigField, bigField, bigField, bigField, bigField],
  ];
  for (const fields of answers) {
    const { port } = await listen(t, (socket) => {
      socket.write(settingsFrame(new Map()));
      socket.on("data", (c: Buffer) => {
        if (c.includes("10.0.0.9")) socket.write(headersFrames(1, encodeBlock(fields, false), { endStream: false, maxFrame: 16_384 }));
      });
    });
    const { client } = await dialSession(t, port);
    const stream = client.connect("10.0.0.9:80", {}, () => assert.fail("answered"));
    const [e] = await once(stream, "error");
    assert.ok(e instanceof StreamReset);
    assert.equal(client.destroyed, false);
  }
});

test("the peer's stream limit is kept before anything is sent", { timeout: 10_000 }, async (t) => {
  const { port } = await listen(t, (socket) => {
    socket.resume();
    socket.write(settingsFrame(new Map([[3, 1]])));
  });
  const { client } = await dialSession(t, port);
  client.connect("10.0.0.9:80", {}, () => undefined).on("error", () => undefined);
  assert.throws(() => client.connect("10.0.0.9:80", {}, () => undefined), { refused: true });
});

/** Ten seconds are none. */
const hasty: World = { ...realWorld(), sleep: (ms, signal) => realWorld().sleep(ms === 10_000 ? 20 : ms, signal) };

test("a peer that never acknowledges our settings is told so; one that does stays", { timeout: 10_000 }, async (t) => {
  const { port } = await serve(t, echo, { world: hasty });
  const silent = await dial(t, port);
  const heard = hear(silent);
  silent.write(Buffer.concat([PREFACE, settingsFrame(new Map())]));
  const last = frames(await heard).find((f) => f.type === FRAME.GOAWAY);
  assert.equal(codeName(last?.payload.readUInt32BE(4) ?? -1), "SETTINGS_TIMEOUT");
  const { client } = await dialSession(t, port);
  await hasty.sleep(60);
  assert.equal(await client.ping(), true);
});

test("leaving takes two GOAWAYs: the first names no stream, the second, after a round trip, the last one taken", {
  timeout: 10_000,
}, async (t) => {
  const { port, sessions } = await victim(t);
  const socket = await dial(t, port);
  const heard: Buffer[] = [];
  socket.on("data", (c: Buffer) => heard.push(c));
  socket.write(after(request(1)));
  const mine = sessions[0] as TestSession;
  await once(mine, "request");
  mine.close();
  const goaways = (): number[] =>
    frames(Buffer.concat(heard))
      .filter((f) => f.type === FRAME.GOAWAY)
      .map((f) => f.payload.readUInt32BE(0));
  while (goaways().length === 0) await once(socket, "data");
  assert.deepEqual(goaways(), [0x7fffffff]);
  // It had not seen the first one yet; then it answers the PING.
  socket.write(request(3));
  await once(mine, "request");
  const ping = frames(Buffer.concat(heard)).find((f) => f.type === FRAME.PING);
  assert.ok(ping !== undefined);
  socket.write(pingFrame(ping.payload, "ack"));
  while (goaways().length === 1) await once(socket, "data");
  assert.deepEqual(goaways(), [0x7fffffff, 3]);
  socket.write(request(5));
  while (resets(Buffer.concat(heard)).length === 0) await once(socket, "data");
  assert.deepEqual(resets(Buffer.concat(heard)), ["5 REFUSED_STREAM"]);
});

test("a peer that does not answer the PING of the first GOAWAY gets the second one all the same", { timeout: 10_000 }, async (t) => {
  const { port, sessions } = await victim(t);
  const socket = await dial(t, port);
  const heard = hear(socket);
  socket.write(after());
  const mine = sessions[0] as TestSession;
  await once(mine, "settings");
  mine.close();
  const last = frames(await heard).filter((f) => f.type === FRAME.GOAWAY);
  assert.deepEqual(
    last.map((f) => f.payload.readUInt32BE(0)),
    [0x7fffffff, 0],
  );
});
