// Are frames read however the bytes are cut, without copying payload, and refused when they are wrong?

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type CodeName, ConnectionError, FLAG, FRAME } from "./codes.ts";
import {
  FRAME_HEADER,
  goawayFrame,
  headersFrames,
  PREFACE,
  pingFrame,
  putHeader,
  resetFrame,
  settingsAck,
  settingsFrame,
  windowUpdateFrame,
} from "./frames.ts";
import { type FrameHandler, FrameParser } from "./parse.ts";

const LIMITS = { maxFrame: 1 << 20, maxBlock: 65_536 };

const raw = (type: number, flags: number, id: number, payload: Buffer = Buffer.alloc(0), length = payload.length): Buffer => {
  const head = Buffer.alloc(FRAME_HEADER);
  putHeader(head, 0, { type, flags, id, length });
  return Buffer.concat([head, payload]);
};
const SETTINGS = settingsFrame(new Map());

/** What a parser tells, as text; data pieces joined. */
const recorder = () => {
  const said: string[] = [];
  let data: Buffer[] = [];
  const pieces: Buffer[] = [];
  const handler: FrameHandler = {
    dataStart: (id, length) => {
      data = [];
      said.push(`data ${id} ${length}`);
    },
    dataPiece: (p) => {
      data.push(p);
      pieces.push(p);
    },
    dataEnd: (end) => void said.push(`  ${Buffer.concat(data).toString("latin1")}${end ? " end" : ""}`),
    headers: (id, block, end) => void said.push(`headers ${id} ${block.toString("latin1")}${end ? " end" : ""}`),
    settings: (p) => void said.push(`settings ${p.toString("hex")}`),
    settingsAck: () => void said.push("settings ack"),
    ping: (o, ack) => void said.push(`ping ${o.toString("latin1")}${ack ? " ack" : ""}`),
    goaway: (last, code) => void said.push(`goaway ${last} ${code}`),
    reset: (id, code) => void said.push(`reset ${id} ${code}`),
    windowUpdate: (id, n) => void said.push(`window ${id} ${n}`),
    noise: () => void said.push("noise"),
  };
  return { said, pieces, handler };
};
const parse = (chunks: readonly Buffer[], role: "client" | "server" = "client"): string[] => {
  const r = recorder();
  const parser = new FrameParser(r.handler, role, LIMITS);
  for (const c of chunks) parser.push(c);
  return r.said;
};

const PADDED = Buffer.concat([Buffer.from([3]), Buffer.from("hello"), Buffer.alloc(3)]);
const CONVERSATION = Buffer.concat([
  SETTINGS,
  settingsAck(),
  settingsFrame(new Map([[4, 65_536]])),
  headersFrames(1, Buffer.from("block"), { endStream: false, maxFrame: 16_384 }),
  headersFrames(3, Buffer.from("a longer block"), { endStream: true, maxFrame: 4 }),
  raw(
    FRAME.HEADERS,
    FLAG.PADDED | FLAG.PRIORITY | FLAG.END_HEADERS,
    5,
    Buffer.concat([Buffer.from([2]), Buffer.alloc(5), Buffer.from("prio"), Buffer.alloc(2)]),
  ),
  raw(FRAME.DATA, 0, 1, Buffer.from("some data")),
  raw(FRAME.DATA, FLAG.PADDED, 1, PADDED),
  raw(FRAME.DATA, FLAG.PADDED | FLAG.END_STREAM, 1, Buffer.from([2, 0, 0])),
  raw(FRAME.DATA, 0, 1),
  raw(FRAME.DATA, FLAG.END_STREAM, 3),
  raw(FRAME.PRIORITY, 0, 9, Buffer.alloc(5)),
  raw(0x77, 0xff, 9, Buffer.alloc(100)),
  raw(0x78, 0, 0),
  pingFrame(Buffer.from("12345678"), "ask"),
  pingFrame(Buffer.from("12345678"), "ack"),
  windowUpdateFrame(0, 77),
  windowUpdateFrame(3, 0x7fffffff),
  resetFrame(3, "CANCEL"),
  goawayFrame(5, "NO_ERROR", "bye"),
]);
const SAID = [
  "settings ",
  "settings ack",
  "settings 000400010000",
  "headers 1 block",
  "headers 3 a longer block end",
  "headers 5 prio",
  "data 1 9",
  "  some data",
  "data 1 9",
  "  hello",
  "data 1 3",
  "   end",
  "data 1 0",
  "  ",
  "data 3 0",
  "   end",
  "noise",
  "noise",
  "noise",
  "ping 12345678",
  "ping 12345678 ack",
  "window 0 77",
  "window 3 2147483647",
  "reset 3 8",
  "goaway 5 0",
];

