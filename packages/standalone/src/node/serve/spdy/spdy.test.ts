import assert from "node:assert/strict";
import { once } from "node:events";
import { type Duplex, duplexPair } from "node:stream";
import { text } from "node:stream/consumers";
import { after, test } from "node:test";
import { constants, createInflate } from "node:zlib";
import { type Result, unwrap } from "@ambit/shared/runtime/result.ts";
import { realWorld } from "@ambit/shared/runtime/run.ts";
import fc from "fast-check";
import { adler32, DICTIONARY } from "./dictionary.ts";
import { type Frame, newParser, type ParserState, parseFrames, printFrame } from "./frames.ts";
import { decodeHeaders, encodeHeaders, newCoder } from "./header-block.ts";
import { negotiate, portStream, REMOTE_PROTOCOLS, type RemoteStream, streamsOf } from "./negotiate.ts";
import { remoteOnSpdy } from "./remote.ts";
import { serveSession } from "./session.ts";
import type { SpdyStream } from "./stream.ts";

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");
const parsed = (bytes: Buffer, state: ParserState = newParser) => parseFrames(state, bytes);

const block = Buffer.from("b");
const wire: readonly (readonly [Exclude<Frame, { kind: "ignored" }>, string])[] = [
  [{ kind: "syn-stream", id: 3, fin: true, unidirectional: false, block }, "80030001 0100000b 00000003 00000000 0000 62"],
  [{ kind: "syn-stream", id: 1, fin: false, unidirectional: true, block }, "80030001 0200000b 00000001 00000000 0000 62"],
  [{ kind: "syn-reply", id: 3, fin: false, block }, "80030002 00000005 00000003 62"],
  [{ kind: "headers", id: 3, fin: true, block }, "80030008 01000005 00000003 62"],
  [{ kind: "rst-stream", id: 3, status: 5 }, "80030003 00000008 00000003 00000005"],
  [{ kind: "ping", id: 7 }, "80030006 00000004 00000007"],
  [{ kind: "goaway", last: 3, status: 1 }, "80030007 00000008 00000003 00000001"],
  [{ kind: "window-update", id: 3, delta: 65536 }, "80030009 00000008 00000003 00010000"],
  [{ kind: "data", id: 5, fin: true, bytes: Buffer.from("hi") }, "00000005 01000002 6869"],
  [{ kind: "data", id: 5, fin: true, bytes: Buffer.alloc(0) }, "00000005 01000000"],
];
for (const [frame, bytes] of wire)
  test(`frame ${frame.kind} ${bytes}`, () => {
    assert.deepEqual(printFrame(frame), hex(bytes));
    assert.deepEqual(unwrap(parsed(hex(bytes))).frames, [frame]);
  });

const refused: readonly (readonly [string, RegExp])[] = [
  ["80020006 00000004 00000001", /version 2/],
  ["80030006 00000005 00000001 00", /type 6 with 5 bytes/],
  ["80030001 00000009 00000001 00000000 00", /type 1 with 9 bytes/],
  ["80030001 0000000b 00000000 00000000 0000 62", /stream 0/],
  ["00000000 00000001 61", /DATA for stream 0/],
  ["80030001 00010000", /of 65536 bytes/],
];
for (const [bytes, why] of refused)
  test(`no frame: ${bytes}`, () => {
    const r = parsed(hex(bytes));
    assert.ok(!r.ok);
    assert.match(r.error, why);
  });

test("SETTINGS and unknown types are skipped", () => {
  const bytes = hex("80030004 0000000c 00000001 00000004 00000064 8003000b 00000002 abcd 80030006 00000004 00000001");
  assert.deepEqual(
    unwrap(parsed(bytes)).frames.map((f) => f.kind),
    ["ignored", "ignored", "ping"],
  );
});

test("however the bytes are cut, the frames are the same", () => {
  const all = Buffer.concat(wire.map(([, bytes]) => hex(bytes)));
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1 }), (cuts) => {
      let state = newParser;
      const kinds: string[] = [];
      let said = "";
      for (let at = 0, i = 0; at < all.length; i++) {
        const size = cuts[i % cuts.length] ?? 1;
        const r = unwrap(parsed(all.subarray(at, at + size), state));
        at += size;
        state = r.state;
        for (const f of r.frames)
          if (f.kind === "data") {
            said += f.bytes.toString();
            if (f.fin) kinds.push("data");
          } else kinds.push(f.kind);
      }
      assert.deepEqual(
        kinds,
        wire.map(([f]) => f.kind),
      );
      assert.equal(said, "hi");
    }),
    { numRuns: 100 },
  );
});