test("every kind of frame, in one chunk", () => assert.deepEqual(parse([CONVERSATION]), SAID));
test("every kind of frame, octet by octet, after the preface", () =>
  assert.deepEqual(
    parse(
      [...Buffer.concat([PREFACE, CONVERSATION])].map((b) => Buffer.from([b])),
      "server",
    ),
    SAID,
  ));
test("every kind of frame, cut anywhere", () => {
  const cuts = fc.array(fc.integer({ min: 0, max: CONVERSATION.length }), { maxLength: 40 });
  fc.assert(
    fc.property(cuts, (at) => {
      const bounds = [0, ...[...at].sort((a, b) => a - b), CONVERSATION.length];
      assert.deepEqual(parse(bounds.slice(1).map((end, i) => CONVERSATION.subarray(bounds[i], end))), SAID);
    }),
    { numRuns: 200 },
  );
});
test("data is never copied", () => {
  const r = recorder();
  const chunk = Buffer.concat([SETTINGS, raw(FRAME.DATA, 0, 1, Buffer.alloc(50_000)), raw(FRAME.DATA, FLAG.PADDED, 1, PADDED)]);
  const parser = new FrameParser(r.handler, "client", LIMITS);
  parser.push(chunk.subarray(0, 20_000));
  parser.push(chunk.subarray(20_000));
  assert.deepEqual(
    r.pieces.map((p) => [p.buffer === chunk.buffer, p.length]),
    [
      [true, 20_000 - 18],
      [true, 50_000 - 20_000 + 18],
      [true, 5],
    ],
  );
});
test("after stop nothing is told, also of the same chunk", () => {
  const r = recorder();
  const parser: FrameParser = new FrameParser({ ...r.handler, settingsAck: () => parser.stop() }, "client", LIMITS);
  parser.push(CONVERSATION);
  assert.deepEqual(r.said, ["settings "]);
});

const REFUSED: Readonly<Record<string, readonly [CodeName, Buffer]>> = {
  "no SETTINGS first": ["PROTOCOL_ERROR", raw(FRAME.PING, 0, 0, Buffer.alloc(8))],
  "an ack first": ["PROTOCOL_ERROR", settingsAck()],
  "a frame of 1 MiB and an octet": ["FRAME_SIZE_ERROR", Buffer.concat([SETTINGS, raw(FRAME.DATA, 0, 1, undefined, (1 << 20) + 1)])],
  "SETTINGS on a stream": ["PROTOCOL_ERROR", raw(FRAME.SETTINGS, 0, 1)],
  "SETTINGS of 5 octets": ["FRAME_SIZE_ERROR", raw(FRAME.SETTINGS, 0, 0, Buffer.alloc(5))],
  "an ack with a payload": ["FRAME_SIZE_ERROR", Buffer.concat([SETTINGS, raw(FRAME.SETTINGS, FLAG.ACK, 0, Buffer.alloc(6))])],
  "33 settings": ["ENHANCE_YOUR_CALM", raw(FRAME.SETTINGS, 0, 0, Buffer.alloc(33 * 6))],
  "PING on a stream": ["PROTOCOL_ERROR", Buffer.concat([SETTINGS, raw(FRAME.PING, 0, 1, Buffer.alloc(8))])],
  "PING of 7 octets": ["FRAME_SIZE_ERROR", Buffer.concat([SETTINGS, raw(FRAME.PING, 0, 0, Buffer.alloc(7))])],
  "GOAWAY on a stream": ["PROTOCOL_ERROR", Buffer.concat([SETTINGS, raw(FRAME.GOAWAY, 0, 1, Buffer.alloc(8))])],
  "GOAWAY of 7 octets": ["FRAME_SIZE_ERROR", Buffer.concat([SETTINGS, raw(FRAME.GOAWAY, 0, 0, Buffer.alloc(7))])],
  "GOAWAY with 1 MiB of text": ["ENHANCE_YOUR_CALM", Buffer.concat([SETTINGS, raw(FRAME.GOAWAY, 0, 0, undefined, 1 << 20)])],
  "DATA on stream 0": ["PROTOCOL_ERROR", Buffer.concat([SETTINGS, raw(FRAME.DATA, 0, 0)])],
  "HEADERS on stream 0": ["PROTOCOL_ERROR", Buffer.concat([SETTINGS, raw(FRAME.HEADERS, FLAG.END_HEADERS, 0)])],
  "PRIORITY on stream 0": ["PROTOCOL_ERROR", Buffer.concat([SETTINGS, raw(FRAME.PRIORITY, 0, 0, Buffer.alloc(5))])],
  "PRIORITY of 4 octets": ["FRAME_SIZE_ERROR", Buffer.concat([SETTINGS, raw(FRAME.PRIORITY, 0, 1, Buffer.alloc(4))])],
  "RST_STREAM on stream 0": ["PROTOCOL_ERROR", Buffer.concat([SETTINGS, raw(FRAME.RST_STREAM, 0, 0, Buffer.alloc(4))])],
  "RST_STREAM of 5 octets": ["FRAME_SIZE_ERROR", Buffer.concat([SETTINGS, raw(FRAME.RST_STREAM, 0, 1, Buffer.alloc(5))])],
  "WINDOW_UPDATE of 3 octets": ["FRAME_SIZE_ERROR", Buffer.concat([SETTINGS, raw(FRAME.WINDOW_UPDATE, 0, 1, Buffer.alloc(3))])],
  PUSH_PROMISE: ["PROTOCOL_ERROR", Buffer.concat([SETTINGS, raw(FRAME.PUSH_PROMISE, FLAG.END_HEADERS, 1, Buffer.alloc(4))])],
  "CONTINUATION out of nowhere": ["PROTOCOL_ERROR", Buffer.concat([SETTINGS, raw(FRAME.CONTINUATION, FLAG.END_HEADERS, 1)])],
  "a block interrupted by DATA": ["PROTOCOL_ERROR", Buffer.concat([SETTINGS, raw(FRAME.HEADERS, 0, 1), raw(FRAME.DATA, 0, 1)])],
  "a block interrupted by an unknown frame": ["PROTOCOL_ERROR", Buffer.concat([SETTINGS, raw(FRAME.HEADERS, 0, 1), raw(0x77, 0, 1)])],
  "a block continued on another stream": [
    "PROTOCOL_ERROR",
    Buffer.concat([SETTINGS, raw(FRAME.HEADERS, 0, 1), raw(FRAME.CONTINUATION, FLAG.END_HEADERS, 3)]),
  ],
  "CONTINUATIONs without end": [
    "ENHANCE_YOUR_CALM",
    Buffer.concat([SETTINGS, raw(FRAME.HEADERS, 0, 1), ...Array.from({ length: 10 }, () => raw(FRAME.CONTINUATION, 0, 1))]),
  ],
  "a block larger than anybody needs": [
    "ENHANCE_YOUR_CALM",
    Buffer.concat([SETTINGS, raw(FRAME.HEADERS, 0, 1, Buffer.alloc(40_000)), raw(FRAME.CONTINUATION, 0, 1, undefined, 40_000)]),
  ],
  "DATA padded by more than its length": [
    "PROTOCOL_ERROR",
    Buffer.concat([SETTINGS, raw(FRAME.DATA, FLAG.PADDED, 1, Buffer.from([2, 0]))]),
  ],
  "DATA without room for its padding": ["FRAME_SIZE_ERROR", Buffer.concat([SETTINGS, raw(FRAME.DATA, FLAG.PADDED, 1)])],
  "HEADERS padded by more than their length": [
    "PROTOCOL_ERROR",
    Buffer.concat([SETTINGS, raw(FRAME.HEADERS, FLAG.PADDED | FLAG.END_HEADERS, 1, Buffer.from([2, 0]))]),
  ],
  "HEADERS too short for their priority": [
    "FRAME_SIZE_ERROR",
    Buffer.concat([SETTINGS, raw(FRAME.HEADERS, FLAG.PRIORITY | FLAG.END_HEADERS, 1, Buffer.alloc(4))]),
  ],
};
for (const [title, [code, bytes]] of Object.entries(REFUSED)) {
  test(`refused: ${title}`, () => {
    const broken = (e: unknown): boolean => e instanceof ConnectionError && e.code === code;
    assert.throws(() => parse([bytes]), broken);
    assert.throws(() => parse([...bytes].map((b) => Buffer.from([b]))), broken);
  });
}
test("refused: another protocol, at its first wrong octet", () => {
  for (const other of ["GET / HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\rX", "\x16\x03\x01"])
    assert.throws(() => parse([Buffer.from(other)], "server"), { code: "PROTOCOL_ERROR" });
});

test("no bytes make it throw anything else", () => {
  const known = fc.constantFrom(...Object.values(FRAME), 0x20);
  const frame = fc
    .tuple(known, fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 9 }), fc.uint8Array({ maxLength: 40 }))
    .map(([type, flags, id, payload]) => raw(type, flags, id, Buffer.from(payload)));
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          { weight: 5, arbitrary: frame },
          fc.uint8Array({ maxLength: 30 }).map((b) => Buffer.from(b)),
        ),
      ),
      (chunks) => {
        try {
          parse([SETTINGS, ...chunks]);
        } catch (e) {
          assert.ok(e instanceof ConnectionError, String(e));
        }
      },
    ),
    { numRuns: 2000 },
  );
});