test("DATA of more than 24 bits of length is several frames", () => {
  const bytes = printFrame({ kind: "data", id: 1, fin: true, bytes: Buffer.alloc(0x1_00_00_01) });
  const frames = unwrap(parsed(bytes)).frames;
  assert.deepEqual(
    frames.map((f) => (f.kind === "data" ? [f.bytes.length, f.fin] : [])),
    [
      [0xff_ffff, false],
      [2, true],
    ],
  );
});

test("headers: one zlib stream, as zlib itself reads it", async () => {
  assert.deepEqual([DICTIONARY.length, adler32(DICTIONARY)], [1423, 0xe3c6a7c2]);
  const inflate = createInflate({ dictionary: DICTIONARY, finishFlush: constants.Z_SYNC_FLUSH });
  const expected: Buffer[] = [];
  let [out, back] = [newCoder, newCoder];
  for (const size of [0, 1, 3, 200]) {
    const headers = new Map(Array.from({ length: size }, (_, i) => [`name-${i}`, `value ${i * 7919} accept-encoding`]));
    const encoded = encodeHeaders(out, headers);
    const decoded = unwrap(decodeHeaders(back, encoded.bytes));
    assert.deepEqual(decoded.headers, headers);
    [out, back] = [encoded.coder, decoded.coder];
    expected.push(encoded.bytes);
  }
  for (const bytes of expected) inflate.write(bytes);
  inflate.end();
  const plain = await text(inflate);
  assert.ok(plain.includes("name-199") && plain.startsWith("\0\0\0\0\0\0\0\u0001"));
  const failing = (r: Result<unknown>): string => (r.ok ? "" : r.error);
  assert.match(failing(decodeHeaders(newCoder, hex("789c0300"))), /does not begin as zlib/);
  assert.match(failing(decodeHeaders(newCoder, hex("78bb0000000000"))), /another dictionary/);
  assert.match(failing(decodeHeaders(back, hex("ffffff"))), /cannot be decompressed/);
  const bomb = encodeHeaders(newCoder, new Map([["a", "x".repeat(70_000)]]));
  assert.match(failing(decodeHeaders(newCoder, bomb.bytes)), /cannot be decompressed/);
  assert.match(failing(decodeHeaders(newCoder, encodeHeaders(newCoder, new Map([["A", ""]])).bytes)), /lower case/);
});

test("what is agreed and what streams are for", () => {
  assert.equal(negotiate("v5.channel.k8s.io, v4.channel.k8s.io, channel.k8s.io", REMOTE_PROTOCOLS), "v4.channel.k8s.io");
  assert.equal(negotiate(["v2.channel.k8s.io", "channel.k8s.io"], REMOTE_PROTOCOLS), "v2.channel.k8s.io");
  assert.equal(negotiate(undefined, REMOTE_PROTOCOLS), "channel.k8s.io");
  assert.equal(negotiate("v9", REMOTE_PROTOCOLS), undefined);
  const all = { stdin: true, stdout: true, stderr: true, tty: false };
  assert.deepEqual(streamsOf(all, "v4.channel.k8s.io"), ["error", "stdin", "stdout", "stderr"]);
  assert.deepEqual(streamsOf({ ...all, tty: true }, "v4.channel.k8s.io"), ["error", "stdin", "stdout", "resize"]);
  assert.deepEqual(streamsOf({ ...all, tty: true }, "v2.channel.k8s.io"), ["error", "stdin", "stdout"]);
  assert.equal(streamsOf({ stdin: false, stdout: false, stderr: true, tty: true }, "v4.channel.k8s.io"), undefined);
  const port = (headers: Record<string, string>, id = 3) => {
    const r = portStream(new Map(Object.entries(headers)), id);
    return r.ok ? r.value : r.error;
  };
  assert.deepEqual(port({ port: "80", streamtype: "data", requestid: "4" }), { role: "data", port: 80, request: "4" });
  assert.deepEqual(port({ port: "80", streamtype: "error" }, 1), { role: "error", port: 80, request: "without id 1" });
  assert.deepEqual(port({ port: "80", streamtype: "data" }, 3), { role: "data", port: 80, request: "without id 1" });
  for (const bad of ["", "0", "65536", "-1", "8o"]) assert.match(String(port({ port: bad, streamtype: "data" })), /port is/);
  assert.match(String(port({ port: "1", streamtype: "x" })), /type is/);
});

/** A client of our own frames, for what real clients do not do. */
const connect = (accept: (s: SpdyStream) => string | undefined) => {
  const [client, server] = duplexPair();
  const broken: string[] = [];
  const session = serveSession(server, { world: realWorld(), accept, broken: (why) => broken.push(why) });
  const heard: Frame[] = [];
  let state = newParser;
  client.on("data", (bytes: Buffer) => {
    const r = unwrap(parseFrames(state, bytes));
    state = r.state;
    heard.push(...r.frames);
    client.emit("heard");
  });
  client.on("error", () => {}); // the server cuts it
  let coder = newCoder;
  const open = (id: number, headers: Record<string, string> = {}): void => {
    const encoded = encodeHeaders(coder, new Map(Object.entries(headers)));
    coder = encoded.coder;
    client.write(printFrame({ kind: "syn-stream", id, fin: false, unidirectional: false, block: encoded.bytes }));
  };
  const until = async (found: (f: Frame) => boolean): Promise<Frame> => {
    const signal = AbortSignal.timeout(5000);
    for (;;) {
      const frame = heard.find(found);
      if (frame !== undefined) return frame;
      await once(client, "heard", { signal });
    }
  };
  return { client, session, broken, open, until, send: (f: Parameters<typeof printFrame>[0]) => client.write(printFrame(f)) };
};
const hangUp = async (c: ReturnType<typeof connect>): Promise<void> => {
  c.client.end();
  if (!c.session.closed.aborted) await once(c.session.closed, "abort", { signal: AbortSignal.timeout(5000) });
};

test("a session: reply, echo, half-close, reset, ping, refusal", async () => {
  const streams = new Map<number, Duplex>();
  const c = connect((s) => {
    if (s.headers.get("no") !== undefined) return "no";
    streams.set(s.id, s.io);
    s.io.pipe(s.io);
    return undefined;
  });
  c.open(1);
  assert.equal((await c.until((f) => f.kind === "syn-reply")).kind, "syn-reply");
  c.send({ kind: "data", id: 1, fin: false, bytes: Buffer.from("one") });
  await c.until((f) => f.kind === "data" && f.bytes.toString() === "one");
  c.send({ kind: "data", id: 1, fin: true, bytes: Buffer.alloc(0) });
  await c.until((f) => f.kind === "data" && f.id === 1 && f.fin);
  c.send({ kind: "ping", id: 9 });
  await c.until((f) => f.kind === "ping" && f.id === 9);
  c.open(3, { no: "1" });
  await c.until((f) => f.kind === "rst-stream" && f.id === 3 && f.status === 5);
  c.open(3);
  c.open(4);
  await c.until((f) => f.kind === "rst-stream" && f.id === 3 && f.status === 1);
  await c.until((f) => f.kind === "rst-stream" && f.id === 4 && f.status === 1);
  c.open(5);
  await c.until((f) => f.kind === "syn-reply" && f.id === 5);
  const five = streams.get(5);
  assert.ok(five !== undefined);
  const closed = once(five, "close", { signal: AbortSignal.timeout(5000) });
  c.send({ kind: "rst-stream", id: 5, status: 5 });
  await closed;
  c.send({ kind: "data", id: 5, fin: true, bytes: Buffer.from("late") });
  c.open(7);
  c.send({ kind: "goaway", last: 0, status: 0 });
  c.open(9);
  c.send({ kind: "data", id: 7, fin: true, bytes: Buffer.from("still") });
  await c.until((f) => f.kind === "data" && f.bytes.toString() === "still");
  assert.equal(streams.has(9), false);
  await hangUp(c);
  assert.deepEqual(c.broken, []);
});

test("a slow reader holds the client back, its reading lets it go on", async () => {
  let io: Duplex | undefined;
  const c = connect((s) => {
    io = s.io;
    return undefined;
  });
  c.open(1);
  await c.until((f) => f.kind === "syn-reply");
  const chunk = Buffer.alloc(64 * 1024, 1);
  let sent = 0;
  while (c.send({ kind: "data", id: 1, fin: false, bytes: chunk }) || sent < 32 * chunk.length) {
    sent += chunk.length;
    await new Promise(setImmediate);
    if (c.client.writableLength > 4 * chunk.length) break;
  }
  assert.ok(c.client.writableNeedDrain, "the client waits");
  assert.ok(io !== undefined && io.readableLength < 2 * 1024 * 1024);
  const drained = once(c.client, "drain", { signal: AbortSignal.timeout(5000) });
  io.resume();
  await drained;
  await hangUp(c);
});

const unhandled: unknown[] = [];
process.on("unhandledRejection", (e) => unhandled.push(e));
process.on("uncaughtException", (e) => unhandled.push(e));
after(() => assert.deepEqual(unhandled, []));

test("garbage ends the session, never the process", async () => {
  const frame: fc.Arbitrary<Buffer> = fc.oneof(
    fc.uint8Array({ maxLength: 60 }).map((b) => Buffer.from(b)),
    fc
      .tuple(fc.constantFrom(1, 2, 3, 4, 6, 7, 8, 9, 11), fc.integer({ min: 0, max: 3 }), fc.uint8Array({ maxLength: 40 }))
      .map(([type, flags, body]) => Buffer.concat([Buffer.from([0x80, 3, 0, type, flags, 0, 0, body.length]), body])),
    fc
      .tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 1 }), fc.uint8Array({ maxLength: 40 }))
      .map(([id, flags, body]) => Buffer.concat([Buffer.from([0, 0, 0, id, flags, 0, 0, body.length]), body])),
  );
  await fc.assert(
    fc.asyncProperty(fc.boolean(), fc.array(frame, { maxLength: 12 }), async (opened, frames) => {
      const c = connect((s) => {
        s.io.pipe(s.io);
        return undefined;
      });
      if (opened) for (const id of [1, 3, 5]) c.open(id);
      for (const bytes of frames) if (c.client.writable) c.client.write(bytes);
      await hangUp(c);
    }),
    { numRuns: 300 },
  );
});

test("exec's streams: complete in any order; resize; outcome as JSON or text", async () => {
  const wanted: readonly RemoteStream[] = ["error", "stdin", "stdout", "resize"];
  for (const [protocol, outcome] of [
    ["v4.channel.k8s.io", '{"metadata":{},"status":"Failure","message":"m","reason":"r"}'],
    ["v3.channel.k8s.io", "m"],
  ] as const) {
    const [client, server] = duplexPair();
    const remoteMade = remoteOnSpdy(server, { world: realWorld(), protocol, wanted, broken: (why) => assert.fail(why) });
    let coder = newCoder;
    wanted.toReversed().forEach((streamtype, i) => {
      const encoded = encodeHeaders(coder, new Map([["streamtype", streamtype]]));
      coder = encoded.coder;
      client.write(printFrame({ kind: "syn-stream", id: 2 * i + 1, fin: false, unidirectional: false, block: encoded.bytes }));
    });
    const remote = await remoteMade;
    assert.ok(remote.stderr === undefined && remote.stdin !== undefined);
    const size = Promise.withResolvers<unknown>();
    remote.onResize(size.resolve);
    client.write(printFrame({ kind: "data", id: 1, fin: false, bytes: Buffer.from('{"Width":80,"Hei') }));
    client.write(printFrame({ kind: "data", id: 1, fin: false, bytes: Buffer.from('ght":24}\n') }));
    assert.deepEqual(await size.promise, { rows: 24, columns: 80 });
    let said = Buffer.alloc(0);
    const told = new Promise<void>((resolve) => {
      client.on("data", (bytes: Buffer) => {
        said = Buffer.concat([said, bytes]);
        if (unwrap(parsed(said)).frames.some((f) => f.kind === "goaway")) resolve();
      });
    });
    remote.stdout?.write("out");
    await remote.finish({ metadata: {}, status: "Failure", message: "m", reason: "r" });
    await told;
    const data = unwrap(parsed(said)).frames.flatMap((f) => (f.kind === "data" ? [[f.id, f.bytes.toString(), f.fin]] : []));
    assert.deepEqual(data, [
      [3, "out", false],
      [3, "", true],
      [7, outcome, false],
      [7, "", true],
    ]);
    client.end();
    if (!remote.left.aborted) await once(remote.left, "abort", { signal: AbortSignal.timeout(5000) });
  }
});

test("a client that leaves before its streams are open", async () => {
  const [client, server] = duplexPair();
  const remote = remoteOnSpdy(server, { world: realWorld(), protocol: "v4.channel.k8s.io", wanted: ["error", "stdout"], broken: () => {} });
  client.end();
  await assert.rejects(remote, /did not open all of error, stdout and left/);
});
